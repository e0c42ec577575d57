package fulmar_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fulmar-io/fulmar"
)

// queued joins a task that pushes what it is told with one that reads.
func queued(t *testing.T, capacity int) (push func(values ...int64) []bool, read func() []int64, in *fulmar.Each[int64], b *bench) {
	b = newBench(t)
	var q fulmar.Queue[int64]
	var values []int64
	var pushed []bool
	w := b.task(0, "w", fulmar.Task{Writes: []fulmar.Output{q.As("edge", capacity)}, Step: func(*fulmar.Step) error {
		pushed = nil
		for _, v := range values {
			pushed = append(pushed, q.Push(v))
		}
		return nil
	}})
	in = new(fulmar.Each[int64])
	input := in.From("w/edge")
	if err := input.Connect(&q, nil); err != nil {
		t.Fatal(err)
	}
	var got []int64
	r := b.task(1, "r", fulmar.Task{Reads: []fulmar.Input{input}, Step: func(*fulmar.Step) error {
		got = slices.Clone(in.Get())
		return nil
	}})
	step := func(task *fulmar.TaskRun) {
		if err := task.Run(0, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	return func(v ...int64) []bool { values = v; step(w); return pushed },
		func() []int64 { step(r); return got }, in, b
}

func TestAQueueBringsEachValueOnceAndInOrder(t *testing.T) {
	push, read, in, b := queued(t, 4)
	if got := read(); len(got) != 0 || in.Version() != 0 {
		t.Errorf("before anything was pushed: %v, version %d", got, in.Version())
	}
	push(1, 2)
	push(3)
	if got := read(); !slices.Equal(got, []int64{1, 2, 3}) || in.Version() != 3 {
		t.Errorf("%v, version %d", got, in.Version())
	}
	if got := read(); len(got) != 0 {
		t.Errorf("again: %v", got)
	}
	for range 3 {
		b.next(0) // each is a record
	}
}

// What finds no room is lost, the newest, and counted; the writer goes on.
func TestAQueueIsBounded(t *testing.T) {
	push, read, in, _ := queued(t, 4)
	if got := push(1, 2, 3, 4, 5); !slices.Equal(got, []bool{true, true, true, true, false}) {
		t.Errorf("five values into a step with room for four: %v", got)
	}
	push(6, 7)
	if got := read(); !slices.Equal(got, []int64{1, 2, 3, 4}) || in.Missed() != 2 {
		t.Errorf("%v, %d missed", got, in.Missed())
	}
	push(8)
	if got := read(); !slices.Equal(got, []int64{8}) || in.Missed() != 2 || in.Version() != 5 {
		t.Errorf("%v, %d missed, version %d", got, in.Missed(), in.Version())
	}
}

func TestQueuesAndLatestValuesAreNotMixed(t *testing.T) {
	var q fulmar.Queue[int64]
	if _, err := q.As("edge", 0).Bind("w", nil); !errors.Is(err, fulmar.ErrSpec) || !strings.Contains(err.Error(), "capacity of 0") {
		t.Error(err)
	}
	if _, err := q.As("edge", 4).Bind("w", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := q.As("edge", 4).Bind("w", nil); !errors.Is(err, fulmar.ErrSpec) {
		t.Error(err)
	}
	var latest fulmar.In[int64]
	if err := latest.From("w/edge").Connect(&q, nil); !errors.Is(err, fulmar.ErrSpec) {
		t.Errorf("the latest value of a queue: %v", err)
	}
	var other fulmar.Each[float64]
	if err := other.From("w/edge").Connect(&q, nil); !errors.Is(err, fulmar.ErrSpec) {
		t.Errorf("a queue of another type: %v", err)
	}
	var out fulmar.Out[int64]
	var each fulmar.Each[int64]
	if err := each.From("w/edge").Connect(&out, nil); !errors.Is(err, fulmar.ErrSpec) {
		t.Errorf("each of a latest value: %v", err)
	}
}

// A reader that is made again takes the place of the one before, which may still be reading; a writer that is made again goes on
// in the same queue.
func TestAQueueOutlivesBothSides(t *testing.T) {
	var q fulmar.Queue[int64]
	b := newBench(t)
	w := b.task(0, "w", fulmar.Task{Writes: []fulmar.Output{q.As("edge", 4)}, Step: func(s *fulmar.Step) error { q.Push(int64(s.Now)); return nil }})
	var old, next fulmar.Each[int64]
	before := old.From("w/edge")
	if err := before.Connect(&q, nil); err != nil {
		t.Fatal(err)
	}
	run := func(task *fulmar.TaskRun, now int64) {
		if err := task.Run(1, 1, now); err != nil {
			t.Fatal(err)
		}
	}
	run(w, 1)
	input := next.From("w/edge")
	if err := input.Connect(&q, before); err != nil {
		t.Fatal(err)
	}
	r := b.task(1, "r", fulmar.Task{Reads: []fulmar.Input{input}, Step: func(*fulmar.Step) error { return nil }})
	stuck := b.task(2, "stuck", fulmar.Task{Reads: []fulmar.Input{before}, Step: func(*fulmar.Step) error { return nil }})
	for range 9 {
		run(w, 1)
	}
	run(r, 1)
	run(stuck, 1)
	if len(next.Get()) != 4 || next.Missed() != 5 || len(old.Get()) != 1 || old.Missed() != 0 {
		t.Errorf("new reader: %d values, %d missed; the one before: %d, %d", len(next.Get()), next.Missed(), len(old.Get()), old.Missed())
	}
	var again fulmar.Queue[int64]
	out := again.As("edge", 4)
	if _, err := out.Bind("w", &q); err != nil {
		t.Fatal(err)
	}
	p, err := fulmar.NewPublisher(b.region, 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	run(fulmar.NewTaskRun(fulmar.Task{Writes: []fulmar.Output{out}, Step: func(*fulmar.Step) error { again.Push(77); return nil }}, p, &b.monitor, fulmar.EventLayout("w")), 1)
	run(r, 1)
	if !slices.Equal(next.Get(), []int64{77}) {
		t.Errorf("after the writer was made again: %v", next.Get())
	}
	var wider fulmar.Queue[int64]
	if _, err := wider.As("edge", 8).Bind("w", &q); !errors.Is(err, fulmar.ErrSpec) {
		t.Errorf("a queue that is another: %v", err)
	}
}

// Writer and reader run at the same time: every value comes once and in order, or is counted.
func TestAQueueBetweenTwoThreads(t *testing.T) {
	b := newBench(t)
	var q fulmar.Queue[uint64]
	n := uint64(0)
	w := b.task(0, "w", fulmar.Task{Writes: []fulmar.Output{q.As("edge", 64)}, Step: func(*fulmar.Step) error {
		n++
		q.Push(n)
		return nil
	}})
	var in fulmar.Each[uint64]
	input := in.From("w/edge")
	if err := input.Connect(&q, nil); err != nil {
		t.Fatal(err)
	}
	last := uint64(0)
	r := b.task(1, "r", fulmar.Task{Reads: []fulmar.Input{input}, Step: func(*fulmar.Step) error {
		for _, v := range in.Get() {
			if v <= last {
				return fmt.Errorf("%d after %d", v, last)
			}
			last = v
		}
		return nil
	}})
	const writes = 20_000
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for in.Version()+in.Missed() < writes {
			if err := r.Run(0, 0, 0); err != nil {
				t.Error(err)
				return
			}
			runtime.Gosched()
		}
	}()
	for range writes {
		if err := w.Run(0, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if in.Version()+in.Missed() != writes || in.Version() == 0 {
		t.Errorf("%d came, %d were missed, of %d", in.Version(), in.Missed(), writes)
	}
}

func TestAStepWithQueuesAllocatesNothing(t *testing.T) {
	push, read, _, b := queued(t, 4)
	_ = push
	var q fulmar.Queue[everything]
	w := b.task(2, "q", fulmar.Task{Writes: []fulmar.Output{q.As("all", 4)}, Step: func(*fulmar.Step) error {
		q.Push(everything{Mode: "auto"})
		return nil
	}})
	var in fulmar.Each[everything]
	input := in.From("q/all")
	if err := input.Connect(&q, nil); err != nil {
		t.Fatal(err)
	}
	r := b.task(3, "qr", fulmar.Task{Reads: []fulmar.Input{input}, Step: func(*fulmar.Step) error { return nil }})
	_ = read
	if n := testing.AllocsPerRun(1000, func() {
		if err := errors.Join(w.Run(1, 1, 1), r.Run(1, 1, 1)); err != nil {
			t.Fatal(err)
		}
		for e, ok := b.consumer.Next(2); ok; e, ok = b.consumer.Next(2) {
			b.consumer.Release(e.Mark)
		}
	}); n != 0 {
		t.Errorf("%v allocations per step", n)
	}
}
