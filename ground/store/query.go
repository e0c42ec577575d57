package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/fulmar-io/fulmar/ground"
	"github.com/fulmar-io/fulmar/seglog"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// find returns a device, or an error that wraps ground.ErrNotFound.
func (x *Index) find(device string) (*deviceIndex, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	d := x.devices[device]
	if d == nil {
		return nil, fmt.Errorf("store: machine %q: %w", device, ground.ErrNotFound)
	}
	return d, nil
}

// place is where a series is.
type place struct {
	name           string
	id             int64 // of the layout's row
	layout         *telemetry.Layout
	field, element int
	column         int // flattened
}

// places finds series by name. A layout may have changed over time: one name can be in several.
func (x *Index) places(d *deviceIndex, names []string) ([]place, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var found []place
	for _, l := range d.catalog.All() {
		r := d.layouts[l.ID()]
		if r == nil {
			continue
		}
		column := 0
		for f, field := range l.Fields {
			for e := range field.Elements() {
				if name := l.SeriesName(f, e); slices.Contains(names, name) {
					found = append(found, place{name: name, id: r.id, layout: l, field: f, element: e, column: column})
				}
				column++
			}
		}
	}
	for _, n := range names {
		if !slices.ContainsFunc(found, func(p place) bool { return p.name == n }) {
			return nil, fmt.Errorf("store: series %q of %q: %w", n, d.name, ground.ErrNotFound)
		}
	}
	return found, nil
}

// Series implements ground.Source.
func (x *Index) Series(ctx context.Context, device string) ([]ground.Series, error) {
	d, err := x.find(device)
	if err != nil {
		return nil, err
	}
	type extent struct{ from, to, rows int64 }
	extents := make(map[int64]extent)
	err = each(ctx, x.db, func(rows *sql.Rows) error {
		var id int64
		var e extent
		if err := rows.Scan(&id, &e.from, &e.to, &e.rows); err != nil {
			return err
		}
		extents[id] = e
		return nil
	}, `SELECT l.id, (SELECT tmin FROM part WHERE layout = l.id ORDER BY tmax LIMIT 1),
		(SELECT tmax FROM part WHERE layout = l.id ORDER BY tmax DESC LIMIT 1), l.rows
		FROM layout l WHERE device = ? AND rows > 0`, d.id)
	if err != nil {
		return nil, fmt.Errorf("store: series: %w", err)
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	var list []ground.Series
	at := make(map[string]int)
	for _, l := range d.catalog.All() {
		r := d.layouts[l.ID()]
		if r == nil {
			continue
		}
		e, ok := extents[r.id]
		if !ok {
			continue
		}
		for f, field := range l.Fields {
			for k := range field.Elements() {
				s := ground.Series{Name: l.SeriesName(f, k), Type: field.Type, Unit: field.Unit, Kind: l.Kind, From: e.from, To: e.to, Rows: uint64(e.rows)}
				if i, twice := at[s.Name]; twice {
					o := &list[i]
					if s.To > o.To {
						o.Type, o.Unit = s.Type, s.Unit
					}
					o.From, o.To, o.Rows = min(o.From, s.From), max(o.To, s.To), o.Rows+s.Rows
					continue
				}
				at[s.Name] = len(list)
				list = append(list, s)
			}
		}
	}
	return list, nil
}

// Latest implements ground.Source.
func (x *Index) Latest(ctx context.Context, device string, series []string) ([]ground.Sample, error) {
	d, err := x.find(device)
	if err != nil {
		return nil, err
	}
	places, err := x.places(d, series)
	if err != nil {
		return nil, err
	}
	best := make(map[string]ground.Sample)
	ages := make(map[string]moment)
	for _, group := range byLayout(places) {
		err := x.newest(ctx, d, group, func(b *frame.Block, r *row) {
			for _, p := range group {
				if old, ok := ages[p.name]; ok && r.age.before(old) {
					continue
				}
				c := slices.IndexFunc(b.Columns, func(c frame.Column) bool { return c.Field == p.field && c.Element == p.element })
				best[p.name] = ground.Sample{Series: p.name, Time: r.time, Value: r.values[c]}
				ages[p.name] = r.age
			}
		})
		if err != nil {
			return nil, err
		}
	}
	var list []ground.Sample
	for _, name := range series {
		if s, ok := best[name]; ok {
			list = append(list, s)
		}
	}
	return list, nil
}

// newest tells of the newest record of a layout: its block, and its row with the values of the places' columns. It tells
// nothing if there is none.
func (x *Index) newest(ctx context.Context, d *deviceIndex, places []place, f func(*frame.Block, *row)) error {
	x.mu.RLock()
	r := d.layouts[places[0].layout.ID()]
	at := r.newest
	x.mu.RUnlock()
	if at == 0 {
		// The newest was let go, or an older build did not note it. What is left is taken by the axis of queries.
		err := x.db.QueryRowContext(ctx, "SELECT frame FROM part WHERE layout = ? ORDER BY tmax DESC LIMIT 1", r.id).Scan(&at)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("store: newest of %q: %w", places[0].layout.Name, asked(err))
		}
	}
	return x.read(d, uint64(at), places, func(b *frame.Block, boot telemetry.Boot, offset int64) {
		i := newestOf(b)
		f(b, rowOf(b, i, moment{boot: boot, mono: b.Mono[i]}, offset))
	})
}

func byLayout(places []place) map[int64][]place {
	m := make(map[int64][]place)
	for _, p := range places {
		m[p.id] = append(m[p.id], p)
	}
	return m
}

// column returns the place's column in a block that was decoded with only the places' columns selected.
func column(b *frame.Block, p place) *frame.Column {
	for i := range b.Columns {
		if b.Columns[i].Field == p.field && b.Columns[i].Element == p.element {
			return &b.Columns[i]
		}
	}
	return nil
}

// read decodes the columns of some places of one layout in a frame. A frame that is damaged or was let go has none.
func (x *Index) read(d *deviceIndex, index uint64, places []place, f func(b *frame.Block, boot telemetry.Boot, offset int64)) error {
	_, data, err := x.frames.Read(index)
	if err != nil {
		if isGone(err) {
			return nil
		}
		return err
	}
	dec := x.readers.Get().(*frame.Decoder)
	defer x.readers.Put(dec)
	dec.Select = func(l *telemetry.Layout, field, element int) bool {
		return l.ID() == places[0].layout.ID() &&
			slices.ContainsFunc(places, func(p place) bool { return p.field == field && p.element == element })
	}
	blocks, _ := dec.Decode(data, d.catalog) // an error: what could not be read is noted as undecoded
	boot := dec.Header().Stream.Boot
	x.mu.RLock()
	offset := d.boots[boot].offset
	x.mu.RUnlock()
	for i := range blocks {
		f(&blocks[i], boot, offset)
	}
	return nil
}

// Range implements ground.Source.
func (x *Index) Range(ctx context.Context, q ground.RangeQuery) ([]ground.Trace, error) {
	d, err := x.find(q.Device)
	if err != nil {
		return nil, err
	}
	if q.Buckets < 1 || q.Buckets > 10_000 || q.To <= q.From {
		return nil, fmt.Errorf("store: range: %d buckets from %d to %d", q.Buckets, q.From, q.To)
	}
	places, err := x.places(d, q.Series)
	if err != nil {
		return nil, err
	}
	acc := make(map[string]*accumulator)
	for _, name := range q.Series {
		acc[name] = newAccumulator(q)
	}
	for id, group := range byLayout(places) {
		if err := x.scan(ctx, d, id, group, q, acc); err != nil {
			return nil, err
		}
	}
	list := make([]ground.Trace, len(q.Series))
	for i, name := range q.Series {
		list[i] = acc[name].trace(name)
	}
	return list, nil
}

// scan puts the samples of one layout's places into the accumulators.
func (x *Index) scan(ctx context.Context, d *deviceIndex, id int64, group []place, q ground.RangeQuery, acc map[string]*accumulator) error {
	var frames []int64
	err := each(ctx, x.db, func(rows *sql.Rows) error {
		var f int64
		err := rows.Scan(&f)
		frames = append(frames, f)
		return err
	}, "SELECT frame FROM part WHERE layout = ? AND tmax >= ? AND tmin < ? ORDER BY tmax, frame", id, q.From, q.To)
	if err != nil {
		return fmt.Errorf("store: range: %w", err)
	}
	for _, f := range frames {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := x.read(d, uint64(f), group, func(b *frame.Block, _ telemetry.Boot, offset int64) {
			for _, p := range group {
				a, c := acc[p.name], column(b, p)
				for i := range b.Rows {
					if t := timeOf(b, i, offset); t >= q.From && t < q.To {
						a.add(t, number(c, i))
					}
				}
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// accumulator keeps samples as long as there are few, and buckets.
type accumulator struct {
	q       ground.RangeQuery
	times   []int64
	values  []float64
	buckets []bucket // nil while the samples suffice
}

type bucket struct {
	sum, min, max float64
	count         uint32
	numbers       uint32 // of count, those that are not NaN
}

func newAccumulator(q ground.RangeQuery) *accumulator { return &accumulator{q: q} }

func (a *accumulator) add(t int64, v float64) {
	if a.buckets != nil {
		a.bucket(t, v)
		return
	}
	if len(a.times) < a.q.Buckets {
		a.times, a.values = append(a.times, t), append(a.values, v)
		return
	}
	a.buckets = make([]bucket, a.q.Buckets)
	for i := range a.times {
		a.bucket(a.times[i], a.values[i])
	}
	a.times, a.values = nil, nil
	a.bucket(t, v)
}

func (a *accumulator) bucket(t int64, v float64) {
	// In floating point: the product of a span of years and 10,000 buckets does not fit 64 bits.
	i := int(float64(t-a.q.From) / float64(a.q.To-a.q.From) * float64(a.q.Buckets))
	b := &a.buckets[min(i, a.q.Buckets-1)]
	b.count++
	if math.IsNaN(v) {
		return
	}
	if b.numbers == 0 || v < b.min {
		b.min = v
	}
	if b.numbers == 0 || v > b.max {
		b.max = v
	}
	b.numbers++
	b.sum += v
}

func (a *accumulator) trace(name string) ground.Trace {
	t := ground.Trace{Series: name}
	if a.buckets == nil {
		order := make([]int, len(a.times))
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(i, j int) int { return int(max(min(a.times[i]-a.times[j], 1), -1)) })
		for _, i := range order {
			t.Time, t.Mean = append(t.Time, a.times[i]), append(t.Mean, a.values[i])
		}
		return t
	}
	width := float64(a.q.To-a.q.From) / float64(a.q.Buckets)
	for i, b := range a.buckets {
		if b.count == 0 {
			continue
		}
		mean, low, high := math.NaN(), math.NaN(), math.NaN()
		if b.numbers > 0 {
			mean, low, high = b.sum/float64(b.numbers), b.min, b.max
		}
		t.Time = append(t.Time, a.q.From+int64(float64(i)*width))
		t.Mean, t.Min, t.Max = append(t.Mean, mean), append(t.Min, low), append(t.Max, high)
		t.Count = append(t.Count, b.count)
	}
	return t
}

// Events implements ground.Source.
func (x *Index) Events(ctx context.Context, q ground.EventQuery) ([]ground.Event, error) {
	d, err := x.find(q.Device)
	if err != nil {
		return nil, err
	}
	if q.Limit < 1 || q.Limit > 1000 {
		return nil, fmt.Errorf("store: events: limit %d, want 1 to 1000", q.Limit)
	}
	to := q.To
	if to == 0 {
		to = math.MaxInt64
	}
	var list []ground.Event
	err = each(ctx, x.db, func(rows *sql.Rows) error {
		e := ground.Event{Device: d.name}
		var severity, class, seq int64
		var boot []byte
		if err := rows.Scan(&e.Time, &severity, &e.Component, &e.Text, &boot, &class, &seq); err != nil {
			return err
		}
		e.Severity, e.Seq = packet.Severity(severity), uint64(seq)
		e.Stream = telemetry.Stream{Device: d.name, Class: packet.Class(class)}
		copy(e.Stream.Boot[:], boot)
		list = append(list, e)
		return nil
	}, `SELECT time, severity, component, text, boot, class, seq FROM event
		WHERE device = ? AND time >= ? AND time < ? AND severity >= ? ORDER BY time DESC, seq DESC LIMIT ?`,
		d.id, q.From, to, int64(q.Least), q.Limit)
	if err != nil {
		return nil, fmt.Errorf("store: events: %w", err)
	}
	return list, nil
}

func isGone(err error) bool {
	return errors.Is(err, seglog.ErrDamaged) || errors.Is(err, seglog.ErrTrimmed)
}
