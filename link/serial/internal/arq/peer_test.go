package arq

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/wire"
)

// cobs takes a frame apart without checking its checksum, and without memory.
func cobs(dst, src []byte) int {
	n, err := wire.DecodeCOBS(dst, src)
	if err != wire.OK {
		panic(err)
	}
	return n
}

// attacked is a ground with a peer that writes what it likes.
type attacked struct {
	m      *Machine
	now    time.Duration
	number uint32 // the ground's, once there is a connection
	downs  []error
	got    int
	frames [][]byte // what the ground wrote
}

func newAttacked(t *testing.T) *attacked {
	a := &attacked{m: New(0, Options{Baud: MaxBaud}, rand.New(rand.NewPCG(1, 2)))}
	a.drain()
	a.send(syn{version: Version, nonce: 77, window: MaxWindow, fragment: MaxFragment, device: "rover"}.append(nil))
	for _, f := range a.frames {
		if f[0] == kindSynAck {
			a.number = binary.LittleEndian.Uint32(f[6:])
		}
	}
	a.send(appendPing(nil, a.number, 0))
	if a.m.phase != up {
		t.Fatal("no connection")
	}
	return a
}

func (a *attacked) drain() {
	for {
		effects := a.m.Effects()
		if len(effects) == 0 {
			return
		}
		for _, e := range effects {
			switch e.Kind {
			case Write:
				data := e.Data
				for data[0] == 0 {
					data = data[1:]
				}
				b := make([]byte, len(data))
				a.frames = append(a.frames, b[:cobs(b, data[:len(data)-1])-4])
				a.m.Written(a.now)
			case Down:
				a.downs = append(a.downs, e.Err)
			case Deliver:
				a.got++
			}
		}
	}
}

func (a *attacked) send(frame []byte) {
	a.now += 100 * time.Microsecond
	a.m.Received(a.now, frame)
	a.drain()
	a.m.Tick(a.now)
	a.drain()
}

func (a *attacked) fragment(flags byte, seq uint16, n int) {
	a.send(append(appendDataHeader(nil, flags, a.number, seq, seq), make([]byte, n)...))
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A message that never ends is cut off when it is too long, and costs no more than it may.
func TestMessageWithoutEnd(t *testing.T) {
	a := newAttacked(t)
	before := heap()
	first := uint16(a.m.peer.mine)
	for i := range 2 * link.MaxMessage / 1000 {
		flags := byte(0)
		if i == 0 {
			flags = flagFirst
		}
		a.fragment(flags, first+uint16(i), 1000)
		if i%100 == 99 {
			a.frames = nil
		}
	}
	if len(a.downs) != 1 || !errors.Is(a.downs[0], errLength) {
		t.Errorf("down: %v", a.downs)
	}
	if grown := int64(heap()) - int64(before); grown > 2*link.MaxMessage {
		t.Errorf("%d KiB are kept", grown>>10)
	}
	runtime.KeepAlive(a)
}

// Holes that are never filled hold a window of fragments, whatever is sent.
func TestHoles(t *testing.T) {
	a := newAttacked(t)
	before := heap()
	first := uint16(a.m.peer.mine)
	for i := range 1 << 16 {
		if i != 0 {
			a.fragment(0, first+uint16(i), 1000)
		}
		a.frames = nil
	}
	if grown := int64(heap()) - int64(before); grown > 2*MaxWindow*MaxFragment {
		t.Errorf("%d KiB are kept", grown>>10)
	}
	if len(a.downs) != 0 || a.got != 0 {
		t.Errorf("down: %v, %d messages", a.downs, a.got)
	}
	runtime.KeepAlive(a)
}

// Fragments that make no message cut the connection, and the peer is told.
func TestFragmentsThatMakeNoMessage(t *testing.T) {
	for name, flags := range map[string][]byte{"no beginning": {0}, "two beginnings": {flagFirst, flagFirst}, "an end alone": {flagLast},
		"a beginning after an end": {flagFirst | flagLast, 0}} {
		a := newAttacked(t)
		a.frames = nil
		for i, f := range flags {
			a.fragment(f, uint16(a.m.peer.mine)+uint16(i), 1)
		}
		if len(a.downs) != 1 || !errors.Is(a.downs[0], errProtocol) || a.m.phase != listening {
			t.Errorf("%s: %v", name, a.downs)
		}
		told := false
		for _, f := range a.frames {
			told = told || f[0] == kindReset && binary.LittleEndian.Uint32(f[1:]) == a.number
		}
		if !told {
			t.Errorf("%s: the peer is not told", name)
		}
	}
}

// A fragment that is there already does not become another; a syn that comes again, late, is not answered.
func TestAgain(t *testing.T) {
	a := newAttacked(t)
	first := uint16(a.m.peer.mine)
	for _, text := range []string{"this", "that"} {
		a.send(append(appendDataHeader(nil, flagLast, a.number, first+1, 1), text...))
	}
	if x := a.m.in.slots[(first+1)%MaxWindow]; string(x.data) != "this" || a.m.Status().Again != 1 {
		t.Errorf("%q, %+v", x.data, a.m.Status())
	}
	a.frames = nil
	a.send(syn{version: Version, nonce: 77, window: MaxWindow, fragment: MaxFragment, device: "rover"}.append(nil))
	if len(a.frames) != 0 {
		t.Errorf("answered with %x", a.frames)
	}
}

// Whoever asks for connections without end, and uses none, changes nothing for the one that is.
func TestFloodOfSyns(t *testing.T) {
	a := newAttacked(t)
	for i := range 10_000 {
		a.send(syn{version: Version, nonce: uint32(1000 + i), window: 1, fragment: 32, device: "other"}.append(nil))
		a.frames = nil
	}
	a.fragment(flagFirst|flagLast, uint16(a.m.peer.mine), 1)
	if a.got != 1 || len(a.downs) != 0 || a.m.peer.device != "rover" {
		t.Errorf("%d messages, down: %v", a.got, a.downs)
	}
}

// What is said of another connection is of no effect, but for a word that it is not known.
func TestOtherNumbers(t *testing.T) {
	a := newAttacked(t)
	a.frames = nil
	for _, n := range []uint32{1, a.number + 1, 1<<32 - 1} {
		a.send(appendDataHeader(nil, flagFirst|flagLast, n, uint16(n), 0))
		a.send(ack{next: uint16(n) + 1}.append(nil, n))
		a.send(appendPing(nil, n, 0))
		a.send(addressed(nil, kindReset, n))
	}
	a.send(addressed(nil, kindReset, 0))
	if len(a.downs) != 0 || a.got != 0 {
		t.Fatalf("down: %v, %d messages", a.downs, a.got)
	}
	for _, f := range a.frames {
		if f[0] != kindReset || binary.LittleEndian.Uint32(f[1:]) == a.number {
			t.Errorf("answered with %x", f)
		}
	}
	if len(a.frames) != 9 {
		t.Errorf("%d words for 9 frames", len(a.frames))
	}
	a.send(addressed(nil, kindReset, 77))
	if len(a.downs) != 1 {
		t.Error("the peer's own word is not taken")
	}
}

// Acknowledgements that come late, twice, or speak of what was never sent, lose nothing and repeat nothing.
func TestStrangeAcknowledgements(t *testing.T) {
	w := joined(t, 57600, 3, luck{})
	m := w.ends[0].m
	w.ends[0].queue = [][]byte{message(w.rng, 0, 460*5-4)}
	w.delay = time.Second
	w.run(400*time.Millisecond, func() bool { return m.out.stamp >= 5 })
	base, next, stamp := m.out.base, m.out.next, m.out.stamp
	if next-base != 5 {
		t.Fatalf("%d fragments under way", next-base)
	}
	for _, a := range []ack{
		{next: next + 1, stamp: stamp - 1},              // of a fragment that was not sent
		{next: base, stamp: stamp, bits: 31},            // of a transmission that was not
		{next: base - 3, stamp: 0xffff},                 // old
		{next: base - 3, stamp: 0xffff, bits: 7},        // old, with what was before
		{next: base + 1<<15, stamp: stamp - 1, bits: 1}, // neither old nor new
	} {
		m.Received(w.now, a.append(nil, m.peer.mine))
		if m.out.base != base {
			t.Errorf("%+v: moved to %d", a, m.out.base-base)
		}
		for i := range uint16(5) {
			if x := m.out.slot(base + i); x.acked {
				t.Errorf("%+v: fragment %d counts as acknowledged", a, i)
			}
		}
	}
	// The third has arrived, and the first transmission was before that.
	late := ack{next: base, stamp: m.out.slot(base + 2).stamp, bits: 1 << 2}
	for range 3 {
		m.Received(w.now, late.append(nil, m.peer.mine))
		for i, want := range []bool{false, false, true, false, false} {
			if m.out.slot(base+uint16(i)).acked != want {
				t.Errorf("fragment %d: acknowledged %t", i, !want)
			}
		}
	}
	if !w.run(time.Minute, func() bool { return len(w.ends[1].got) == 1 }) {
		t.Error("the message does not arrive")
	}
}

// FuzzReceived: frames of any content, to either end, with and without a connection. The first byte of each says how long it is.
func FuzzReceived(f *testing.F) {
	f.Add([]byte{6, kindSyn, 9, 1, 2, 3, 4}, false)
	f.Add(append([]byte{5}, addressed(nil, kindReset, 0)...), true)
	f.Add(append([]byte{15}, syn{version: 1, nonce: 5, window: 4, fragment: 40, device: "rover"}.append(nil)...), false)
	f.Fuzz(func(t *testing.T, b []byte, machine bool) {
		w := joined(t, 57600, 1, luck{})
		i := 1
		if machine {
			i = 0
		}
		e := w.ends[i]
		for len(b) > 0 {
			n := min(int(b[0]), len(b)-1)
			frame := append([]byte(nil), b[1:1+n]...)
			b = b[1+n:]
			if n >= 5 && frame[1] == 0 { // a fuzzer does not guess the number
				binary.LittleEndian.PutUint32(frame[1:], e.m.peer.mine)
			}
			e.m.Received(w.now, frame)
			w.run(50*time.Millisecond, func() bool { return false })
		}
		// What was said in the peer's name is believed; but nothing hangs, and a new start is always possible.
		w.restart(0)
		w.ends[1].m.Tick(w.now)
		if !w.run(time.Minute, func() bool { return w.ends[0].ups == 1 }) {
			t.Fatal("no connection any more")
		}
		w.ends[0].queue = [][]byte{[]byte("after")}
		if !w.run(time.Minute, func() bool {
			got := w.ends[1].got
			return len(got) > 0 && string(got[len(got)-1]) == "after"
		}) {
			t.Fatal("nothing arrives any more")
		}
	})
}
