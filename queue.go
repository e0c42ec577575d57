package fulmar

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Queue is an output port of which no value may be passed over, other than Out's: each that is pushed goes to every task that reads it,
// in order, and is published as a record. T is as for Out. The zero Queue is ready for As.
//
// It is bounded: a reader that does not keep up loses what finds no room, the newest, and is told how many; the writer never
// waits.
type Queue[T any] struct {
	name     string
	class    Class
	capacity int
	layout   *Layout
	plan     plan
	value    T // what plan encodes
	pending  []T
	w        packet.Writer
	readers  *readers[T]
}

// As names the port, bounds how many values wait for a reader, and how many one step can push, and gives its records a class,
// by default Normal.
func (q *Queue[T]) As(name string, capacity int, class ...Class) Output {
	q.name, q.capacity, q.class = name, capacity, Normal
	if len(class) > 0 {
		q.class = class[0]
	}
	return q
}

// Push adds a value, which leaves when the step ends. It reports false, and the value is dropped, if this step has pushed as many as
// the port's capacity.
func (q *Queue[T]) Push(v T) bool {
	if len(q.pending) == cap(q.pending) {
		return false
	}
	q.pending = append(q.pending, v)
	return true
}

// MaxQueue bounds the capacity of a Queue.
const MaxQueue = 1 << 16

// Bind implements Output.
func (q *Queue[T]) Bind(component string, before Output) (*Layout, error) {
	if q.layout != nil {
		return nil, fmt.Errorf("fulmar: component %q: %w: port %q belongs to two tasks", component, ErrSpec, q.name)
	}
	if q.capacity < 1 || q.capacity > MaxQueue {
		return nil, fmt.Errorf("fulmar: component %q: %w: port %q has a capacity of %d, want 1 to %d", component, ErrSpec, q.name, q.capacity, MaxQueue)
	}
	l, p, err := bind(component, q.name, q.class, &q.value)
	if err != nil {
		return nil, err
	}
	q.pending = make([]T, 0, q.capacity)
	if before == nil {
		q.layout, q.plan, q.readers = l, p, new(readers[T])
		return l, nil
	}
	old, ok := before.(*Queue[T])
	if !ok || old.layout == nil || old.layout.ID() != l.ID() || old.class != q.class || old.capacity != q.capacity {
		return nil, fmt.Errorf("fulmar: component %q: %w: port %q is not as it was before", component, ErrSpec, q.name)
	}
	q.layout, q.plan, q.readers = old.layout, p, old.readers
	return q.layout, nil
}

// bind makes the layout of a port, and the plan by which its values are encoded.
func bind(component, name string, class Class, value any) (*Layout, plan, error) {
	if !class.Valid() {
		return nil, nil, fmt.Errorf("fulmar: component %q: %w: port %q has class %d", component, ErrSpec, name, class)
	}
	p, fields, err := newPlan(value)
	if err != nil {
		return nil, nil, fmt.Errorf("fulmar: component %q: port %q: %w", component, name, err)
	}
	l := &Layout{Name: component + "/" + name, Kind: telemetry.Reading, Fields: fields}
	if err := l.Validate(); err != nil {
		return nil, nil, fmt.Errorf("fulmar: component %q: port %q: %w", component, name, err)
	}
	return l, p, nil
}

// Port implements Output.
func (q *Queue[T]) Port() string {
	if q.layout == nil {
		return q.name
	}
	return q.layout.Name
}

func (q *Queue[T]) flush(s *Step) {
	if len(q.pending) == 0 {
		return
	}
	list := q.readers.load()
	for _, v := range q.pending {
		for _, r := range list {
			r.put(v)
		}
		q.value = v
		q.w.Reset(nil, packet.Header{Layout: uint64(q.layout.ID()), Mono: int64(s.Now), Wall: wallNS(s), Class: q.class})
		q.plan.encode(&q.w)
		s.task.publish(s, q.layout, &q.w)
	}
	q.pending = q.pending[:0]
}

// Each is an input port from a Queue: what has come since this task's step before. The zero Each is ready for From.
type Each[T any] struct {
	source  string
	from    *pipe[T]
	items   []T
	version uint64
	missed  uint64
}

// From names the Queue that is read, as "component/port".
func (e *Each[T]) From(source string) Input {
	e.source = source
	return e
}

// Get returns what has come since the step before, oldest first. It is valid during the step.
func (e *Each[T]) Get() []T { return e.items }

// Version counts the values that have come, those that were missed aside.
func (e *Each[T]) Version() uint64 { return e.version }

// Missed counts the values that found no room because this task was not released in time to take those before.
func (e *Each[T]) Missed() uint64 { return e.missed }

// Source implements Input.
func (e *Each[T]) Source() string { return e.source }

// Connect implements Input.
func (e *Each[T]) Connect(o Output, before Input) error {
	q, ok := o.(*Queue[T])
	if !ok {
		return fmt.Errorf("fulmar: %w: input from %q wants a Queue of %T, the output is %T", ErrSpec, e.source, *new(T), o)
	}
	if e.from != nil {
		return fmt.Errorf("fulmar: %w: the input from %q belongs to two tasks", ErrSpec, e.source)
	}
	e.from = newPipe[T](q.capacity)
	e.items = make([]T, 0, q.capacity)
	var gone *pipe[T]
	if old, ok := before.(*Each[T]); ok {
		gone = old.from // a step that hangs may read it for ever
	}
	q.readers.change(gone, e.from)
	return nil
}

// Waiting implements Input.
func (e *Each[T]) Waiting() (values int, missed uint64) {
	if e.from == nil {
		return 0, 0
	}
	return e.from.waiting(), e.from.missed.Load()
}

func (e *Each[T]) latch(time.Duration) {
	if e.from == nil {
		return
	}
	e.items = e.from.take(e.items[:0])
	e.version += uint64(len(e.items))
	e.missed = e.from.missed.Load()
}

// readers are the pipes to a port's readers. They change, by one goroutine, while the port is written.
type readers[T any] struct{ list atomic.Pointer[[]*pipe[T]] }

func (r *readers[T]) load() []*pipe[T] {
	if l := r.list.Load(); l != nil {
		return *l
	}
	return nil
}

// change puts a pipe in the place of another, which may be nil.
func (r *readers[T]) change(gone, added *pipe[T]) {
	list := slices.DeleteFunc(slices.Clone(r.load()), func(p *pipe[T]) bool { return p == gone })
	list = append(list, added)
	r.list.Store(&list)
}

// pipe carries values from one writer to one reader.
type pipe[T any] struct {
	slots      []T
	head, tail atomic.Uint64 // written by the writer, and by the reader
	missed     atomic.Uint64
}

func newPipe[T any](capacity int) *pipe[T] { return &pipe[T]{slots: make([]T, capacity)} }

func (p *pipe[T]) put(v T) {
	head := p.head.Load()
	if head-p.tail.Load() == uint64(len(p.slots)) {
		p.missed.Add(1)
		return
	}
	p.slots[head%uint64(len(p.slots))] = v
	p.head.Store(head + 1)
}

// waiting returns how many values wait. Any goroutine may ask.
func (p *pipe[T]) waiting() int {
	tail := p.tail.Load() // first: the other way round it might have passed the head
	return int(p.head.Load() - tail)
}

// first takes the oldest value, of those before a position.
func (p *pipe[T]) first(before uint64) (v T, ok bool) {
	tail := p.tail.Load()
	if tail == before {
		return v, false
	}
	v = p.slots[tail%uint64(len(p.slots))]
	p.tail.Store(tail + 1)
	return v, true
}

// take appends what there is.
func (p *pipe[T]) take(to []T) []T {
	head, tail := p.head.Load(), p.tail.Load()
	for ; tail < head; tail++ {
		to = append(to, p.slots[tail%uint64(len(p.slots))])
	}
	p.tail.Store(tail)
	return to
}
