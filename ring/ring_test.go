package ring_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/ring"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

func newPacket(class packet.Class, id uint64, n int) []byte {
	var w packet.Writer
	w.Reset(nil, packet.Header{Layout: 7, Class: class})
	w.Uint64(id)
	for range n {
		w.Bool(true)
	}
	b, err := w.Bytes()
	if err != nil {
		panic(err)
	}
	return b
}

func idOf(p []byte) uint64 { return binary.LittleEndian.Uint64(p[packet.HeaderSize:]) }

func create(t testing.TB, path string, producers, capacity int) *ring.Region {
	t.Helper()
	r, err := ring.Create(path, ring.Options{Device: "rover", Boot: telemetry.Boot{1, 2, 3}, Producers: producers, Capacity: capacity})
	if err != nil {
		t.Fatal(err)
	}
	for i := range packet.Classes {
		r.SetCeiling(packet.ClassAt(i), 1<<62)
	}
	return r
}

// taken collects what a consumer yields, and checks that each number is given out once.
type taken struct {
	ids  map[uint64]uint64 // id → number
	seen [packet.Classes]ledger.Set
	lost [packet.Classes]uint64
}

func (k *taken) take(e ring.Entry) error {
	if n := k.seen[e.Class.Index()].Add(e.Range); n != e.Range.Count {
		return fmt.Errorf("%s numbers %v given out twice", e.Class, e.Range)
	}
	if e.Packet == nil {
		k.lost[e.Class.Index()] += e.Range.Count
		return nil
	}
	if k.ids == nil {
		k.ids = make(map[uint64]uint64)
	}
	k.ids[idOf(e.Packet)] = e.Range.First
	return nil
}

// Whatever the sizes, classes and moments of release: every number below Next is either a packet whose Publish
// returned it, or declared lost, exactly once.
func TestEveryNumberIsAccountedFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, err := ring.Create("", ring.Options{Device: "rover", Producers: 3, Capacity: ring.MinCapacity})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		c := r.Consumer()
		var producers []*ring.Producer
		for i := range r.Producers() {
			p, err := r.Producer(i)
			if err != nil {
				t.Fatal(err)
			}
			producers = append(producers, p)
		}
		var got taken
		published := map[uint64]uint64{}
		marks := map[int]ring.Mark{}
		id := uint64(0)
		drain := func() {
			for i := range producers {
				for e, ok := c.Next(i); ok; e, ok = c.Next(i) {
					if err := got.take(e); err != nil {
						t.Fatal(err)
					}
					marks[i] = e.Mark
				}
			}
		}
		for range rapid.IntRange(1, 120).Draw(t, "operations") {
			switch rapid.IntRange(0, 5).Draw(t, "operation") {
			case 0:
				drain()
			case 1:
				for _, m := range marks {
					c.Release(m)
				}
			case 2:
				class := packet.ClassAt(rapid.IntRange(0, 2).Draw(t, "class"))
				r.SetCeiling(class, r.Ceiling(class)+uint64(rapid.IntRange(0, 50).Draw(t, "raise")))
			default:
				id++
				class := packet.ClassAt(rapid.IntRange(0, 2).Draw(t, "class"))
				p := producers[rapid.IntRange(0, 2).Draw(t, "producer")]
				seq, err := p.Publish(newPacket(class, id, rapid.IntRange(0, 50_000).Draw(t, "size")))
				if err == nil {
					published[id] = seq
				} else if !errors.Is(err, ring.ErrFull) {
					t.Fatal(err)
				}
			}
		}
		for i := range packet.Classes {
			r.SetCeiling(packet.ClassAt(i), 1<<62)
		}
		drain()
		for _, m := range marks {
			c.Release(m)
		}
		for _, p := range producers {
			if !p.Flush() {
				t.Fatal("an empty ring has no room for a declaration")
			}
		}
		drain()
		for i := range packet.Classes {
			class := packet.ClassAt(i)
			if next := r.Next(class); got.seen[i].Prefix() != next {
				t.Fatalf("%s: numbers up to %d are accounted for, %d were given out", class, got.seen[i].Prefix(), next)
			}
			if r.Dropped(class) != 0 {
				t.Fatalf("%s: dropped packets without a number", class)
			}
		}
		if len(got.ids) != len(published) {
			t.Fatalf("%d packets taken, %d published", len(got.ids), len(published))
		}
		for id, seq := range published {
			if s, ok := got.ids[id]; !ok || s != seq {
				t.Fatalf("packet %d was published as %d and taken as %d (%t)", id, seq, s, ok)
			}
		}
	})
}

func TestProducersAndConsumerAtTheSameTime(t *testing.T) {
	r := create(t, filepath.Join(t.TempDir(), "r.ring"), 4, ring.MinCapacity)
	defer r.Close()
	const each = 5_000
	var wg sync.WaitGroup
	for i := range r.Producers() {
		p, err := r.Producer(i)
		if err != nil {
			t.Fatal(err)
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := range each {
				_, _ = p.Publish(newPacket(packet.ClassAt(n%3), uint64(i*each+n), n%300))
			}
			for !p.Flush() {
				runtime.Gosched()
			}
		}()
	}
	ended := make(chan struct{})
	go func() { wg.Wait(); close(ended) }()
	c := r.Consumer()
	var got taken
	for last := false; ; {
		for i := range r.Producers() {
			for e, ok := c.Next(i); ok; e, ok = c.Next(i) {
				if err := got.take(e); err != nil {
					t.Fatal(err)
				}
				c.Release(e.Mark)
			}
		}
		if last {
			break
		}
		select {
		case <-ended:
			last = true
		default:
			runtime.Gosched()
		}
	}
	total := uint64(0)
	for i := range packet.Classes {
		if p, n := got.seen[i].Prefix(), r.Next(packet.ClassAt(i)); p != n {
			t.Errorf("%s: accounted for up to %d of %d", packet.ClassAt(i), p, n)
		}
		total += got.seen[i].Count()
	}
	if total != 4*each || c.Damaged != 0 {
		t.Errorf("%d numbers for %d packets, %d damaged", total, 4*each, c.Damaged)
	}
}

// What was read and not released is there again for the next consumer.
func TestWhatIsNotReleasedStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.ring")
	r := create(t, path, 1, 0)
	if !r.Survives() {
		t.Skip("this system has no shared memory that outlives a process")
	}
	p, _ := r.Producer(0)
	for id := range uint64(10) {
		if _, err := p.Publish(newPacket(packet.Normal, id, 8)); err != nil {
			t.Fatal(err)
		}
	}
	c := r.Consumer()
	for range 4 {
		e, _ := c.Next(0)
		c.Release(e.Mark)
	}
	c.Next(0)
	if _, err := ring.Open(path); !errors.Is(err, ring.ErrInUse) {
		t.Fatalf("a region in use was opened: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := ring.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if r.Device() != "rover" || r.Boot() != (telemetry.Boot{1, 2, 3}) || r.Next(packet.Normal) != 10 {
		t.Fatalf("reopened as %s %s, next %d", r.Device(), r.Boot(), r.Next(packet.Normal))
	}
	c = r.Consumer()
	for want := uint64(4); want < 10; want++ {
		e, ok := c.Next(0)
		if !ok || idOf(e.Packet) != want || e.Range.First != want {
			t.Fatalf("entry %d: %v %t", want, e, ok)
		}
	}
	if _, ok := c.Next(0); ok {
		t.Fatal("an eleventh packet")
	}
	if err := r.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := ring.Open(path); err == nil {
		t.Fatal("a removed region opens")
	}
}

func TestPublishAllocatesNothing(t *testing.T) {
	r := create(t, "", 1, 1<<20)
	defer r.Close()
	p, _ := r.Producer(0)
	c := r.Consumer()
	b := newPacket(packet.Normal, 1, 64)
	n := testing.AllocsPerRun(10_000, func() {
		if _, err := p.Publish(b); err != nil {
			t.Fatal(err)
		}
		e, ok := c.Next(0)
		if !ok {
			t.Fatal("not there")
		}
		c.Release(e.Mark)
	})
	if n != 0 {
		t.Fatalf("%v allocations per packet", n)
	}
}

func BenchmarkPublish(b *testing.B) {
	r := create(b, "", 1, 1<<20)
	defer r.Close()
	p, _ := r.Producer(0)
	c := r.Consumer()
	pk := newPacket(packet.Normal, 1, 64)
	for b.Loop() {
		if _, err := p.Publish(pk); err != nil {
			b.Fatal(err)
		}
		e, _ := c.Next(0)
		c.Release(e.Mark)
	}
}

func Example() {
	r, err := ring.Create("", ring.Options{Device: "rover", Producers: 1})
	if err != nil {
		panic(err)
	}
	defer r.Close()
	r.SetCeiling(packet.Normal, 1000) // after it was made durable

	var w packet.Writer
	w.Reset(nil, packet.Header{Layout: 7, Class: packet.Normal})
	w.Float64(1.5)
	b, _ := w.Bytes()
	p, _ := r.Producer(0)
	seq, _ := p.Publish(b)
	fmt.Println("published as", seq)

	c := r.Consumer()
	for e, ok := c.Next(0); ok; e, ok = c.Next(0) {
		fmt.Println("took", e.Range.First, "of class", e.Class)
		c.Release(e.Mark) // once it is in the spool
	}
	// Output:
	// published as 0
	// took 0 of class normal
}

// A packet that changed in memory is not passed on: its number is missing, and what follows it comes.
func TestDamageCostsOnePacket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ring")
	r := create(t, path, 1, ring.MinCapacity)
	defer r.Close()
	if !r.Survives() {
		t.Skip("this system keeps no file to damage")
	}
	p, err := r.Producer(0)
	if err != nil {
		t.Fatal(err)
	}
	const mark = 0x1122334455667788
	for _, id := range []uint64{1, mark, 3} {
		if _, err := p.Publish(newPacket(packet.Normal, id, 0)); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, binary.LittleEndian.AppendUint64(nil, mark))
	if _, err := f.WriteAt([]byte{b[at] ^ 4}, int64(at)); err != nil {
		t.Fatal(err)
	}
	c := r.Consumer()
	for _, want := range []uint64{0, 2} {
		if e, ok := c.Next(0); !ok || e.Range != (ledger.Range{First: want, Count: 1}) {
			t.Errorf("%+v, %v, want number %d", e, ok, want)
		}
	}
	if e, ok := c.Next(0); ok || c.Damaged != 1 {
		t.Errorf("then %+v, %d damaged", e, c.Damaged)
	}
}
