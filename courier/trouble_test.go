package courier_test

import (
	"errors"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/courier"
	"github.com/fulmar-io/fulmar/courier/spool"
	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/ring"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

var noSync = simdisk.Fault{Ops: simdisk.OpSync | simdisk.OpSyncDir, Err: syscall.EIO}

// reopen opens the courier of a machine whose process has ended.
func reopen(t *testing.T, disk *simdisk.Disk) *courier.Courier {
	t.Helper()
	c, err := courier.Open(courier.Options{Device: "rover", Disk: disk, Spool: spool.Options{MinFree: 1}}, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// stored returns what the spool holds of a class, as frames.
func stored(t *testing.T, disk *simdisk.Disk, class packet.Class) (records uint64, lost [ledger.Reasons]uint64) {
	t.Helper()
	s, err := spool.Open(disk.Clone(), "spool", "rover", spool.Options{MinFree: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	frames, _ := s.Load(class, 1000, 1<<30)
	for _, f := range frames {
		h, err := frame.Peek(f.Data)
		if err != nil {
			t.Fatal(err)
		}
		if h.Mode == frame.Lost {
			lost[h.Reason] += h.Count
		} else {
			records += h.Count
		}
	}
	return records, lost
}

// What a failed Sync did not make durable is tried again by itself: nothing more needs to be published for it.
func TestAFailedSyncIsTriedAgain(t *testing.T) {
	r := open(t, simdisk.New(), 1)
	r.pass(time.Second)
	r.disk.Inject(noSync)
	r.publish(packet.Normal, 10)
	r.pass(3 * time.Second)
	if r.region.Durable(packet.Normal) != 0 || r.Drained() || len(r.sent) != 0 {
		t.Fatalf("durable to %d although no sync succeeded, sent %+v", r.region.Durable(packet.Normal), r.headers())
	}
	at, ok := r.Wake()
	if !ok || at > r.now+30*time.Second {
		t.Errorf("wakes at %s (%t)", at, ok)
	}
	r.disk.Heal()
	r.pass(40 * time.Second)
	if r.region.Durable(packet.Normal) != 10 || !r.Drained() {
		t.Errorf("durable to %d, drained %t", r.region.Durable(packet.Normal), r.Drained())
	}
}

// A recovery that was told that the disk failed has not recovered: the boot's end is in the log, and the next recovery may
// not take that for durable and let the ring go.
func TestAnEndThatIsNotDurableIsNone(t *testing.T) {
	disk := simdisk.New()
	r := open(t, disk, 1)
	r.publish(packet.Urgent, 1)
	r.pass(time.Second) // and the layouts are durable
	r.publish(packet.Urgent, 9)
	disk.Kill()
	for range 2 {
		disk.Inject(noSync)
		c := reopen(t, disk)
		if found, err := c.Recover(r.region); !errors.Is(err, syscall.EIO) {
			t.Fatalf("found %+v, %v", found, err)
		}
		_ = c.Close() // fails as well
		disk.Kill()
	}
	c := reopen(t, disk)
	found, err := c.Recover(r.region)
	if err != nil {
		t.Fatal(err)
	}
	disk.Crash(nil, simdisk.Lose)
	if records, _ := stored(t, disk, packet.Urgent); records != 10 {
		t.Errorf("%d records after the ring was let go and the power cut; found %+v", records, found)
	}
}

// A region says itself whether something in it waits for the disk. The names of boots, whose order is lost with the spool that
// remembered it, do not.
func TestBootsOutOfOrderCostNothing(t *testing.T) {
	disk := simdisk.New()
	later := open(t, disk, 9)
	later.publish(packet.Normal, 5)
	later.pass(2 * time.Second)
	if err := later.End(later.now); err != nil {
		t.Fatal(err)
	}
	// The spool of the boot that follows, with an older name, is gone with its disk's cache; its ring is not.
	after := disk.Clone()
	r := open(t, disk, 2)
	r.publish(packet.Normal, 7)
	c := reopen(t, after)
	if err := c.Define(imu); err != nil {
		t.Fatal(err)
	}
	if found, err := c.Recover(r.region); err != nil || found.Known || found.Records != 7 {
		t.Errorf("found %+v, %v", found, err)
	}
	for _, region := range []*ring.Region{r.region, later.region} { // both have ended now, whatever their names
		if found, err := c.Recover(region); err != nil || !found.Known {
			t.Errorf("boot %s: found %+v, %v", region.Boot(), found, err)
		}
	}
	if records, lost := stored(t, after, packet.Normal); records != 12 || lost != [ledger.Reasons]uint64{} {
		t.Errorf("%d records, lost %v", records, lost)
	}
}

// A spool that is full of what is more urgent does not keep a machine from starting: what finds no room is declared.
func TestAFullSpoolStarts(t *testing.T) {
	disk := simdisk.New()
	o := courier.Options{Device: "rover", Disk: disk, Spool: spool.Options{MinFree: 1, MaxBytes: 128 << 10}}
	c, err := courier.Open(o, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Begin(telemetry.Boot{1}); err != nil {
		t.Fatal(err)
	}
	region, err := ring.Create("", ring.Options{Device: "rover", Boot: telemetry.Boot{1}, Producers: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Attach(region, -1); err != nil {
		t.Fatal(err)
	}
	noise := &telemetry.Layout{Name: "noise", Kind: telemetry.Reading, Fields: []telemetry.Field{{Name: "b", Type: packet.String}}}
	if err := c.Define(noise); err != nil {
		t.Fatal(err)
	}
	p, err := region.Producer(0)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	publish := func(class packet.Class) {
		b := make([]byte, 3000)
		for i := range b {
			b[i] = byte(' ' + rng.IntN(90))
		}
		var w packet.Writer
		w.Reset(nil, packet.Header{Layout: uint64(noise.ID()), Class: class})
		w.String(string(b))
		q, err := w.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Publish(q); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Duration(0)
	for range 60 {
		publish(packet.Urgent)
		now += time.Second
		c.Poll(now)
		for _, e := range c.Effects() {
			if _, ok := e.(courier.Sync); ok {
				c.Synced(now, c.SyncSpool())
			}
		}
	}
	for range 10 {
		publish(packet.Bulk)
	}
	// Without the ring, after a power cut, there is a declaration for which there is no room.
	o.Disk = disk.Clone()
	o.Disk.(*simdisk.Disk).Crash(rng, simdisk.Lose)
	if c, err = courier.Open(o, rng); err != nil {
		t.Fatal(err)
	}
	if err := c.Begin(telemetry.Boot{2}); err != nil {
		t.Fatal(err)
	}
	if _, lost := stored(t, o.Disk.(*simdisk.Disk), packet.Bulk); lost[ledger.Unclean] == 0 {
		t.Errorf("lost %v", lost)
	}
	o.Disk = disk
	disk.Kill()
	if c, err = courier.Open(o, rand.New(rand.NewPCG(1, 2))); err != nil {
		t.Fatal(err)
	}
	if found, err := c.Recover(region); err != nil {
		t.Fatalf("found %+v, %v", found, err)
	}
	if err := c.Begin(telemetry.Boot{2}); err != nil {
		t.Fatal(err)
	}
	records, lost := stored(t, disk, packet.Bulk)
	if lost[ledger.Quota] == 0 || records+lost[ledger.Quota] != 10 {
		t.Errorf("of 10 records %d are stored, lost %v", records, lost)
	}
}

// What producers dropped before they ended is declared in the course of the drain.
func TestADrainDeclaresWhatWasDropped(t *testing.T) {
	r := open(t, simdisk.New(), 1)
	r.publish(packet.Normal, 5)
	r.region.SetCeiling(packet.Normal, 5)
	if _, err := r.producer.Publish(record(packet.Normal, imu, 5)); !errors.Is(err, ring.ErrFull) {
		t.Fatal(err)
	}
	for range 10 {
		r.Flush(r.now)
		r.perform()
		r.pass(20 * time.Millisecond)
	}
	if !r.Drained() {
		t.Error("not drained")
	}
	r.answer(link.Ack{Boot: telemetry.Boot{1}, Class: packet.Normal, Prefix: 6})
	if a := r.account(); a.Numbered != 6 || a.LostBy[ledger.Overflow] != 1 || a.Delivered != 5 {
		t.Errorf("account %+v", a)
	}
}

// A disk that does not return what is there makes the start fail, for whoever supervises to try again. To go on without it
// would be to number and count again what is there.
func TestWhatCannotBeReadIsNotTakenForDamage(t *testing.T) {
	whole := simdisk.New()
	r := open(t, whole, 1)
	for range 3 {
		r.publish(packet.Normal, 10)
		r.pass(2 * time.Second)
		r.answer(link.Ack{Boot: telemetry.Boot{1}, Class: packet.Normal, Prefix: 10})
	}
	if err := r.End(r.now); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	started, refused := 0, 0
	for _, name := range []string{"spool/normal/", "spool/layouts/"} {
		for after := range 30 {
			for times := range 5 {
				disk := whole.Clone()
				disk.Inject(simdisk.Fault{Ops: simdisk.OpRead | simdisk.OpOpen, Name: name, After: after, Times: times, Err: syscall.EIO})
				c, err := courier.Open(courier.Options{Device: "rover", Disk: disk, Spool: spool.Options{MinFree: 1}}, rand.New(rand.NewPCG(1, 2)))
				if err != nil {
					refused++
					if !errors.Is(err, syscall.EIO) {
						t.Fatalf("%s %d after %d: %v", name, times, after, err)
					}
					continue
				}
				started++
				disk.Heal()
				if err := c.Begin(telemetry.Boot{2}); err != nil {
					t.Fatal(err)
				}
				if c.Catalog().Layout(imu.ID()) == nil {
					t.Fatalf("%s %d after %d: started without the layout", name, times, after)
				}
				region, err := ring.Create("", ring.Options{Device: "rover", Boot: telemetry.Boot{2}, Producers: 1})
				if err != nil {
					t.Fatal(err)
				}
				if err := c.Attach(region, -1); err != nil {
					t.Fatal(err)
				}
				if a := c.Status().Accounts[packet.Normal.Index()]; a.Numbered != 30 || a.Delivered != 10 || a.Waiting != 20 {
					t.Fatalf("%s %d after %d: started with the account %+v", name, times, after, a)
				}
				if err := region.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if started == 0 || refused == 0 {
		t.Errorf("%d starts, %d refused: the faults do not meet what is read", started, refused)
	}
}
