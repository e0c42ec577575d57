package orders

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/config"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/secure/order"
)

// maxStale is how often an order is signed anew at once.
const maxStale = 3

// hurry has the next Tick say something.
func (d *device) hurry(now Time) { d.retry, d.pause = now.Mono, retryMin }

// Tick lets time pass: orders whose time is over end, and machines that have not answered are asked again.
func (b *Book) Tick(now Time) {
	for name, d := range b.devices {
		for _, it := range d.items {
			if now.Mono <= it.until {
				continue
			}
			switch it.State {
			case command.Queued:
				b.note(now, it, command.Failed, "the machine was not reached in time")
			case command.Sent:
				b.lose(now, it)
			}
		}
		if it := d.next(); it != nil && now.Mono >= d.retry {
			b.say(now, name, d, it)
			d.retry = now.Mono + d.pause
			d.pause = min(2*d.pause, retryMax)
		}
	}
}

// lose ends an order of which nothing is known.
func (b *Book) lose(now Time, it *item) {
	it.State, it.Text, it.Unknown, it.Changed = command.Failed, "the machine did not answer in time: it may have been carried out", true, now.Wall.UTC()
	if err := b.append(it); err != nil {
		b.effects = append(b.effects, Changed{Entry: it.Entry})
	}
}

// Wake returns when Tick wants to be called at the latest, or false if only an event can change anything.
func (b *Book) Wake() (at time.Duration, ok bool) {
	for _, d := range b.devices {
		if it := d.next(); it != nil {
			if next := min(d.retry, it.until+1); !ok || next < at {
				at, ok = next, true
			}
		}
	}
	return at, ok
}

// next returns the order that the machine is to be brought.
func (d *device) next() *item {
	i := slices.IndexFunc(d.items, func(it *item) bool { return it.durable && (it.State == command.Queued || it.State == command.Sent) })
	if i < 0 {
		return nil
	}
	return d.items[i]
}

// say hails a machine, or sends it the order that is next.
func (b *Book) say(now Time, name string, d *device, it *item) {
	if d.clock == nil || now.Mono-d.heard > clockAge && it.signed == nil {
		d.asked = true
		b.effects = append(b.effects, Say{Device: name, Message: link.Hail{}})
		return
	}
	if it.signed == nil || it.by != d.clock.Challenge {
		// By the machine's clock the order's time is over no later than here: when its answer came, that clock had gone on.
		deadline := d.clock.At + it.until - d.heard
		b.number++
		it.by = d.clock.Challenge
		it.signed = order.Signed{Device: name, Challenge: it.by, Process: b.process, Number: b.number,
			Order: command.Order{ID: it.ID, Name: it.Name, Arguments: it.Arguments, By: it.By, Role: it.Role, Deadline: deadline}}.Append(nil, b.o.Keys)
		if it.State == command.Queued {
			b.note(now, it, command.Sent, "")
		}
	}
	b.effects = append(b.effects, Say{Device: name, Message: link.Order{Encoded: it.signed}})
}

// Clock takes a machine's answer to a hail.
func (b *Book) Clock(now Time, name string, c link.Clock) {
	d := b.devices[name]
	if d == nil || !d.asked {
		return
	}
	d.asked, d.clock, d.heard = false, &c, now.Mono
	d.hurry(now)
	b.Tick(now)
}

// Receipt takes a machine's answer to an order. What it has answered before is nothing.
func (b *Book) Receipt(now Time, name string, r link.Receipt) {
	it := b.ids[r.ID]
	if it == nil || it.Device != name || it.settled() || it.State == command.Accepted {
		return
	}
	d := b.device(name)
	switch r.Code {
	case link.Taken:
		b.note(now, it, command.Accepted, "")
	case link.NotAccepted:
		b.note(now, it, command.Failed, r.Text)
	case link.Stale: // the machine was started again since it told its clock
		if it.State != command.Sent {
			return
		}
		d.clock, it.signed = nil, nil
		if it.stale++; it.stale > maxStale {
			return // it is asked again in time
		}
	}
	d.hurry(now)
	b.Tick(now)
}

// Outcome takes what became of an order, as the machine's record tells.
func (b *Book) Outcome(now Time, name string, o command.Outcome) {
	it := b.ids[o.ID]
	if it == nil || it.Device != name || it.settled() {
		return
	}
	b.note(now, it, o.State, o.Text)
	b.device(name).hurry(now)
	b.Tick(now)
}

// checkArguments says what of the arguments the declaration does not know. The machine checks their values.
func checkArguments(d command.Declaration, list []command.Argument) error {
	var schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
		Required   []string                   `json:"required"`
	}
	if err := json.Unmarshal(d.Arguments, &schema); err != nil {
		return fmt.Errorf("orders: %s: its declaration: %w", d.Name, err)
	}
	for _, a := range list {
		if _, ok := schema.Properties[a.Name]; ok {
			continue
		}
		names := make([]string, 0, len(schema.Properties))
		for n := range schema.Properties {
			names = append(names, n)
		}
		slices.Sort(names)
		hint := fmt.Sprintf("it has %v", names)
		if near := config.Nearest(a.Name, names); near != "" {
			hint = "did you mean " + near + "?"
		} else if len(names) == 0 {
			hint = "it has none"
		}
		return fmt.Errorf("orders: %s: %w: no argument is named %q; %s", d.Name, command.ErrInvalid, a.Name, hint)
	}
	for _, n := range schema.Required {
		if !slices.ContainsFunc(list, func(a command.Argument) bool { return a.Name == n }) {
			return fmt.Errorf("orders: %s: %w: argument %q is missing", d.Name, command.ErrInvalid, n)
		}
	}
	return nil
}
