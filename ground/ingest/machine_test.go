package ingest_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/ground/ingest"
	"github.com/fulmar-io/fulmar/ground/store"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

var stream = telemetry.Stream{Device: "rover", Boot: telemetry.Boot{1}, Class: packet.Normal}

var layout = &telemetry.Layout{Name: "imu", Kind: telemetry.Reading, Fields: []telemetry.Field{{Name: "x", Type: packet.Float64}}}

// frameOf makes a frame with records first to first+n-1, whose values are their numbers plus salt.
func frameOf(t testing.TB, s telemetry.Stream, first, n uint64, salt float64) []byte {
	t.Helper()
	e := frame.NewEncoder()
	e.Reset(s)
	var w packet.Writer
	for seq := first; seq < first+n; seq++ {
		w.Reset(nil, packet.Header{Layout: uint64(layout.ID()), Seq: seq, Mono: int64(seq) * 1e6, Class: s.Class})
		w.Float64(float64(seq) + salt)
		b, err := w.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Append(layout, b); err != nil {
			t.Fatal(err)
		}
	}
	b, err := e.Finish(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func lost(first, n uint64, why ledger.Reason) []byte {
	return frame.AppendLost(nil, stream, first, n, why)
}

// stores returns the headers of the frames that are to be stored, and what is replied, in words.
func effects(m *ingest.Machine) (headers []frame.Header, replies []string) {
	for _, e := range m.Effects() {
		switch e := e.(type) {
		case ingest.Store:
			headers = append(headers, e.Header)
		case ingest.Reply:
			replies = append(replies, fmt.Sprintf("%s %+v", e.Device, e.Message))
		}
	}
	return headers, replies
}

func ack(prefix uint64, ranges ...ledger.Range) string {
	return fmt.Sprintf("rover %+v", link.Ack{Boot: stream.Boot, Class: stream.Class, Prefix: prefix, Ranges: ranges})
}

func TestNothingIsAcknowledgedBeforeItIsDurable(t *testing.T) {
	m := ingest.New(ingest.Options{})
	m.Frame(0, "rover", frameOf(t, stream, 0, 10, 0), false)
	m.Frame(0, "rover", frameOf(t, stream, 20, 5, 0), false)
	headers, replies := effects(m)
	if len(headers) != 2 || len(replies) != 0 {
		t.Fatalf("%d to store, replies %v", len(headers), replies)
	}
	m.Frame(0, "rover", frameOf(t, stream, 0, 10, 0), false) // again, while it is on its way to the disk
	if h, r := effects(m); len(h)+len(r) != 0 {
		t.Fatalf("a frame on its way to the disk: %v %v", h, r)
	}
	m.Stored(headers...)
	if _, replies = effects(m); len(replies) != 1 || replies[0] != ack(10, ledger.Range{First: 20, Count: 5}) {
		t.Fatalf("replies %v", replies)
	}
	m.Frame(0, "rover", frameOf(t, stream, 0, 10, 0), false)
	if h, replies := effects(m); len(h) != 0 || len(replies) != 1 || replies[0] != ack(10, ledger.Range{First: 20, Count: 5}) {
		t.Fatalf("a frame that is known: %v %v", h, replies)
	}
	if c := m.Counters(); c.Stored != 2 || c.Duplicates != 2 {
		t.Errorf("counters %+v", c)
	}
}

func TestWhatCouldNotBeStoredComesAgain(t *testing.T) {
	m := ingest.New(ingest.Options{})
	b := frameOf(t, stream, 0, 10, 0)
	m.Frame(0, "rover", b, false)
	headers, _ := effects(m)
	full := errors.New("disk full")
	m.Failed(0, full, headers...)
	if e := m.Effects(); len(e) != 2 || e[0] != (ingest.Dropped{Device: "rover", Why: ingest.Unstored, Err: full}) || m.Counters().Shed != 1 {
		t.Errorf("%+v, counters %+v: it went without a word", e, m.Counters())
	}
	m.Frame(0, "rover", b, false)
	if headers, _ = effects(m); len(headers) != 1 {
		t.Fatal("it was taken for known")
	}
}

func TestRefusals(t *testing.T) {
	m := ingest.New(ingest.Options{})
	m.Frame(0, "rover", frameOf(t, stream, 0, 10, 0), false)
	headers, _ := effects(m)
	m.Stored(headers...)
	effects(m)
	m.Frame(0, "rover", frameOf(t, stream, 5, 10, 0), false)
	m.Frame(0, "boat", frameOf(t, stream, 30, 1, 0), false)
	var codes []link.Code
	for _, e := range m.Effects() {
		if r, ok := e.(ingest.Reply); ok {
			codes = append(codes, r.Message.(link.Refuse).Code)
		}
	}
	if fmt.Sprint(codes) != "[conflict device]" {
		t.Errorf("codes %v", codes)
	}
	damaged := frameOf(t, stream, 40, 1, 0)
	damaged[len(damaged)-1] ^= 1
	m.Frame(0, "rover", damaged, false)
	m.Frame(0, "rover", []byte("no frame"), false)
	if h, r := effects(m); len(h)+len(r) != 0 || m.Counters().Damaged != 2 || m.Counters().Refused != 2 {
		t.Errorf("damaged frames: %v %v %+v", h, r, m.Counters())
	}
}

// store passes a frame through, as durable.
func storeFrame(m *ingest.Machine, b []byte) {
	m.Frame(0, "rover", b, false)
	h, _ := effects(m)
	m.Stored(h...)
	effects(m)
}

func TestFoundIsBetterThanLost(t *testing.T) {
	m := ingest.New(ingest.Options{})
	storeFrame(m, lost(0, 30, ledger.Quota))
	storeFrame(m, frameOf(t, stream, 10, 10, 0))
	a, _ := m.Account("rover")
	if a.Numbered != 30 || a.Delivered != 10 || a.LostBy[ledger.Quota] != 20 || a.Check() != nil {
		t.Errorf("account %+v", a)
	}
	storeFrame(m, lost(5, 40, ledger.Unclean)) // of which 15 are new
	a, _ = m.Account("rover")
	if a.Numbered != 45 || a.Delivered != 10 || a.LostBy[ledger.Unclean] != 15 || a.LostBy[ledger.Quota] != 20 || a.Check() != nil {
		t.Errorf("account %+v", a)
	}
}

func TestLimits(t *testing.T) {
	m := ingest.New(ingest.Options{Devices: 1, Boots: 2, Holes: 3})
	for i := range uint64(5) {
		storeFrame(m, frameOf(t, stream, 10+20*i, 1, 0)) // each makes a hole
	}
	if c := m.Counters(); c.Stored != 3 || c.Shed != 2 {
		t.Errorf("holes: %+v", c)
	}
	storeFrame(m, frameOf(t, stream, 0, 10, 0)) // what closes one is taken
	if c := m.Counters(); c.Stored != 4 {
		t.Errorf("a frame that closes a hole: %+v", c)
	}
	other := stream
	other.Device = "boat"
	m.Frame(0, "boat", frameOf(t, other, 0, 1, 0), false)
	if h, _ := effects(m); len(h) != 0 || m.Counters().Shed != 3 {
		t.Errorf("a second device: %+v", m.Counters())
	}
	for i := range byte(4) {
		s := stream
		s.Boot = telemetry.Boot{9, i}
		storeFrame(m, frameOf(t, s, 0, 1, 0))
	}
	if a, _ := m.Account("rover"); a.Numbered != 2 {
		t.Errorf("of %d records' streams more than two boots are kept", a.Numbered)
	}
}

// Which boot was heard of last is not in the marks: of those in them the first goes.
func TestAfterARestartTheFirstBootIsForgotten(t *testing.T) {
	const kept = 8
	boot := func(i byte) telemetry.Stream {
		s := stream
		s.Boot = telemetry.Boot{i}
		return s
	}
	m := ingest.New(ingest.Options{Boots: kept})
	for i := range byte(kept) {
		storeFrame(m, frameOf(t, boot(kept-i), 0, 1, 0))
	}
	again := ingest.New(ingest.Options{Boots: kept})
	if err := again.Restore(m.Marks()); err != nil {
		t.Fatal(err)
	}
	storeFrame(again, frameOf(t, boot(kept+1), 0, 1, 0))
	for i := byte(2); i <= kept; i++ {
		again.Frame(0, "rover", frameOf(t, boot(i), 0, 1, 0), false)
		if h, _ := effects(again); len(h) != 0 {
			t.Errorf("boot %d was forgotten", i)
		}
	}
}

func TestMarksSurviveACheckpoint(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	m := ingest.New(ingest.Options{})
	for range 60 {
		first := uint64(rng.IntN(500))
		if rng.IntN(3) == 0 {
			storeFrame(m, lost(first, uint64(1+rng.IntN(30)), ledger.Quota))
		} else {
			storeFrame(m, frameOf(t, stream, first, uint64(1+rng.IntN(10)), 0))
		}
	}
	marks := m.Marks()
	again := ingest.New(ingest.Options{})
	if err := again.Restore(marks); err != nil {
		t.Fatal(err)
	}
	a, da := m.Account("rover")
	b, db := again.Account("rover")
	if a != b || da != db || !bytes.Equal(again.Marks(), marks) {
		t.Errorf("%+v became %+v", a, b)
	}
	for n := range marks {
		if err := again.Restore(marks[:n]); !errors.Is(err, ingest.ErrCheckpoint) {
			t.Fatalf("%d of %d bytes: %v", n, len(marks), err)
		}
	}
}

func FuzzRestore(f *testing.F) {
	m := ingest.New(ingest.Options{})
	storeFrame(m, frameOf(f, stream, 0, 3, 0))
	storeFrame(m, lost(7, 2, ledger.Overflow))
	f.Add(m.Marks())
	f.Fuzz(func(t *testing.T, b []byte) {
		m := ingest.New(ingest.Options{})
		if m.Restore(b) != nil {
			return
		}
		for _, d := range m.Devices() {
			if a, _ := m.Account(d); a.Delivered > a.Numbered {
				t.Fatalf("account %+v", a)
			}
		}
	})
}

// A crash of the ground between append, commit and checkpoint neither loses what was acknowledged nor stores it twice.
// The segments are so small that nearly every frame begins one, with a checkpoint.
func TestMarksAndLogAgreeAfterACrash(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 3))
		disk := simdisk.New()
		acked := &ledger.Set{}
		stored := map[uint64]bool{}
		for range 4 {
			in, err := ingest.OpenIntake(disk, "frames", ingest.Options{}, store.FramesOptions{SegmentBytes: 512, MinFree: 1})
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			for range 1 + rng.IntN(30) {
				first := uint64(10 * rng.IntN(40))
				b := link.Append(nil, link.Frame{Data: frameOf(t, stream, first, 10, 0)})
				if err := in.Message(1, "rover", b); err != nil {
					t.Fatal(err)
				}
				for _, e := range in.Effects() {
					switch e := e.(type) {
					case ingest.Sync:
						if rng.IntN(4) > 0 {
							in.Synced(in.Sync())
						}
					case ingest.Reply:
						note(acked, e)
					}
				}
				for _, e := range in.Effects() {
					if r, ok := e.(ingest.Reply); ok {
						note(acked, r)
					}
				}
			}
			disk.Crash(rng, simdisk.Mode(rng.IntN(simdisk.Modes)))
		}
		in, err := ingest.OpenIntake(disk, "frames", ingest.Options{}, store.FramesOptions{SegmentBytes: 512, MinFree: 1})
		if err != nil {
			t.Fatal(err)
		}
		have := &ledger.Set{}
		for i := in.Frames().First(); i < in.Frames().Next(); i++ {
			_, data, err := in.Frames().Read(i)
			if err != nil {
				t.Fatalf("seed %d: frame %d: %v", seed, i, err)
			}
			h, err := frame.Peek(data)
			if err != nil {
				t.Fatal(err)
			}
			if stored[h.First] && have.Contains(ledger.Range{First: h.First, Count: h.Count}) {
				t.Fatalf("seed %d: records from %d are stored twice", seed, h.First)
			}
			stored[h.First] = true
			have.Add(ledger.Range{First: h.First, Count: h.Count})
		}
		for r := range acked.Ranges() {
			if !have.Contains(r) {
				t.Fatalf("seed %d: records %v were acknowledged and are gone", seed, r)
			}
		}
	}
}

// What an earlier process appended and did not sync is known when it comes again, and acknowledged: so it must be durable
// before, or the ground not start.
func TestWhatIsFoundIsDurableBeforeItIsAcknowledged(t *testing.T) {
	disk := simdisk.New()
	options := store.FramesOptions{MinFree: 1}
	in, err := ingest.OpenIntake(disk, "frames", ingest.Options{}, options)
	if err != nil {
		t.Fatal(err)
	}
	message := func() []byte { return link.Append(nil, link.Frame{Data: frameOf(t, stream, 0, 10, 0)}) }
	if err := in.Message(1, "rover", message()); err != nil {
		t.Fatal(err)
	}
	disk.Kill()
	disk.Inject(simdisk.Fault{Ops: simdisk.OpSync | simdisk.OpSyncDir, Err: syscall.EIO})
	if _, err := ingest.OpenIntake(disk, "frames", ingest.Options{}, options); !errors.Is(err, syscall.EIO) {
		t.Fatalf("opened with what cannot be made durable: %v", err)
	}
	disk.Kill()
	if in, err = ingest.OpenIntake(disk, "frames", ingest.Options{}, options); err != nil {
		t.Fatal(err)
	}
	if err := in.Message(1, "rover", message()); err != nil {
		t.Fatal(err)
	}
	acked := &ledger.Set{}
	for _, e := range in.Effects() {
		if r, ok := e.(ingest.Reply); ok {
			note(acked, r)
		}
	}
	if acked.Count() != 10 {
		t.Fatalf("%d records are acknowledged", acked.Count())
	}
	disk.Crash(nil, simdisk.Lose)
	if in, err = ingest.OpenIntake(disk, "frames", ingest.Options{}, options); err != nil {
		t.Fatal(err)
	}
	if a, _ := in.Account("rover"); a.Delivered != 10 {
		t.Errorf("account after the power cut: %+v", a)
	}
}

// A frame that the disk does not return may be whole. Without its marks it would be stored twice.
func TestAGroundThatCannotReadDoesNotStart(t *testing.T) {
	disk := simdisk.New()
	options := store.FramesOptions{MinFree: 1, SegmentBytes: 4096, MaxBytes: 1}
	in, err := ingest.OpenIntake(disk, "frames", ingest.Options{}, options)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(40) {
		if err := in.Message(1, "rover", link.Append(nil, link.Frame{Data: frameOf(t, stream, 10*i, 10, 0)})); err != nil {
			t.Fatal(err)
		}
		in.Synced(in.Sync())
		if _, err := in.Frames().Retain(in.Frames().Next()); err != nil { // so that the marks are all there is of most frames
			t.Fatal(err)
		}
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	started, refused := 0, 0
	for after := range 40 {
		for times := range 5 {
			disk := disk.Clone()
			disk.Inject(simdisk.Fault{Ops: simdisk.OpRead | simdisk.OpOpen, After: after, Times: times, Err: syscall.EIO})
			in, err := ingest.OpenIntake(disk, "frames", ingest.Options{}, options)
			if err != nil {
				refused++
				if !errors.Is(err, syscall.EIO) {
					t.Fatalf("%d after %d: %v", times, after, err)
				}
				continue
			}
			started++
			if a, _ := in.Account("rover"); a.Delivered != 400 {
				t.Fatalf("%d after %d: it started and knows of %+v", times, after, a)
			}
		}
	}
	if started == 0 || refused == 0 {
		t.Errorf("%d starts, %d refused: the faults do not meet what is read", started, refused)
	}
}

func note(acked *ledger.Set, r ingest.Reply) {
	if a, ok := r.Message.(link.Ack); ok {
		acked.Add(ledger.Range{Count: a.Prefix})
		for _, x := range a.Ranges {
			acked.Add(x)
		}
	}
}

func ExampleMachine() {
	m := ingest.New(ingest.Options{})
	m.Frame(0, "rover", frame.AppendLost(nil, stream, 0, 3, ledger.Overflow), false)
	for _, e := range m.Effects() {
		if s, ok := e.(ingest.Store); ok {
			fmt.Println("store", s.Header.Count, "numbers")
			m.Stored(s.Header) // once the log has made it durable
		}
	}
	for _, e := range m.Effects() {
		if r, ok := e.(ingest.Reply); ok {
			fmt.Println("tell", r.Device, "that everything below", r.Message.(link.Ack).Prefix, "has arrived")
		}
	}
	// Output:
	// store 3 numbers
	// tell rover that everything below 3 has arrived
}
