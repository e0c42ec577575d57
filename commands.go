package fulmar

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/config"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Risks of a command, and roles of who gives it; see package command.
const (
	Safe    = command.Safe
	Caution = command.Caution
	Danger  = command.Danger

	Operator = command.Operator
	Admin    = command.Admin
)

// Command is an input port of commands that people on the ground give, through which each comes once, in order. T is a struct with a field for
// each argument, with the tags of parameters: doc, min, max, choices, required, unit. If T has the method Validate() error, on its pointer, it
// decides which go together. The zero Command is ready for As.
//
// What a step has taken with Next is its own until it says Done or Fail, in that step or a later one. Whatever does not get that far
// is told to the ground as failed, with the reason: there was no room, it came too late, the component failed meanwhile.
type Command[T any] struct {
	name     string
	declared Declared
	defaults T
	in       *pipe[*Order[T]]
	// Of the step that is under way: when it began, and what had come by then.
	now    time.Duration
	before uint64

	mu       sync.Mutex // guards what is below, which the machine looks at when it takes the component down
	open     []*Order[T]
	closed   bool
	outcomes []outcome // of this step, to be published when it ends
}

// Declared is what a command says of itself.
type Declared struct {
	Doc  string       // one line, for a person
	Risk command.Risk // Safe, Caution or Danger. Default Caution
	Role command.Role // what whoever gives it must be at least: Operator or Admin. Default Operator
}

// Order is a command that was given, with its arguments. It is for the task that took it.
type Order[T any] struct {
	Args T
	By   string // who gave it

	port     *Command[T]
	id, name string
	until    time.Duration
	told     bool
}

type outcome struct {
	id, name, text string
	state          command.State
}

// maxOpen bounds the commands of one port that have not ended.
const maxOpen = 16

// Commanded is a Command, as the machine sees it. Only Command implements it.
type Commanded interface {
	Input
	// Declaration describes the command of a component, by the component's name on this machine.
	Declaration(component string) (command.Declaration, error)
	// Give hands an order to the task. An error says why it cannot be carried out. It may be called from any goroutine, by one at a time.
	Give(o command.Order) error
	// Close takes no more orders, and returns those that have not ended, as failed for a reason. It may be called while a step that hangs is
	// under way.
	Close(reason string) []command.Outcome
	settle(s *Step)
}

// As names the command, says what it is about, and gives its arguments their defaults.
func (c *Command[T]) As(name string, d Declared, defaults T) Input {
	if d.Risk == "" {
		d.Risk = Caution
	}
	if d.Role == "" {
		d.Role = Operator
	}
	c.name, c.declared, c.defaults = name, d, defaults
	c.in = newPipe[*Order[T]](maxOpen)
	c.open, c.outcomes = make([]*Order[T], 0, maxOpen), make([]outcome, 0, maxOpen)
	return c
}

// Next returns the oldest command that waits for this task, or false if there is none.
func (c *Command[T]) Next() (*Order[T], bool) {
	for {
		o, ok := c.in.first(c.before)
		if !ok {
			return nil, false
		}
		if c.now <= o.until {
			return o, true
		}
		o.Fail("it came too late: the task was not released in time")
	}
}

// Done says that the command was carried out. Text is what there is to say about it; a constant costs no allocation.
func (o *Order[T]) Done(text string) { o.port.tell(o, command.Done, text) }

// Fail says that the command was not carried out, and why.
func (o *Order[T]) Fail(reason string) { o.port.tell(o, command.Failed, reason) }

func (c *Command[T]) tell(o *Order[T], state command.State, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o.told || c.closed {
		return
	}
	o.told = true
	c.outcomes = append(c.outcomes, outcome{id: o.id, name: o.name, state: state, text: text})
}

// Declaration implements Commanded.
func (c *Command[T]) Declaration(component string) (command.Declaration, error) {
	d := command.Declaration{Name: component + "/" + c.name, Doc: c.declared.Doc, Risk: c.declared.Risk, Role: c.declared.Role}
	for _, s := range config.Describe(&c.defaults) {
		if strings.ContainsAny(s.Key, ".[") {
			return d, fmt.Errorf("fulmar: component %q: %w: argument %q of command %q is no scalar", component, ErrSpec, s.Key, c.name)
		}
	}
	b, err := config.Schema(&c.defaults, d.Name)
	if err == nil {
		var tight []byte
		tight, err = compacted(b)
		d.Arguments = tight
	}
	if err == nil {
		err = d.Validate()
	}
	if err != nil {
		return d, fmt.Errorf("fulmar: component %q: %w: %w", component, ErrSpec, err)
	}
	return d, nil
}

func compacted(b []byte) ([]byte, error) {
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

// Give implements Commanded.
func (c *Command[T]) Give(o command.Order) error {
	order := &Order[T]{Args: c.defaults, By: o.By, port: c, id: o.ID.String(), name: o.Name, until: o.Deadline}
	if err := config.Text(o.Values(), "the command").Decode(&order.Args); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errDown
	}
	if len(c.open) == cap(c.open) {
		return fmt.Errorf("%d commands of this name have not ended yet", len(c.open))
	}
	c.open = append(c.open, order)
	c.in.put(order)
	return nil
}

var errDown = errors.New("the component is down")

// Close implements Commanded.
func (c *Command[T]) Close(reason string) (list []command.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, o := range c.open {
		id, _ := command.ParseID(o.id)
		list = append(list, command.Outcome{ID: id, Name: o.name, State: command.Failed, Text: reason})
	}
	c.open, c.outcomes = c.open[:0], c.outcomes[:0]
	return list
}

// settle publishes what the step said of its orders. What finds no room is told after a later step. They are past the filter: who gave a
// command is told what became of it.
func (c *Command[T]) settle(s *Step) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.outcomes) > 0 && s.task.publishOutcome(s, c.outcomes[0]) {
		id := c.outcomes[0].id
		c.open = slices.DeleteFunc(c.open, func(o *Order[T]) bool { return o.id == id })
		c.outcomes = slices.Delete(c.outcomes, 0, 1)
	}
}

// Source implements Input: it reads no output.
func (c *Command[T]) Source() string { return "" }

// Connect implements Input. It is not called.
func (c *Command[T]) Connect(Output, Input) error { return nil }

// Waiting implements Input.
func (c *Command[T]) Waiting() (values int, missed uint64) { return c.in.waiting(), 0 }

func (c *Command[T]) latch(now time.Duration) { c.now, c.before = now, c.in.head.Load() }

// publishOutcome reports whether the outcome has a number, and is in the ring.
func (r *TaskRun) publishOutcome(s *Step, o outcome) bool {
	b, err := command.AppendOutcome(&r.event, o.id, o.name, o.state, o.text, int64(s.Now), wallNS(s))
	if err != nil {
		return true // not reached: its length is bounded
	}
	if !r.publisher.producer.Room(packet.Urgent, len(b)) {
		return false
	}
	return r.publisher.Put(telemetry.Record{Layout: command.OutcomeLayout, Packet: b}) == nil
}
