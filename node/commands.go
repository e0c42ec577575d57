package node

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/config"
	"github.com/fulmar-io/fulmar/telemetry"
)

// commands are what the machine's components can be told to do, and what they were told lately.
type commands struct {
	declared []command.Declaration // in the order of the components' start

	mu    sync.Mutex                  // guards what is below
	ports map[string]fulmar.Commanded // by name, of components that are up
	seen  map[command.ID]bool         // what was given in this boot; a courier half that is begun anew gives it again
	order []command.ID                // of seen, the oldest first
	open  bool                        // the components have started, and the machine has not stopped
	early []command.Order             // what came before they had
}

// maxSeen bounds how many orders are remembered, so that one that is given again is not carried out again.
const maxSeen = 4096

// declareCommands notes what the components can be told to do.
func (n *Node) declareCommands() error {
	n.commands.ports, n.commands.seen = make(map[string]fulmar.Commanded), make(map[command.ID]bool)
	names := make(map[string]bool)
	for _, p := range n.parts {
		for _, c := range p.commanded() {
			d, err := c.Declaration(p.name)
			if err != nil {
				return err
			}
			if names[d.Name] {
				return fmt.Errorf("node: %w: two commands are named %q", ErrGraph, d.Name)
			}
			names[d.Name] = true
			n.commands.declared = append(n.commands.declared, d)
		}
	}
	if len(n.commands.declared) > command.MaxDeclared {
		return fmt.Errorf("node: %w: %d commands, at most %d", ErrGraph, len(n.commands.declared), command.MaxDeclared)
	}
	return nil
}

// commanded returns the ports through which a component is commanded.
func (p *part) commanded() (list []fulmar.Commanded) {
	for _, t := range p.spec.Tasks {
		for _, in := range t.Reads {
			if c, ok := in.(fulmar.Commanded); ok {
				list = append(list, c)
			}
		}
	}
	return list
}

// Commands returns what the machine can be told to do. It may be called from any goroutine.
func (n *Node) Commands() []command.Declaration { return n.commands.declared }

// openCommands lets a component that is up be commanded.
func (n *Node) openCommands(p *part) {
	n.commands.mu.Lock()
	defer n.commands.mu.Unlock()
	for _, c := range p.commanded() {
		if d, err := c.Declaration(p.name); err == nil {
			n.commands.ports[d.Name] = c
		}
	}
}

// closeCommands tells of the orders that a component has not carried out, and takes no more for it.
func (n *Node) closeCommands(p *part) {
	n.commands.mu.Lock()
	defer n.commands.mu.Unlock()
	for name, c := range n.commands.ports {
		if component, _, _ := strings.Cut(name, "/"); component != p.name {
			continue
		}
		delete(n.commands.ports, name)
		for _, o := range c.Close("its component failed or was stopped before it said what became of it") {
			n.house.outcome(o)
		}
	}
}

// Command gives an order to the component that it is for. One that cannot be carried out ends at once, and an order that was given before is
// nothing. It may be called from any goroutine from when the machine's
// other half may have some until the Node is done with.
func (n *Node) Command(o command.Order) {
	n.commands.mu.Lock()
	defer n.commands.mu.Unlock()
	if n.commands.seen[o.ID] {
		return
	}
	n.commands.remember(o.ID)
	if n.commands.open {
		n.command(o)
	} else {
		n.commands.early = append(n.commands.early, o) // it takes only so many that have not ended
	}
}

// takeCommands has the machine carry out orders, those that came earlier first.
func (n *Node) takeCommands() {
	n.commands.mu.Lock()
	defer n.commands.mu.Unlock()
	n.commands.open = true
	for _, o := range n.commands.early {
		n.command(o)
	}
	n.commands.early = nil
}

// refuseCommands says that nothing is published any more. What comes yet is told of when the machine is started again.
func (n *Node) refuseCommands() {
	n.commands.mu.Lock()
	defer n.commands.mu.Unlock()
	n.commands.open = false
}

// command carries out an order, or tells why not; the commands are locked.
func (n *Node) command(o command.Order) {
	err := n.carryOut(o)
	n.o.Logger.Info("command", "name", o.Name, "by", o.By, "role", string(o.Role), "id", o.ID.String(), "error", err)
	if err != nil {
		n.house.outcome(command.Outcome{ID: o.ID, Name: o.Name, State: command.Failed, Text: reasonOf(err)})
	}
}

func (c *commands) remember(id command.ID) {
	c.seen[id] = true
	if c.order = append(c.order, id); len(c.order) > maxSeen {
		delete(c.seen, c.order[0])
		c.order = slices.Delete(c.order, 0, 1)
	}
}

func (n *Node) carryOut(o command.Order) error {
	i := slices.IndexFunc(n.commands.declared, func(d command.Declaration) bool { return d.Name == o.Name })
	switch {
	case i < 0:
		names := make([]string, len(n.commands.declared))
		for i, d := range n.commands.declared {
			names[i] = d.Name
		}
		if len(names) == 0 {
			return errors.New("this machine takes no commands")
		}
		return fmt.Errorf("no command is named %q; %s", o.Name, meant(o.Name, names))
	case !o.Role.Allows(n.commands.declared[i].Role):
		return fmt.Errorf("it needs the role %s, and %s has the role %s", n.commands.declared[i].Role, o.By, o.Role)
	case n.now() > o.Deadline:
		return errors.New("it came too late")
	}
	port, ok := n.commands.ports[o.Name]
	if !ok {
		return errors.New("its component is down")
	}
	return port.Give(o)
}

// reasonOf is why an order cannot be carried out, for who gave it: an argument by its name, without the file that it is not from.
func reasonOf(err error) string {
	var e *config.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	reasons := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		reasons[i] = p.Message
		if p.Key != "" {
			reasons[i] = p.Key + ": " + p.Message
		}
		if p.Hint != "" {
			reasons[i] += " (" + p.Hint + ")"
		}
	}
	return strings.Join(reasons, "; ")
}

// outcome publishes what became of an order that no step has told of.
func (h *house) outcome(o command.Outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.n.o.Clock.Now()
	b, err := command.AppendOutcome(&h.w, o.ID.String(), o.Name, o.State, o.Text, now.Mono, now.Wall)
	if err == nil {
		_ = h.publisher.Put(telemetry.Record{Layout: command.OutcomeLayout, Packet: b}) // without room it is declared lost
	}
}

// declare publishes what the machine can be told to do.
func (h *house) declare() error {
	now := h.n.o.Clock.Now()
	for _, d := range h.n.commands.declared {
		b, err := d.AppendTo(&h.w, now.Mono, now.Wall)
		if err == nil {
			err = h.publisher.Put(telemetry.Record{Layout: command.DeclarationLayout, Packet: b})
		}
		if err != nil {
			return fmt.Errorf("node: declare command %q: %w", d.Name, err)
		}
	}
	return nil
}
