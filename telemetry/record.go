package telemetry

import (
	"fmt"
	"slices"
	"sync"

	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Record is a packet together with the layout that gives it meaning. The packet's memory belongs to whoever made the
// Record and is valid only as long as they say.
type Record struct {
	Layout *Layout
	Packet []byte
}

// Check reports whether the packet has exactly the values that the layout promises.
func (r Record) Check() error {
	h, err := packet.ParseHeader(r.Packet)
	if err != nil {
		return fmt.Errorf("telemetry: record of %q: %w", r.Layout.Name, err)
	}
	if LayoutID(h.Layout) != r.Layout.ID() {
		return fmt.Errorf("telemetry: record of layout %s read as %s: %w", LayoutID(h.Layout), r.Layout.ID(), ErrInvalid)
	}
	var rd packet.Reader
	rd.Reset(r.Packet)
	for _, f := range r.Layout.Fields {
		for range f.Elements() {
			if f.Type == packet.Bool {
				rd.Bool()
			} else {
				rd.Skip(f.Type)
			}
		}
	}
	if err := rd.Err(true); err != nil {
		return fmt.Errorf("telemetry: record of %q: %w", r.Layout.Name, err)
	}
	return nil
}

// Catalog holds layouts by id. The zero value is empty; all methods may be called concurrently.
type Catalog struct {
	mu   sync.RWMutex
	byID map[LayoutID]*Layout // guarded by mu
}

// Add puts a validated layout in the catalog and reports whether it was new.
func (c *Catalog) Add(l *Layout) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID == nil {
		c.byID = make(map[LayoutID]*Layout)
	}
	if _, have := c.byID[l.ID()]; have {
		return false
	}
	c.byID[l.ID()] = l
	return true
}

// Layout returns the layout with that id, or nil.
func (c *Catalog) Layout(id LayoutID) *Layout {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.byID[id]
}

// All returns the layouts, ordered by name and then by id.
func (c *Catalog) All() []*Layout {
	c.mu.RLock()
	all := make([]*Layout, 0, len(c.byID))
	for _, l := range c.byID {
		all = append(all, l)
	}
	c.mu.RUnlock()
	slices.SortFunc(all, func(a, b *Layout) int {
		if a.Name != b.Name {
			if a.Name < b.Name {
				return -1
			}
			return 1
		}
		if a.ID() < b.ID() {
			return -1
		}
		return 1
	})
	return all
}

// LayoutRecords is the layout of records that carry a layout: one string, the carried layout's binary form. It is the
// only layout that every build knows.
var LayoutRecords = &Layout{Name: "fulmar/layout", Kind: Definition, Fields: []Field{{Name: "binary", Type: packet.String}}}

// AppendDefinition builds, in w, the record that carries l. The packet is w's and valid until its next Reset.
func AppendDefinition(w *packet.Writer, l *Layout, class packet.Class, mono, wall int64) ([]byte, error) {
	w.Reset(nil, packet.Header{Layout: uint64(LayoutRecords.ID()), Mono: mono, Wall: wall, Class: class})
	w.String(string(l.AppendBinary(nil)))
	return w.Bytes()
}

// ParseDefinition returns the layout that a record of LayoutRecords carries.
func ParseDefinition(p []byte) (*Layout, error) {
	var rd packet.Reader
	rd.Reset(p)
	b := rd.Bytes()
	if err := rd.Err(true); err != nil {
		return nil, fmt.Errorf("telemetry: definition: %w", err)
	}
	return ParseLayout(b)
}
