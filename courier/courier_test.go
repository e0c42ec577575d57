package courier_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/courier"
	"github.com/fulmar-io/fulmar/courier/delivery"
	"github.com/fulmar-io/fulmar/courier/spool"
	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/ring"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

var imu = &telemetry.Layout{Name: "imu", Kind: telemetry.Reading, Fields: []telemetry.Field{{Name: "x", Type: packet.Float64}}}

// rig is a courier with a ring of one producer, over a disk in memory, and a ground that the test plays.
type rig struct {
	*courier.Courier
	t        *testing.T
	disk     *simdisk.Disk
	region   *ring.Region
	producer *ring.Producer
	now      time.Duration
	sent     [][]byte // frames, as they went over the link
}

func open(t *testing.T, disk *simdisk.Disk, boot byte, regions ...*ring.Region) *rig {
	t.Helper()
	c, err := courier.Open(courier.Options{Device: "rover", Disk: disk, Delivery: delivery.Options{Links: make([]delivery.Link, 1)}, Spool: spool.Options{MinFree: 1}},
		rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{Courier: c, t: t, disk: disk}
	for _, left := range regions {
		if _, err := c.Recover(left); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Begin(telemetry.Boot{boot}); err != nil {
		t.Fatal(err)
	}
	if r.region, err = ring.Create("", ring.Options{Device: "rover", Boot: telemetry.Boot{boot}, Producers: 2}); err != nil {
		t.Fatal(err)
	}
	if err := c.Attach(r.region, 0); err != nil {
		t.Fatal(err)
	}
	if r.producer, err = r.region.Producer(1); err != nil {
		t.Fatal(err)
	}
	if err := c.Define(imu); err != nil {
		t.Fatal(err)
	}
	return r
}

func record(class packet.Class, l *telemetry.Layout, v float64) []byte {
	var w packet.Writer
	w.Reset(nil, packet.Header{Layout: uint64(l.ID()), Class: class})
	w.Float64(v)
	b, _ := w.Bytes()
	return b
}

func (r *rig) publish(class packet.Class, n int) {
	r.t.Helper()
	for i := range n {
		if _, err := r.producer.Publish(record(class, imu, float64(i))); err != nil {
			r.t.Fatal(err)
		}
	}
}

// pass lets time pass in steps, performing what the courier asks for; the link takes everything.
func (r *rig) pass(d time.Duration) {
	r.t.Helper()
	for end := r.now + d; r.now < end; r.now += 20 * time.Millisecond {
		r.Poll(r.now)
		r.perform()
	}
}

func (r *rig) perform() {
	for effects := r.Effects(); len(effects) > 0; effects = r.Effects() {
		for _, e := range effects {
			switch e := e.(type) {
			case courier.Sync:
				r.Synced(r.now, r.SyncSpool())
			case delivery.Dial:
				r.Up(r.now, e.Link)
			case courier.Transmit:
				m, err := link.Parse(bytes.Clone(e.Message))
				if err != nil {
					r.t.Fatal(err)
				}
				r.sent = append(r.sent, m.(link.Frame).Data)
				r.Sent(r.now, e.Link, e.Key, nil)
			}
		}
	}
}

func (r *rig) answer(m link.Message) {
	r.t.Helper()
	if err := r.Received(r.now, 0, link.Append(nil, m)); err != nil {
		r.t.Fatal(err)
	}
	r.perform()
}

// account sums over the classes.
func (r *rig) account() (a ledger.Account) {
	r.t.Helper()
	for _, c := range r.Status().Accounts {
		if err := c.Check(); err != nil {
			r.t.Fatal(err)
		}
		a.Add(c)
	}
	return a
}

func (r *rig) headers() (list []frame.Header) {
	for _, b := range r.sent {
		h, err := frame.Peek(b)
		if err != nil {
			r.t.Fatal(err)
		}
		list = append(list, h)
	}
	return list
}

func TestARecordsWay(t *testing.T) {
	r := open(t, simdisk.New(), 1)
	r.publish(packet.Normal, 100)
	if a := r.account(); a.Numbered != 100 || a.Waiting != 100 {
		t.Errorf("in the ring: %+v", a)
	}
	r.pass(2 * time.Second)
	h := r.headers()
	if len(h) != 1 || h[0].First != 0 || h[0].Count != 100 || h[0].Stream.Class != packet.Normal {
		t.Fatalf("sent %+v", h)
	}
	if r.Delivered() || r.region.Durable(packet.Normal) != 100 {
		t.Error("delivered without an acknowledgement, or not durable")
	}
	r.answer(link.Ack{Boot: telemetry.Boot{1}, Class: packet.Normal, Prefix: 100})
	if a := r.account(); !r.Delivered() || a.Delivered != 100 || a.Waiting != 0 {
		t.Errorf("acknowledged: %+v", a)
	}
	if s := r.Status(); s.RingBytes != 0 || s.Counters.Frames != 1 || s.InFlight != 0 || s.DiskError != nil {
		t.Errorf("status %+v", s)
	}
	if err := r.Received(r.now, 0, []byte("nonsense")); !errors.Is(err, link.ErrMalformed) {
		t.Errorf("nonsense over the link: %v", err)
	}
}

func TestDeadLettersAreKeptAndDeclared(t *testing.T) {
	r := open(t, simdisk.New(), 1)
	r.publish(packet.Normal, 10)
	r.pass(2 * time.Second)
	r.answer(link.Refuse{Boot: telemetry.Boot{1}, Class: packet.Normal, First: 0, Count: 10, Code: link.CodeConflict, Text: "overlaps"})
	r.pass(3 * time.Second)
	if a := r.account(); a.LostBy[ledger.Refused] != 10 || a.Waiting != 0 {
		t.Errorf("account %+v", a)
	}
	h := r.headers()
	if last := h[len(h)-1]; last.Mode != frame.Lost || last.Reason != ledger.Refused || last.First != 0 || last.Count != 10 {
		t.Errorf("the ground is not told: %+v", h)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	d, err := courier.OpenDeadLetters(r.disk, "spool/dead", 0)
	if err != nil {
		t.Fatal(err)
	}
	var letters []courier.DeadLetter
	if err := d.Each(func(l courier.DeadLetter) bool { letters = append(letters, l); return true }); err != nil {
		t.Fatal(err)
	}
	if len(letters) != 1 || letters[0].Code != link.CodeConflict || letters[0].Reason != "overlaps" || string(letters[0].Frame) != string(r.sent[0]) {
		t.Errorf("letters %+v", letters)
	}
	if err := d.Clear(); err != nil {
		t.Fatal(err)
	}
	if err := d.Each(func(courier.DeadLetter) bool { return false }); err != nil {
		t.Error(err)
	}
}

// Who looks at the letters of a machine that runs must leave its files alone.
func TestLookingAtDeadLettersChangesNothing(t *testing.T) {
	r := open(t, simdisk.New(), 1)
	r.publish(packet.Normal, 10)
	r.pass(2 * time.Second)
	r.answer(link.Refuse{Boot: telemetry.Boot{1}, Class: packet.Normal, First: 0, Count: 10, Code: link.CodeConflict, Text: "overlaps"})
	r.pass(3 * time.Second)
	files := func() string {
		list, err := r.disk.ReadDir("spool/dead")
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, f := range list {
			text += fmt.Sprintf("%s %x\n", f.Name, r.disk.File("spool/dead/"+f.Name))
		}
		return text
	}
	// A segment that the machine is making just now.
	if err := r.disk.SetFile("spool/dead/0000000000000002-0000000900000001.seg.tmp", []byte("half")); err != nil {
		t.Fatal(err)
	}
	before := files()
	d, err := courier.ReadDeadLetters(r.disk, "spool/dead")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := errors.Join(d.Each(func(courier.DeadLetter) bool { n++; return true }), d.Close()); err != nil || n != 1 {
		t.Errorf("%d letters, %v", n, err)
	}
	if after := files(); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestDeadLettersAreBounded(t *testing.T) {
	d, err := courier.OpenDeadLetters(simdisk.New(), "dead", 32<<20)
	if err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if err := d.Add(packet.Bulk, make([]byte, 250<<10), link.Refuse{Code: link.CodeLimit}); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	if err := d.Each(func(courier.DeadLetter) bool { n++; return true }); err != nil || n < 50 || n > 135 {
		t.Errorf("%d letters of 250 KiB in 32 MiB, %v", n, err)
	}
}

func TestLayoutsAreToldOnRequest(t *testing.T) {
	disk := simdisk.New()
	r := open(t, disk, 1)
	r.publish(packet.Normal, 1)
	r.pass(2 * time.Second)
	if err := r.End(r.now); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = open(t, disk, 2) // a restart remembers layouts
	r.pass(time.Second)
	r.sent = nil
	r.answer(link.Want{Layouts: []telemetry.LayoutID{imu.ID(), 12345}})
	r.pass(2 * time.Second)
	dec := frame.NewDecoder(frame.Limits{})
	var catalog telemetry.Catalog
	catalog.Add(telemetry.LayoutRecords)
	found := false
	for _, b := range r.sent {
		if _, err := dec.Decode(b, &catalog); err != nil {
			continue
		}
		for rec := range dec.Records() {
			l, err := telemetry.ParseDefinition(rec.Packet)
			found = found || err == nil && l.ID() == imu.ID()
		}
	}
	if !found {
		t.Errorf("the layout was not sent in %+v", r.headers())
	}
}

// A producer that was killed between taking a number and committing its record leaves a hole, which the recovery
// declares; what it dropped is declared too.
func TestRecoveryDeclaresWhatNeverCame(t *testing.T) {
	disk := simdisk.New()
	r := open(t, disk, 1)
	r.publish(packet.Normal, 5)
	// A second producer's number is taken by one that never commits: as if killed in between.
	hole, err := r.region.Producer(0)
	if err != nil {
		t.Fatal(err)
	}
	r.region.SetCeiling(packet.Urgent, r.region.Next(packet.Urgent)) // so that urgent records are dropped
	if _, err := hole.Publish(record(packet.Urgent, imu, 1)); !errors.Is(err, ring.ErrFull) {
		t.Fatal(err)
	}
	r.publish(packet.Normal, 5)
	disk.Kill()
	r2 := open(t, disk, 2, r.region)
	r2.pass(time.Second) // shorter than what repeats a frame
	var lost, records uint64
	for _, h := range r2.headers() {
		if h.Stream.Boot != (telemetry.Boot{1}) {
			continue
		}
		if h.Mode == frame.Lost {
			lost += h.Count
		} else {
			records += h.Count
		}
	}
	if records != 10 || lost != 1 {
		t.Errorf("%d records, %d lost", records, lost)
	}
	if a := r2.account(); a.LostBy[ledger.Overflow] != 1 || a.Numbered != 11 {
		t.Errorf("account %+v", a)
	}
}

// What a recovery found is told: what came into the spool, what never came, and what had been dropped, in all classes.
func TestARecoveryTellsWhatItFound(t *testing.T) {
	disk := simdisk.New()
	r := open(t, disk, 1)
	r.publish(packet.Normal, 7)
	r.publish(packet.Bulk, 3)
	stranger := &telemetry.Layout{Name: "stranger", Kind: telemetry.Reading, Fields: imu.Fields} // never defined: its record cannot be told
	if _, err := r.producer.Publish(record(packet.Bulk, stranger, 1)); err != nil {
		t.Fatal(err)
	}
	for class, n := range map[packet.Class]int{packet.Urgent: 4, packet.Normal: 1} {
		r.region.SetCeiling(class, r.region.Next(class))
		for range n {
			if _, err := r.producer.Publish(record(class, imu, 1)); !errors.Is(err, ring.ErrFull) {
				t.Fatal(err)
			}
		}
	}
	if err := r.SyncSpool(); err != nil { // with the layout
		t.Fatal(err)
	}
	disk.Kill()
	c := reopen(t, disk)
	want := courier.Recovered{Boot: telemetry.Boot{1}, Records: 10, Unclean: 1, Dropped: 5}
	if found, err := c.Recover(r.region); err != nil || found != want {
		t.Errorf("found %+v, %v; want %+v", found, err, want)
	}
	want = courier.Recovered{Boot: telemetry.Boot{1}, Known: true}
	if found, err := c.Recover(r.region); err != nil || found != want {
		t.Errorf("once more: found %+v, %v; want %+v", found, err, want)
	}
}

// The spool's folder was removed, and with it the layouts: what the ring still holds cannot be told any more, and is
// declared.
func TestRecoveryWithoutTheSpool(t *testing.T) {
	r := open(t, simdisk.New(), 1)
	r.publish(packet.Normal, 50)
	r.pass(2 * time.Second) // released
	r.publish(packet.Normal, 300)
	fresh := simdisk.New()
	c, err := courier.Open(courier.Options{Device: "rover", Disk: fresh, Spool: spool.Options{MinFree: 1}}, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	found, err := c.Recover(r.region)
	if err != nil || found.Unclean != 350 || found.Records != 0 {
		t.Errorf("found %+v, %v", found, err)
	}
	if err := c.Begin(telemetry.Boot{2}); err != nil {
		t.Fatal(err)
	}
}

// The next boot's name has to sort behind every boot that is known: in any class of the spool, or in a ring.
func TestTheLastBootIsTheGreatestThatIsKnown(t *testing.T) {
	disk := simdisk.New()
	last := func(when string, want byte) {
		t.Helper()
		c := reopen(t, disk)
		defer c.Close()
		if got := c.LastBoot(); got != (telemetry.Boot{want}) {
			t.Errorf("%s: %s", when, got)
		}
	}
	last("nothing", 0)
	open(t, disk, 3)
	disk.Kill()
	last("begun", 3)
	// A start that was cut short: one class is at another boot than the others.
	s, err := spool.Open(disk, "spool", "rover", spool.Options{MinFree: 1})
	if err != nil {
		t.Fatal(err)
	}
	disk.Inject(simdisk.Fault{Ops: simdisk.OpWrite, Name: "/bulk/", Err: syscall.EIO})
	if err := s.Begin(telemetry.Boot{7}, [packet.Classes]uint64{1, 1, 1}); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	disk.Kill()
	last("begun in part", 7)
	c := reopen(t, disk)
	region, err := ring.Create("", ring.Options{Device: "rover", Boot: telemetry.Boot{9}, Producers: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Recover(region); err != nil || c.LastBoot() != (telemetry.Boot{9}) {
		t.Errorf("after a ring: %s, %v", c.LastBoot(), err)
	}
	if err := c.Begin(telemetry.Boot{8}); err != nil || c.LastBoot() != (telemetry.Boot{9}) {
		t.Errorf("after an older one: %s, %v", c.LastBoot(), err)
	}
}

// Without its ring, a boot that did not end has used at most the numbers that were reserved.
func TestAfterAPowerCutTheReservedNumbersAreDeclared(t *testing.T) {
	disk := simdisk.New()
	r := open(t, disk, 1)
	r.publish(packet.Normal, 7)
	r.pass(2 * time.Second)
	ceiling := r.region.Ceiling(packet.Normal)
	disk.Crash(rand.New(rand.NewPCG(1, 1)), simdisk.Lose)
	r2 := open(t, disk, 2)
	r2.pass(3 * time.Second)
	a := r2.Status().Accounts[packet.Normal.Index()]
	if a.Numbered != ceiling || a.LostBy[ledger.Unclean] != ceiling-7 || a.Check() != nil {
		t.Errorf("account %+v with a ceiling of %d", a, ceiling)
	}
}

// Numbers are given out only below a ceiling that is on disk: a higher one counts after the Sync, not before.
func TestNumbersAreReservedBeforeTheyAreGivenOut(t *testing.T) {
	r := open(t, simdisk.New(), 1)
	before := r.region.Ceiling(packet.Normal)
	r.publish(packet.Normal, int(before)*3/4)
	r.Poll(r.now)
	syncs := 0
	for _, e := range r.Effects() {
		if _, ok := e.(courier.Sync); ok {
			syncs++
		}
	}
	if at := r.region.Ceiling(packet.Normal); syncs != 1 || at != before {
		t.Fatalf("%d syncs asked for, and the ceiling is %d, was %d", syncs, at, before)
	}
	r.Synced(r.now, errors.New("input/output error"))
	if at := r.region.Ceiling(packet.Normal); at != before {
		t.Errorf("after a sync that failed the ceiling is %d, was %d", at, before)
	}
	r.pass(2 * time.Second)
	if at := r.region.Ceiling(packet.Normal); at <= before {
		t.Errorf("after one that did not it is %d, was %d", at, before)
	}
}

func TestAFullDiskStopsTheSpoolNotTheDelivery(t *testing.T) {
	disk := simdisk.New()
	r := open(t, disk, 1)
	r.publish(packet.Normal, 100)
	r.pass(2 * time.Second)
	disk.SetQuota(1) // less than there is: every write is refused
	r.publish(packet.Normal, 100)
	r.pass(2 * time.Second)
	if s := r.Status(); s.DiskError == nil || s.Counters.StoreErrors == 0 {
		t.Errorf("a full disk does not show: %+v", s)
	}
	r.answer(link.Ack{Boot: telemetry.Boot{1}, Class: packet.Normal, Prefix: 100})
	if a := r.account(); a.Delivered != 100 || a.Waiting != 100 {
		t.Errorf("account %+v", a)
	}
	disk.SetQuota(0)
	r.pass(40 * time.Second)
	r.answer(link.Ack{Boot: telemetry.Boot{1}, Class: packet.Normal, Prefix: 200})
	if a := r.account(); a.Delivered != 200 || !r.Delivered() || r.Status().DiskError != nil {
		t.Errorf("after space returned: %+v, %v", a, r.Status().DiskError)
	}
}

// A packet that does not match its layout costs itself, and nothing else.
func TestAProducersMistakeDoesNotStopTheStream(t *testing.T) {
	r := open(t, simdisk.New(), 1)
	r.publish(packet.Normal, 3)
	var w packet.Writer
	w.Reset(nil, packet.Header{Layout: uint64(imu.ID()), Class: packet.Normal})
	w.Bool(true)
	b, _ := w.Bytes()
	if _, err := r.producer.Publish(b); err != nil {
		t.Fatal(err)
	}
	stranger := &telemetry.Layout{Name: "stranger", Kind: telemetry.Reading, Fields: imu.Fields}
	if _, err := r.producer.Publish(record(packet.Normal, stranger, 1)); err != nil {
		t.Fatal(err)
	}
	r.publish(packet.Normal, 3)
	r.pass(12 * time.Second)
	if a := r.account(); a.Numbered != 8 || a.LostBy[ledger.Corrupted] != 2 || a.Waiting != 6 {
		t.Errorf("account %+v", a)
	}
}

func TestDamageInTheSpoolIsDeclared(t *testing.T) {
	disk := simdisk.New()
	r := open(t, disk, 1)
	for range 5 { // five frames, before anything is sent
		r.publish(packet.Normal, 10)
		r.Flush(r.now)
		for _, e := range r.Effects() {
			if _, ok := e.(courier.Sync); ok {
				r.Synced(r.now, r.SyncSpool())
			}
		}
		r.Poll(r.now)
		r.Flush(r.now)
		for _, e := range r.Effects() {
			if _, ok := e.(courier.Sync); ok {
				r.Synced(r.now, r.SyncSpool())
			}
		}
	}
	if err := r.End(r.now); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	flip(t, disk, "spool/normal", "FULM", 2)
	r = open(t, disk, 2)
	r.pass(5 * time.Second)
	a := r.Status().Accounts[packet.Normal.Index()]
	if a.Numbered != 50 || a.LostBy[ledger.Corrupted] != 10 || a.Check() != nil {
		t.Errorf("account %+v", a)
	}
	declared := false
	for _, h := range r.headers() {
		declared = declared || h.Mode == frame.Lost && h.Reason == ledger.Corrupted && h.Count == 10
	}
	if !declared {
		t.Error("the ground was not told")
	}
}

// flip damages the nth place in a folder's files where text stands.
func flip(t *testing.T, disk *simdisk.Disk, dir, text string, n int) {
	t.Helper()
	files, err := disk.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b := disk.File(dir + "/" + f.Name)
		for i := 0; i+len(text) <= len(b); i++ {
			if string(b[i:i+len(text)]) != text || i > 0 && b[i-1] != 'F' {
				continue
			}
			if n--; n == 0 {
				if err := disk.FlipBit(dir+"/"+f.Name, int64(8*(i+20))); err != nil {
					t.Fatal(err)
				}
				return
			}
		}
	}
	t.Fatal("nothing to damage")
}

func Example() {
	disk := simdisk.New() // on a machine, an env.OSDisk
	c, err := courier.Open(courier.Options{Device: "rover", Disk: disk, Spool: spool.Options{MinFree: 1}}, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		panic(err)
	}
	if err := c.Begin(telemetry.Boot{1}); err != nil {
		panic(err)
	}
	region, _ := ring.Create("", ring.Options{Device: "rover", Boot: telemetry.Boot{1}, Producers: 1})
	if err := c.Attach(region, -1); err != nil {
		panic(err)
	}
	if err := c.Define(imu); err != nil {
		panic(err)
	}
	p, _ := region.Producer(0)
	seq, _ := p.Publish(record(packet.Urgent, imu, 1.5))
	c.Poll(0)
	c.Flush(0)
	for _, e := range c.Effects() {
		if _, ok := e.(courier.Sync); ok {
			c.Synced(0, c.SyncSpool())
		}
	}
	fmt.Println("record", seq, "is durable:", region.Durable(packet.Urgent) > seq)
	// Output: record 0 is durable: true
}
