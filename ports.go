package fulmar

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// An Output is a port that a task writes, as the machine sees it. Only Out and Queue implement it.
type Output interface {
	// Bind gives the port its layout under its component's name. It is called once, before the component runs. Before is the
	// same port of the component that this one replaces, whose readers it takes over; nil for none.
	Bind(component string, before Output) (*Layout, error)
	// Port returns "component/port" once bound.
	Port() string
	// flush publishes what the step set and hands it to the readers.
	flush(s *Step)
}

// An Input is a port that a task reads, as the machine sees it. Only In, Each and Command implement it.
type Input interface {
	// Source returns the output it reads, as "component/port". It is empty for the component's own parameters, and for
	// commands, which need not be connected.
	Source() string
	// Connect attaches it to that output. Called once, before the component runs, after the output is bound. Before is the input
	// whose place it takes, which is read no more, unless by a step that hangs; nil for none.
	Connect(o Output, before Input) error
	// Waiting returns how many values wait for the task in this input's queue, and how many have found no room there since the
	// component was built; none where it is no Each. Any goroutine may ask, once it is connected.
	Waiting() (values int, missed uint64)
	latch(now time.Duration)
}

// Out is an output port: the latest value of type T, handed to the tasks that read it and published as a record. T is a
// struct whose exported fields are numbers, bools, strings or arrays of numbers or bools, or it is one of those itself.
//
// A field's name in telemetry is its Go name in snake_case, or what its tag says: `fulmar:"name"`. `unit:"m/s"` gives its
// UCUM unit. `fulmar:"-"` leaves a field out of telemetry. The zero Out is ready for As.
type Out[T any] struct {
	name   string
	class  Class
	layout *Layout
	plan   plan
	value  T
	dirty  bool
	w      packet.Writer
	cell   *cell[T]
}

// As names the port and gives its records a class, by default Normal.
func (o *Out[T]) As(name string, class ...Class) Output {
	o.name, o.class = name, Normal
	if len(class) > 0 {
		o.class = class[0]
	}
	return o
}

// Set sets the port's value. It leaves when the step ends; of several Sets in one step only the last is seen.
func (o *Out[T]) Set(v T) { o.value, o.dirty = v, true }

// Bind implements Output.
func (o *Out[T]) Bind(component string, before Output) (*Layout, error) {
	if o.layout != nil {
		return nil, fmt.Errorf("fulmar: component %q: %w: port %q belongs to two tasks", component, ErrSpec, o.name)
	}
	l, p, err := bind(component, o.name, o.class, &o.value)
	if err != nil {
		return nil, err
	}
	if before == nil {
		o.layout, o.plan, o.cell = l, p, &cell[T]{}
		o.cell.init()
		return l, nil
	}
	old, ok := before.(*Out[T])
	if !ok || old.layout == nil || old.layout.ID() != l.ID() || old.class != o.class {
		return nil, fmt.Errorf("fulmar: component %q: %w: port %q is not as it was before", component, ErrSpec, o.name)
	}
	o.layout, o.plan, o.cell = old.layout, p, old.cell
	return o.layout, nil
}

// Port implements Output.
func (o *Out[T]) Port() string {
	if o.layout == nil {
		return o.name
	}
	return o.layout.Name
}

func (o *Out[T]) flush(s *Step) {
	if !o.dirty {
		return
	}
	o.dirty = false
	o.cell.write(o.value)
	o.w.Reset(nil, packet.Header{Layout: uint64(o.layout.ID()), Mono: int64(s.Now), Wall: wallNS(s), Class: o.class})
	o.plan.encode(&o.w)
	s.task.publish(s, o.layout, &o.w)
}

// In is an input port: the value that another task's output, or a component's parameters, had when this task's step began. The
// zero In is ready for From or Of.
type In[T any] struct {
	source  string
	from    *cell[T]
	value   T
	version uint64
}

// From names the output that is read, as "component/port".
func (i *In[T]) From(source string) Input {
	i.source = source
	return i
}

// Of reads the component's own parameters. Their Version is 1 at the start.
func (i *In[T]) Of(p *Params[T]) Input {
	i.source, i.from = "", &p.cell
	p.cell.addReader()
	return i
}

// Get returns the value, which is the zero value as long as Version is 0.
func (i *In[T]) Get() T { return i.value }

// Version counts how often the output had been set: 0 means never, the same number twice that nothing new came between.
func (i *In[T]) Version() uint64 { return i.version }

// Source implements Input.
func (i *In[T]) Source() string { return i.source }

// Connect implements Input.
func (i *In[T]) Connect(o Output, before Input) error {
	out, ok := o.(*Out[T])
	if !ok {
		var want T
		return fmt.Errorf("fulmar: %w: input from %q wants %T, the output is %T", ErrSpec, i.source, want, o)
	}
	if i.from != nil {
		return fmt.Errorf("fulmar: %w: the input from %q belongs to two tasks", ErrSpec, i.source)
	}
	i.from = out.cell
	if before == nil {
		out.cell.addReader()
	}
	return nil
}

// Waiting implements Input.
func (i *In[T]) Waiting() (values int, missed uint64) { return 0, 0 }

func (i *In[T]) latch(time.Duration) {
	if i.from != nil { // what an optional component would write is not there
		i.value, i.version = i.from.read()
	}
}

// cell is the latest value of one writer for any number of readers, none of which waits for another: with as many slots
// as readers and two more, the writer always finds one that is neither the latest nor being read.
type cell[T any] struct {
	slots  []slot[T]
	latest atomic.Int32
}

type slot[T any] struct {
	readers atomic.Int32
	version uint64
	value   T
}

func (c *cell[T]) init() {
	if c.slots == nil {
		c.slots = make([]slot[T], 2)
	}
}

// addReader makes room for another reader, before there is any value.
func (c *cell[T]) addReader() {
	c.init()
	c.slots = append(c.slots, slot[T]{})
}

func (c *cell[T]) write(v T) {
	latest := c.latest.Load()
	for i := range c.slots {
		s := &c.slots[i]
		if int32(i) == latest || s.readers.Load() != 0 {
			continue
		}
		// A reader that counts itself in from here on finds that this slot is not the latest, and leaves without
		// looking; or it is by then, and complete.
		s.value, s.version = v, c.slots[latest].version+1
		c.latest.Store(int32(i))
		return
	}
	panic("fulmar: a port has more readers than were connected")
}

func (c *cell[T]) read() (T, uint64) {
	for {
		i := c.latest.Load()
		s := &c.slots[i]
		s.readers.Add(1)
		if c.latest.Load() == i {
			v, n := s.value, s.version
			s.readers.Add(-1)
			return v, n
		}
		s.readers.Add(-1)
	}
}
