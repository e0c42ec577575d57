package filter

import (
	"fmt"
	"math"
	"sync/atomic"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Limits of what one publisher's filter remembers. A layout beyond them is not filtered: its records pass, and
// Set.Unfiltered counts them.
const (
	MaxLayouts = 1024
	MaxWatched = 1 << 17 // scalars that deadbands compare, of all layouts together; 8 bytes each
)

// Set is a list of rules, checked and compiled. It is immutable and may be used from any goroutine.
type Set struct {
	rules      []compiled
	unfiltered atomic.Uint64
}

// compiled is a rule in the form that is quick to apply.
type compiled struct {
	rule       Rule
	match      matcher // nil: every name
	kinds      uint8   // bit k: about telemetry.Kind k
	classes    uint8
	severities uint8
	interval   int64 // of tokens, ns
	slack      int64 // interval × (burst − 1)
}

// New compiles rules. It returns the first error of one, with its place in the list, from 1.
func New(rules []Rule) (*Set, error) {
	if len(rules) > MaxRules {
		return nil, fmt.Errorf("filter: %d rules: %w: want at most %d", len(rules), telemetry.ErrInvalid, MaxRules)
	}
	s := &Set{rules: make([]compiled, len(rules))}
	for i, r := range rules {
		if err := r.Validate(); err != nil {
			return nil, fmt.Errorf("filter: rule %d: %w", i+1, err)
		}
		s.rules[i] = compile(r)
	}
	return s, nil
}

// compile returns the compiled form of a valid rule, which shares no memory with it.
func compile(r Rule) compiled {
	c := compiled{rule: r}
	if r.Match != "" {
		c.match, _ = r.Match.compile()
	}
	for _, k := range r.kinds() {
		c.kinds |= 1 << k
	}
	for _, class := range r.Classes {
		c.classes |= 1 << class
	}
	if len(r.Classes) == 0 {
		c.classes = math.MaxUint8
	}
	for _, severity := range r.Severities {
		c.severities |= 1 << severity
	}
	if len(r.Severities) == 0 {
		c.severities = math.MaxUint8
	}
	if r.Deadband != nil {
		d := *r.Deadband
		d.Fields = append([]string(nil), d.Fields...)
		c.rule.Deadband = &d
	}
	if r.Rate != nil {
		// Rounded up: over the years a nanosecond per token must not add up to a record too many.
		c.interval = int64(math.Ceil(1e9 / r.Rate.PerSecond))
		c.slack = c.interval * int64(r.Rate.burst()-1)
	}
	return c
}

// NewFilter returns a filter for one publisher. It is nil, which passes everything, where there are no rules.
func (s *Set) NewFilter() telemetry.Filter {
	if len(s.rules) == 0 {
		return nil
	}
	return &filter{set: s, byID: make(map[telemetry.LayoutID]*state)}
}

// Unfiltered returns how many records have passed because their layout was beyond MaxLayouts or MaxWatched.
func (s *Set) Unfiltered() uint64 { return s.unfiltered.Load() }

// filter applies a set of rules for one publisher.
type filter struct {
	set     *Set
	byID    map[telemetry.LayoutID]*state
	watched int    // scalars in all states
	last    *state // of the record before: most publishers have few layouts
}

// state is what one layout's records have left behind.
type state struct {
	layout *telemetry.Layout
	rules  []applied // those that are about the layout
	beyond bool      // there was no room for what they remember, and there are none
}

type applied struct {
	*compiled
	band  *band // nil: no deadband, or none of its fields is in the layout
	count int   // records that OneOf has seen, modulo its number
	rate  bucket
}

// Pass implements telemetry.Filter.
func (f *filter) Pass(r telemetry.Record) bool {
	s := f.last
	if s == nil || s.layout != r.Layout {
		if s = f.find(r.Layout); s == nil {
			f.set.unfiltered.Add(1)
			return true
		}
		f.last = s
	}
	if len(s.rules) == 0 {
		if s.beyond {
			f.set.unfiltered.Add(1)
		}
		return true
	}
	h, err := packet.ParseHeader(r.Packet)
	if err != nil {
		return true
	}
	return s.pass(stamp{h.Mono, h.Class, h.Severity}, r.Packet[packet.HeaderSize:])
}

// stamp is what rules look at in a header: small enough for registers, which is half of a Pass.
type stamp struct {
	mono     int64
	class    packet.Class
	severity packet.Severity
}

// pass asks all rules, and only if each lets the record pass do they remember it.
func (s *state) pass(h stamp, values []byte) bool {
	alarm := h.severity >= packet.Warning || s.layout.Kind == telemetry.Health && h.class == packet.Urgent
	asked := len(s.rules)
	for i := range s.rules {
		a := &s.rules[i]
		if !a.concerns(h, alarm) {
			continue
		}
		if a.rule.Keep {
			asked = i
			break
		}
		if !a.lets(h, values) {
			return false
		}
	}
	for i := range s.rules[:asked] {
		if a := &s.rules[i]; a.concerns(h, alarm) {
			a.remember(h, values)
		}
	}
	return true
}

func (a *applied) concerns(h stamp, alarm bool) bool {
	return a.classes>>h.class&1 != 0 && a.severities>>h.severity&1 != 0 && (!alarm || a.rule.Alarms || a.rule.Keep)
}

func (a *applied) lets(h stamp, values []byte) bool {
	if a.rule.Drop || h.severity < a.rule.MinSeverity {
		return false
	}
	if n := a.rule.OneOf; n > 1 {
		first := a.count == 0
		if a.count++; a.count == n {
			a.count = 0
		}
		if !first {
			return false
		}
	}
	if a.band != nil && !a.band.left(h.mono, values) {
		return false
	}
	return a.interval == 0 || a.rate.has(h.mono, a.compiled)
}

func (a *applied) remember(h stamp, values []byte) {
	if a.band != nil {
		a.band.remember(h.mono, values)
	}
	if a.interval != 0 {
		a.rate.take(h.mono, a.compiled)
	}
}

// find returns the state of a layout, or nil if there are too many.
func (f *filter) find(l *telemetry.Layout) *state {
	s := f.byID[l.ID()]
	if s == nil {
		if len(f.byID) >= MaxLayouts {
			return nil
		}
		s = f.begin(l)
		f.byID[l.ID()] = s
	}
	s.layout = l // of the same content, and the next record probably has this pointer too
	return s
}

// begin finds out which rules are about a layout.
func (f *filter) begin(l *telemetry.Layout) *state {
	s := &state{}
	watched := f.watched
	for i := range f.set.rules {
		c := &f.set.rules[i]
		if c.kinds>>l.Kind&1 == 0 || c.match != nil && !c.match.match(l.Name) {
			continue
		}
		a := applied{compiled: c}
		if d := c.rule.Deadband; d != nil {
			n := d.watches(l)
			if watched += n; watched > MaxWatched {
				return &state{beyond: true}
			}
			if n > 0 {
				a.band = newBand(d, l, n)
			}
		}
		s.rules = append(s.rules, a)
	}
	f.watched = watched
	return s
}

// bucket is a token bucket as one time: that at which it is full again if nothing more is taken (the generic cell rate
// algorithm, ITU-T I.371, annex A). It is exact: nothing is rounded as time goes on.
type bucket struct {
	full  int64 // ns
	begun bool
}

// has reports whether a token is left at a time. If more is missing than the bucket holds, time has gone back: then the
// bucket is empty, so that one wrong time neither stops a layout for good nor opens the gate.
func (b *bucket) has(now int64, c *compiled) bool {
	if !b.begun || now >= b.full {
		return true
	}
	missing := uint64(b.full) - uint64(now)
	if all := c.slack + c.interval; missing > uint64(all) {
		b.full = now + all
		return false
	}
	return missing <= uint64(c.slack)
}

// take takes the token that has has found.
func (b *bucket) take(now int64, c *compiled) {
	if !b.begun || now > b.full {
		b.full, b.begun = now, true
	}
	if b.full > math.MaxInt64-c.interval {
		b.full = math.MaxInt64
		return
	}
	b.full += c.interval
}

// Func is a function as a filter.
type Func func(telemetry.Record) bool

// Pass implements telemetry.Filter.
func (f Func) Pass(r telemetry.Record) bool { return f(r) }

// All returns the filter that passes what all of them pass. They are asked in order, and none after the first that holds
// the record back. Put a Set's filter last: what it remembers is then what was published. Those that are nil are left out.
func All(filters ...telemetry.Filter) telemetry.Filter {
	var all chain
	for _, f := range filters {
		if f != nil {
			all = append(all, f)
		}
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return all
}

type chain []telemetry.Filter

// Pass implements telemetry.Filter.
func (c chain) Pass(r telemetry.Record) bool {
	for _, f := range c {
		if !f.Pass(r) {
			return false
		}
	}
	return true
}
