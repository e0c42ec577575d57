package node

import (
	"fmt"
	"io"
	"strings"
)

// WriteGraph writes what the components are to each other, as a Mermaid flowchart: solid arrows to what each depends on, dotted ones
// to what it can be without, and with flows those along which values go from port to port, thick. The machine goes to its safe
// state without those with a double border.
func (n *Node) WriteGraph(w io.Writer, flows bool) error {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	for _, p := range n.parts {
		text := p.name
		if p.as != nil && p.as.Settings.Type != p.name {
			text += "<br/>" + p.as.Settings.Type
		}
		for _, t := range p.spec.Tasks {
			text += fmt.Sprintf("<br/>%s %s", t.Name, t.Period)
		}
		open, closed := "[", "]"
		if p.critical {
			open, closed = "[[", "]]"
		}
		fmt.Fprintf(&b, "    %s%s\"%s\"%s\n", vertex(p.name), open, text, closed)
	}
	for _, p := range n.parts {
		for _, d := range p.spec.DependsOn {
			fmt.Fprintf(&b, "    %s --> %s\n", vertex(p.name), vertex(d))
		}
		for _, d := range p.spec.Optional {
			if n.part(d) != nil {
				fmt.Fprintf(&b, "    %s -.-> %s\n", vertex(p.name), vertex(d))
			}
		}
	}
	if flows {
		for _, t := range n.tasks {
			for _, in := range t.spec.Reads {
				from, port := n.source(t.part, in)
				if from != "" && from != t.part.name && n.part(from) != nil {
					fmt.Fprintf(&b, "    %s == %s ==> %s\n", vertex(from), port, vertex(t.part.name))
				}
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// vertex is a component's name as Mermaid takes it: none of its words, such as end.
func vertex(name string) string { return "c_" + strings.ReplaceAll(name, "-", "_m") }

// part returns the component with a name, or nil.
func (n *Node) part(name string) *part {
	for _, p := range n.parts {
		if p.name == name {
			return p
		}
	}
	return nil
}
