package courier

import (
	"fmt"
	"time"

	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/courier/desk"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/ring"
	"github.com/fulmar-io/fulmar/secure/order"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Carry is an Effect: hand an order to the components, which remember those that they had. What becomes of it they publish.
type Carry struct{ Order command.Order }

// OrdersDir is the folder of a courier's journal of orders, below its own.
const OrdersDir = "orders"

// orders is what the courier does with orders; nil where it takes none.
type orders struct {
	desk *desk.Desk
	link int          // over which a ground spoke last
	sync func() error // of the Sync that is under way, as far as it is the desk's
	told []toldOf     // outcomes that are not durable yet
}

// toldOf is an outcome that was published.
type toldOf struct {
	class   packet.Class
	seq     uint64
	at      time.Duration
	outcome command.Outcome
}

func (c *Courier) openOrders() error {
	if !c.o.Orders {
		return nil
	}
	d, err := desk.Open(desk.Options{Device: c.o.Device, Disk: c.o.Disk, Dir: c.o.Dir + "/" + OrdersDir, Keys: c.o.Keys, Wall: c.o.Wall})
	if err != nil {
		return err
	}
	c.orders = &orders{desk: d}
	if err := c.layouts.add(command.OutcomeLayout); err != nil {
		return err
	}
	return c.challenge()
}

// challenge has orders name the session, or in the clear a number of this process.
func (c *Courier) challenge() error {
	if c.orders == nil {
		return nil
	}
	if s := c.wire.session; s != nil {
		c.orders.desk.Use(order.Challenge{Session: s.ID(), Nonce: s.Challenge()})
		return nil
	}
	nonce, err := command.NewID(c.o.Spool.Random)
	c.orders.desk.Use(order.Challenge{Nonce: nonce})
	return err
}

// beginOrders goes on with what earlier processes took, in a boot whose ring the courier may publish into.
func (c *Courier) beginOrders(boot telemetry.Boot) {
	if c.orders == nil {
		return
	}
	unknown, again := c.orders.desk.Begin(boot)
	for _, o := range unknown {
		if c.own == nil {
			break
		}
		b, err := command.AppendOutcome(&c.packet, o.ID.String(), o.Name, o.State, o.Text, 0, c.wall())
		if err == nil {
			_, _ = c.own.Publish(b) // without room it is told after the next start
		}
	}
	for _, o := range again {
		c.effects = append(c.effects, Carry{Order: o})
	}
}

func (c *Courier) wall() int64 {
	if c.o.Wall == nil {
		return 0
	}
	return c.o.Wall()
}

// command takes what a ground says about orders.
func (c *Courier) command(now time.Duration, l int, m link.Message) error {
	if c.orders == nil {
		return nil // as a machine without commands
	}
	c.orders.link = l
	switch m := m.(type) {
	case link.Hail:
		return c.say(l, c.orders.desk.Hail(now))
	case link.Order:
		answer, err := c.orders.desk.Order(now, m.Encoded)
		if answer != nil {
			if said := c.say(l, *answer); said != nil {
				return said
			}
		}
		c.store(now)
		return err
	}
	return nil
}

// say has a link carry a message, which is not sent again if it is lost.
func (c *Courier) say(l int, m link.Message) error {
	b := link.Append(nil, m)
	if c.wire.session != nil {
		var err error
		if b, err = c.wire.session.Seal(nil, b); err != nil {
			return fmt.Errorf("courier: %w", err)
		}
	}
	c.tell(l, b)
	return nil
}

// tell has a link carry what is no frame.
func (c *Courier) tell(l int, message []byte) {
	if c.delivery != nil {
		c.delivery.Said(c.at, l, len(message))
	}
	c.effects = append(c.effects, Say{Link: l, Message: message})
}

// hear takes note of an outcome that a component published.
func (o *orders) hear(e ring.Entry, h packet.Header) {
	if outcome, err := command.ParseOutcome(e.Packet); err == nil {
		o.told = append(o.told, toldOf{class: e.Class, seq: e.Range.First, at: time.Duration(h.Mono), outcome: outcome})
	}
}

// settle tells the desk of the outcomes that are durable.
func (c *Courier) settle(now time.Duration, durable func(packet.Class) uint64) {
	if c.orders == nil {
		return
	}
	rest := c.orders.told[:0]
	for _, t := range c.orders.told {
		if t.seq >= durable(t.class) {
			rest = append(rest, t)
			continue
		}
		c.failed(now, c.orders.desk.Ended(t.at, t.outcome))
	}
	c.orders.told = rest
}

// ordersSynced says how the Sync of the desk's journal went.
func (c *Courier) ordersSynced(now time.Duration, err error) {
	if c.orders == nil || c.orders.sync == nil {
		return
	}
	c.orders.sync = nil
	receipts, orders := c.orders.desk.Synced(err)
	for _, r := range receipts {
		c.failed(now, c.say(c.orders.link, r))
	}
	for _, o := range orders {
		c.effects = append(c.effects, Carry{Order: o})
	}
}

// finishOrders makes the journal durable, when a boot ends.
func (c *Courier) finishOrders() error {
	if c.orders == nil {
		return nil
	}
	c.settle(0, func(class packet.Class) uint64 { return c.spool.State(class).Next })
	sync := c.orders.desk.BeginSync()
	if sync == nil {
		return nil
	}
	if err := sync(); err != nil {
		return fmt.Errorf("courier: end boot: %w", err)
	}
	c.orders.desk.Synced(nil) // whoever gave one that was not answered gives it again
	return nil
}
