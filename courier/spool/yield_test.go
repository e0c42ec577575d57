package spool_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/fulmar-io/fulmar/courier/spool"
	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

var (
	options = spool.Options{MaxBytes: 128 << 10, MinFree: 1}
	bulk    = telemetry.Stream{Device: "rover", Boot: telemetry.Boot{1}, Class: packet.Bulk}
	noise   = &telemetry.Layout{Name: "noise", Kind: telemetry.Reading, Fields: []telemetry.Field{{Name: "b", Type: packet.String}}}
)

// rig is a spool that is filled with frames of one record of 2 KiB each.
type rig struct {
	*spool.Spool
	t    *testing.T
	disk *simdisk.Disk
	next uint64
}

func full(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, disk: simdisk.New()}
	r.open()
	if err := r.Begin(bulk.Boot, [packet.Classes]uint64{1 << 20, 1 << 20, 1 << 20}); err != nil {
		t.Fatal(err)
	}
	for used, quota := r.Bytes(); used+4096 < quota; used, quota = r.Bytes() {
		if yielded, err := r.append(); err != nil || yielded != (spool.Yielded{}) {
			t.Fatalf("yielded %v, %v", yielded, err)
		}
		if err := r.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func (r *rig) open() {
	r.t.Helper()
	var err error
	if r.Spool, err = spool.Open(r.disk, "spool", "rover", options); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) append() (spool.Yielded, error) {
	r.t.Helper()
	rng := rand.New(rand.NewPCG(r.next, 1))
	b := make([]byte, 2048)
	for i := range b {
		b[i] = byte(' ' + rng.IntN(90))
	}
	var w packet.Writer
	w.Reset(nil, packet.Header{Layout: uint64(noise.ID()), Seq: r.next, Class: packet.Bulk})
	w.String(string(b))
	p, err := w.Bytes()
	if err != nil {
		r.t.Fatal(err)
	}
	e := frame.NewEncoder()
	e.Reset(bulk)
	if err := e.Append(noise, p); err != nil {
		r.t.Fatal(err)
	}
	f, err := e.Finish(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	yielded, err := r.Append(packet.Bulk, f)
	if err == nil {
		r.next++
	}
	return yielded, err
}

// yield appends until something yields, or an error comes.
func (r *rig) yield() (spool.Yielded, error) {
	for {
		if yielded, err := r.append(); err != nil || yielded != (spool.Yielded{}) {
			return yielded, err
		}
	}
}

// accounted checks that every number is in a frame or declared, and for what.
func (r *rig) accounted(allowed ledger.Reason) (records, lost uint64) {
	r.t.Helper()
	var all ledger.Set
	for range 100 {
		frames, _ := r.Load(packet.Bulk, 1000, 1<<30)
		for _, f := range frames {
			h, err := frame.Peek(f.Data)
			if err != nil {
				r.t.Fatal(err)
			}
			n := all.Add(ledger.Range{First: h.First, Count: h.Count})
			if h.Mode != frame.Lost {
				records += n
			} else if lost += n; h.Reason != allowed {
				r.t.Errorf("records %d to %d are declared lost as %s", h.First, h.First+h.Count-1, h.Reason)
			}
		}
	}
	if all.Prefix() != r.next {
		r.t.Errorf("accounted for up to %d of %d", all.Prefix(), r.next)
	}
	return records, lost
}

// What yields may have been read, and be acknowledged while its declaration cannot be made durable: it is counted once.
func TestWhatYieldsIsCountedOnce(t *testing.T) {
	r := full(t)
	frames, _ := r.Load(packet.Bulk, 1000, 1<<30)
	r.disk.Inject(simdisk.Fault{Ops: simdisk.OpSync, Err: syscall.EIO})
	if _, err := r.yield(); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	r.disk.Heal()
	for _, f := range frames {
		r.Done(f.Key, false)
	}
	if err := r.Sync(); err != nil {
		t.Fatal(err)
	}
	a := r.Account(packet.Bulk)
	if err := a.Check(); err != nil || a.LostBy[ledger.Quota] == 0 || a.Delivered+a.LostBy[ledger.Quota] != uint64(len(frames)) {
		t.Errorf("%d frames were sent; account %+v, %v", len(frames), a, err)
	}
}

// What is let go is gone from the disk only when its declaration is there: also if the first attempt to make it durable
// failed, if the process was killed in between, and if it is the cursor that is saved next.
func TestADeclarationIsDurableBeforeWhatItDeclaresIsGone(t *testing.T) {
	for _, killed := range []bool{false, true} {
		r := full(t)
		// The log's files cannot be synced; the cursor's can.
		r.disk.Inject(simdisk.Fault{Ops: simdisk.OpSync, Name: ".seg", Err: syscall.EIO})
		for range 3 {
			if _, err := r.yield(); !errors.Is(err, syscall.EIO) {
				t.Fatal(err)
			}
			_ = r.Save()
		}
		if killed {
			r.disk.Kill()
			r.open()
			r.disk.Inject(simdisk.Fault{Ops: simdisk.OpSync, Name: ".seg", Err: syscall.EIO})
			_ = r.Save()
		}
		r.disk.Crash(rand.New(rand.NewPCG(1, 1)), simdisk.Lose)
		r.open()
		if err := r.Sync(); err != nil {
			t.Fatal(err)
		}
		r.next = r.State(packet.Bulk).Next
		if records, lost := r.accounted(ledger.Quota); records+lost < 40 {
			t.Errorf("killed %t: %d records and %d lost", killed, records, lost)
		}
	}
}

// A record that the disk does not return is not taken for damaged because others have to make room.
func TestWhatCannotBeReadDoesNotYield(t *testing.T) {
	r := full(t)
	r.disk.Inject(simdisk.Fault{Ops: simdisk.OpRead | simdisk.OpOpen, Err: syscall.EIO})
	for range 20 {
		if _, err := r.yield(); !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
	}
	r.disk.Heal()
	if yielded, err := r.yield(); err != nil || yielded[packet.Bulk.Index()] == 0 {
		t.Fatalf("yielded %v, %v", yielded, err)
	}
	if err := r.Sync(); err != nil {
		t.Fatal(err)
	}
	if _, lost := r.accounted(ledger.Quota); lost == 0 {
		t.Error("nothing was declared")
	}
	// It is given up in the end: a bad block does not stop the spool.
	bad := simdisk.Fault{Ops: simdisk.OpRead | simdisk.OpOpen, Err: syscall.EIO}
	r.disk.Inject(bad)
	tries := 0
	for ; tries < 5000; tries++ {
		if yielded, err := r.yield(); yielded != (spool.Yielded{}) {
			break
		} else if err == nil {
			t.Fatal("neither yielded nor failed")
		}
	}
	if tries < 50 || tries > 2000 {
		t.Errorf("given up after %d tries", tries)
	}
}

// What is declared lost has been let go: when the disk refuses either, neither is in the log, and the ground cannot
// acknowledge the one for the other.
func TestNothingIsDeclaredThatIsStillThere(t *testing.T) {
	for after := range 12 {
		r := full(t)
		r.disk.Inject(simdisk.Fault{Ops: simdisk.OpWrite, After: after, Times: 3, Err: syscall.EIO})
		var err error
		for err == nil {
			var yielded spool.Yielded
			if yielded, err = r.yield(); yielded != (spool.Yielded{}) {
				break
			}
		}
		r.disk.Heal()
		if err := r.Sync(); err != nil {
			t.Fatal(err)
		}
		records := make(map[uint64]bool)
		frames, _ := r.Load(packet.Bulk, 1000, 1<<30)
		for _, f := range frames {
			h, err := frame.Peek(f.Data)
			if err != nil {
				t.Fatal(err)
			}
			for seq := h.First; seq < h.First+h.Count; seq++ {
				if h.Mode == frame.Lost && records[seq] {
					t.Fatalf("a write fails after %d: record %d is there and declared lost", after, seq)
				}
				records[seq] = true
			}
		}
	}
}

// A power cut may leave of what lets go of a segment, declarations and mark, only the beginning: then nothing was let go, and
// nothing is declared lost that will be delivered.
func TestAPowerCutLeavesNoDeclarationOfWhatIsThere(t *testing.T) {
	r := full(t)
	written := r.written()
	letGo, kept := 0, 0
	for seed := range uint64(400) {
		disk := written.Clone()
		disk.Crash(rand.New(rand.NewPCG(seed, 1)), simdisk.Mode(seed%uint64(simdisk.Modes)))
		after := &rig{t: t, disk: disk}
		for range 2 { // the next boot, and the one after it
			after.open()
			if err := after.Begin(telemetry.Boot{2}, [packet.Classes]uint64{1, 1, 1}); err != nil {
				t.Fatal(err)
			}
		}
		records, lost := after.declaredOnce(seed)
		if lost > 0 {
			letGo++
		} else {
			kept++
		}
		a := after.Account(packet.Bulk)
		if err := a.Check(); err != nil || a.Waiting != 0 || a.Delivered != records || a.LostBy[ledger.Quota] != lost {
			t.Fatalf("seed %d: %d records and %d declared lost have come to their end: %+v, %v", seed, records, lost, a, err)
		}
	}
	if letGo == 0 || kept == 0 {
		t.Errorf("%d power cuts let go, %d did not", letGo, kept)
	}
}

// written lets go of a segment and returns the disk as it was when that was written, and not durable.
func (r *rig) written() (disk *simdisk.Disk) {
	r.t.Helper()
	var latest *simdisk.Disk
	r.disk.OnOp = func(op simdisk.Op, _ string) {
		switch {
		case op == simdisk.OpWrite:
			latest = r.disk.Clone()
		case op == simdisk.OpSync && disk == nil:
			disk = latest
		}
	}
	if yielded, err := r.yield(); err != nil || disk == nil {
		r.t.Fatalf("yielded %v, %v", yielded, err)
	}
	r.disk.OnOp = nil
	return disk
}

// What such a power cut has left is void for good: also when it yields itself, after what it declares was delivered.
func TestADeclarationThatIsVoidStaysVoid(t *testing.T) {
	r := full(t)
	written, next := r.written(), r.next
	voids := 0
	for seed := range uint64(30) {
		disk := written.Clone()
		disk.Crash(rand.New(rand.NewPCG(seed, 1)), simdisk.InOrder)
		after := &rig{t: t, disk: disk}
		after.open()
		after.next = after.State(packet.Bulk).Next
		var there, declared ledger.Set
		frames, _ := after.Load(packet.Bulk, int(next)/2, 1<<30)
		for _, f := range frames {
			if h, err := frame.Peek(f.Data); err != nil || h.Mode != frame.Lost {
				there.Add(f.Range)
			}
			after.Done(f.Key, false)
		}
		if there.Prefix() == 0 {
			continue // the first segment was let go
		}
		voids++
		for range 3 * next { // and everything that was there then has yielded
			if _, err := after.append(); err != nil {
				t.Fatal(err)
			}
		}
		if err := after.Sync(); err != nil {
			t.Fatal(err)
		}
		frames, _ = after.Load(packet.Bulk, 1000, 1<<30)
		for _, f := range frames {
			if h, err := frame.Peek(f.Data); err == nil && h.Mode == frame.Lost {
				declared.Add(f.Range)
			}
		}
		for n := range there.Ranges() {
			for seq := n.First; seq < n.End(); seq++ {
				if declared.Contains(ledger.Range{First: seq, Count: 1}) {
					t.Fatalf("seed %d: record %d was delivered and is declared lost", seed, seq)
				}
			}
		}
	}
	if voids == 0 {
		t.Error("no power cut left the first segment")
	}
}

// The mark is damaged later: what it let go is gone, and declared all the same.
func TestAMarkThatIsDamagedHasLetGo(t *testing.T) {
	r := full(t)
	if yielded, err := r.yield(); err != nil || yielded == (spool.Yielded{}) {
		t.Fatalf("yielded %v, %v", yielded, err)
	}
	if err := errors.Join(r.Sync(), r.Close()); err != nil {
		t.Fatal(err)
	}
	cursor := r.Cursor(packet.Bulk)
	mark := append(binary.LittleEndian.AppendUint64([]byte{'D'}, cursor), bulk.Boot[:]...)
	files, err := r.disk.ReadDir("spool/bulk")
	if err != nil {
		t.Fatal(err)
	}
	damaged := false
	for _, f := range files {
		name := "spool/bulk/" + f.Name
		if at := bytes.LastIndex(r.disk.File(name), mark); at >= 0 {
			damaged = true
			if err := r.disk.FlipBit(name, int64(8*at)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !damaged {
		t.Fatal("nothing to damage")
	}
	r.open()
	if _, lost := r.accounted(ledger.Quota); lost == 0 {
		t.Error("what is gone is not declared")
	}
}

// declaredOnce takes everything there is to its end, as the ground does, and checks that no record is there and declared lost.
func (r *rig) declaredOnce(seed uint64) (records, lost uint64) {
	r.t.Helper()
	var there, declared ledger.Set
	for frames, _ := r.Load(packet.Bulk, 1000, 1<<30); len(frames) > 0; frames, _ = r.Load(packet.Bulk, 1000, 1<<30) {
		for _, f := range frames {
			h, err := frame.Peek(f.Data)
			if err != nil {
				r.t.Fatal(err)
			}
			n := ledger.Range{First: h.First, Count: h.Count}
			if h.Mode == frame.Lost {
				lost += declared.Add(n)
			} else {
				records += there.Add(n)
			}
			r.Done(f.Key, false)
		}
	}
	for n := range declared.Ranges() {
		for seq := n.First; seq < n.End(); seq++ {
			if there.Contains(ledger.Range{First: seq, Count: 1}) {
				r.t.Fatalf("seed %d: record %d is delivered and declared lost", seed, seq)
			}
		}
	}
	return records, lost
}

// A spool full of declarations, each of which must be made again when it yields, cannot shrink. It says that it is full.
func TestDeclarationsThatFillTheSpoolDoNotYieldForever(t *testing.T) {
	r := full(t)
	for i := uint64(2); i < 6000; i++ { // dead letters of as many boots that were declared lost
		boot := telemetry.Boot{15: byte(i), 14: byte(i >> 8)}
		lost := frame.AppendLost(nil, telemetry.Stream{Device: "rover", Boot: boot, Class: packet.Bulk}, 0, 1, ledger.Unclean)
		if err := r.Again(packet.Bulk, lost); err != nil {
			t.Fatal(err)
		}
	}
	operations := 0
	r.disk.OnOp = func(simdisk.Op, string) {
		if operations++; operations == 100_000 { // it yields and yields
			r.disk.Inject(simdisk.Fault{Ops: simdisk.OpAny, Err: syscall.EIO})
		}
	}
	for range 10 {
		if _, err := r.append(); !errors.Is(err, spool.ErrFull) {
			t.Fatal(err)
		}
	}
	used, _ := r.Bytes()
	if frames, _ := r.Load(packet.Bulk, 1<<20, 1<<30); len(frames) < 1000 {
		t.Errorf("%d frames are left in %d bytes", len(frames), used)
	}
}
