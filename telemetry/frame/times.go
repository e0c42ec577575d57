package frame

import (
	"encoding/binary"
	"math"

	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// timeScales are what times may be multiples of, in ns.
var timeScales = [...]uint64{1, 1_000, 1_000_000}

// scaled divides by a time scale. That the divisors are constants makes them multiplications.
func scaled(t uint64, scale int) uint64 {
	switch scale {
	case 1:
		return t / 1_000
	case 2:
		return t / 1_000_000
	}
	return t
}

// What the times of a layout are told against. What is caused by one event bears nearly one time, and a layout that is
// published by turns with another one lags it evenly.
const (
	timeOwn      = 0 // the least time of the frame: the column's transform does the rest
	timePrevious = 1 // the record before, of whatever layout
	timeLayout   = 2 // + i: the last record before of layout i; the least time if there was none
)

// timeWriter has the scratch of encodeTimes.
type timeWriter struct {
	words    [3][]uint64 // by candidate; the rows of layout i from from[i] on
	from     []int
	next     []int
	last     []uint64 // time of a layout's last record
	regular  []bool   // a layout's record always comes after its partner's: the last two candidates are one
	partner  []uint16 // the layout whose record mostly comes before
	majority []int    // of partner, as its vote goes on
}

// encodeTimes writes the times and severities.
func (e *Encoder) encodeTimes(n int, active []*rows) {
	w := &e.out
	base := uint64(e.header.MinMono)
	scale := len(timeScales) - 1
	for _, m := range e.mono[:n] {
		for t := uint64(m) - base; scaled(t, scale)*timeScales[scale] != t; {
			scale--
		}
	}
	w.desc = append(w.desc, byte(scale))
	e.times.gather(e.order[:n], e.mono[:n], active, base, scale)
	for i, r := range active {
		e.times.write(w, i, r.taken)
	}
	if e.header.MinWall != 0 || e.header.MaxWall != 0 {
		w.words = w.words[:0]
		for j, t := range e.wall[:n] {
			w.words = append(w.words, uint64(t)-uint64(e.mono[j]))
		}
		w.ints()
	}
	w.words = w.words[:0]
	for _, s := range e.sev[:n] {
		w.words = append(w.words, uint64(s))
	}
	w.ints()
}

// gather makes the words of all candidates for all layouts.
func (t *timeWriter) gather(order []uint16, mono []int64, active []*rows, base uint64, scale int) {
	for c := range t.words {
		t.words[c] = grow(t.words[c], len(order))
	}
	t.from, t.next = grow(t.from, len(active)), grow(t.next, len(active))
	t.last, t.partner = grow(t.last, len(active)), grow(t.partner, len(active))
	t.majority, t.regular = grow(t.majority, len(active)), grow(t.regular, len(active))
	from := 0
	for i, r := range active {
		t.from[i], t.next[i], t.last[i], t.partner[i], t.majority[i] = from, from, 0, 0, 0
		t.regular[i] = true
		from += r.taken
	}
	t.pair(order)
	previous := uint64(0)
	for j, l := range order {
		now := scaled(uint64(mono[j])-base, scale)
		at := t.next[l]
		t.next[l]++
		t.words[0][at] = now
		last := t.last[t.partner[l]]
		t.words[1][at] = now - previous
		t.words[2][at] = now - last
		if last != previous {
			t.regular[l] = false
		}
		t.last[l], previous = now, now
	}
}

// pair finds each layout's partner, by the vote of Boyer and Moore: the majority, if there is one.
func (t *timeWriter) pair(order []uint16) {
	for j, l := range order[1:] {
		before := order[j]
		switch {
		case before == l:
		case t.partner[l] == before:
			t.majority[l]++
		case t.majority[l] == 0:
			t.partner[l], t.majority[l] = before, 1
		default:
			t.majority[l]--
		}
	}
}

// write writes the column of layout i, which has n rows.
func (t *timeWriter) write(w *columnWriter, i, n int) {
	from := t.from[i]
	scratch := w.words
	defer func() { w.words = scratch }()
	least, chosen := float32(math.MaxFloat32), timeOwn
	for c := timeLayout; c >= timeOwn; c-- { // the likeliest last: its residuals are then at hand
		if c != timeOwn && (n == 1 || len(t.from) == 1) {
			continue // one time is a constant; and alone, what came before is the layout itself
		}
		if c == timeLayout && t.regular[i] {
			continue // timePrevious is the same, and shorter
		}
		w.words = t.words[c][from : from+n]
		if bits := w.intCost(); bits <= least {
			least, chosen = bits, c
		}
	}
	mode := uint64(chosen)
	if chosen == timeLayout {
		mode += uint64(t.partner[i])
	}
	w.desc = binary.AppendUvarint(w.desc, mode)
	if chosen != timeOwn {
		w.words = t.words[chosen][from : from+n]
		w.intCost()
	}
	w.emitInts()
}

// readTimes reads times and severities and deals them out to the layouts.
func (d *Decoder) readTimes() {
	in, n := &d.in, len(d.order)
	d.seq, d.mono, d.wall, d.sev = grow(d.seq, n), grow(d.mono, n), grow(d.wall, n), grow(d.sev, n)
	scale := int(in.desc.byte())
	if scale >= len(timeScales) {
		in.fail()
		return
	}
	unit, base := timeScales[scale], uint64(d.header.MinMono)
	for i := range d.parts {
		p := &d.parts[i]
		mode := in.desc.uvarint()
		if mode >= uint64(timeLayout+len(d.parts)) {
			in.fail()
			return
		}
		p.against, p.last = int(mode), base
		for i, v := range in.ints(p.rows) {
			d.mono[p.from+i] = int64(v * unit)
		}
	}
	previous := base
	for j, l := range d.order {
		p := &d.parts[l]
		from := base
		switch {
		case p.against == timePrevious:
			from = previous
		case p.against >= timeLayout:
			from = d.parts[p.against-timeLayout].last
		}
		now := from + uint64(d.mono[p.next])
		d.seq[p.next], d.mono[p.next] = d.header.First+uint64(j), int64(now)
		if int64(now) < d.header.MinMono || int64(now) > d.header.MaxMono {
			in.fail()
		}
		p.last, previous = now, now
		p.next++
	}
	d.readWallAndSeverity()
}

func (d *Decoder) readWallAndSeverity() {
	in, n := &d.in, len(d.order)
	clear(d.wall)
	if d.header.MinWall != 0 || d.header.MaxWall != 0 {
		d.rewind()
		for j, offset := range in.ints(n) {
			p := &d.parts[d.order[j]]
			d.wall[p.next] = int64(offset + uint64(d.mono[p.next]))
			p.next++
		}
	}
	if in.zero() { // nothing but events has one
		clear(d.sev)
		return
	}
	d.rewind()
	for j, s := range in.ints(n) {
		p := &d.parts[d.order[j]]
		sev := packet.Severity(s)
		if s > math.MaxUint8 || !sev.Valid() {
			in.fail()
		}
		d.sev[p.next] = sev
		p.next++
	}
}

// rewind makes the records be dealt out from the start again.
func (d *Decoder) rewind() {
	for i := range d.parts {
		d.parts[i].next = d.parts[i].from
	}
}
