package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/fulmar-io/fulmar/ground"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// writer changes the index in one transaction.
type writer struct {
	x       *Index
	ctx     context.Context
	tx      *sql.Tx
	kept    map[string]*sql.Stmt // of the transaction: a frame of many layouts says the same of each
	watched bool
	updates []ground.Update
	heard   []Heard
}

func (w *writer) exec(query string, args ...any) error {
	_, err := w.run(query, args...)
	return err
}

func (w *writer) insert(query string, args ...any) (int64, error) {
	r, err := w.run(query, args...)
	if err != nil {
		return 0, err
	}
	return r.LastInsertId()
}

// run runs a statement, which is compiled once in a transaction.
func (w *writer) run(query string, args ...any) (sql.Result, error) {
	s := w.kept[query]
	if s == nil {
		var err error
		if s, err = w.tx.PrepareContext(w.ctx, query); err != nil {
			return nil, err
		}
		w.kept[query] = s
	}
	return s.ExecContext(w.ctx, args...)
}

// close closes the statements, before the transaction ends.
func (w *writer) close() (err error) {
	for _, s := range w.kept {
		err = errors.Join(err, s.Close())
	}
	w.kept = nil
	return err
}

func (w *writer) all(items []Item, next uint64) error {
	for _, it := range items {
		if it.Index < w.x.next {
			continue
		}
		if err := w.frame(it); err != nil {
			return fmt.Errorf("frame %d: %w", it.Index, err)
		}
	}
	return w.exec("UPDATE progress SET next = ?", int64(next))
}

// frame indexes one frame.
func (w *writer) frame(it Item) error {
	h, err := frame.Peek(it.Data)
	if err != nil {
		return err // not reached: ingest has checked it
	}
	d, err := w.device(h.Stream.Device, it.Received)
	if err != nil {
		return err
	}
	boot, err := w.boot(d, &h, it.Received)
	if err != nil {
		return err
	}
	if h.Mode == frame.Lost {
		return w.exec("UPDATE device SET last_seen = max(last_seen, ?) WHERE id = ?", it.Received, d.id)
	}
	err = w.exec("INSERT OR REPLACE INTO frame VALUES (?, ?, ?, ?, ?, ?)", int64(it.Index), d.id, boot.id, int64(h.Stream.Class),
		int64(h.First), int64(h.Count))
	if err != nil {
		return err
	}
	err = w.exec("UPDATE device SET last_seen = max(last_seen, ?), records = records + ?, readings = readings + ?, bytes = bytes + ? WHERE id = ?",
		it.Received, int64(h.Count), int64(h.Readings), len(it.Data), d.id)
	if err != nil {
		return err
	}
	return w.decode(d, boot, it)
}

// decode indexes what is in a frame.
func (w *writer) decode(d *deviceIndex, boot bootRow, it Item) error {
	blocks, err := w.x.dec.Decode(it.Data, d.catalog)
	var unknown *frame.UnknownLayoutsError
	switch {
	case errors.As(err, &unknown):
		for _, id := range unknown.IDs {
			d.miss(id)
		}
		if err := w.exec("INSERT OR IGNORE INTO undecoded VALUES (?, ?)", int64(it.Index), d.id); err != nil {
			return err
		}
	case err != nil:
		return w.exec("INSERT OR IGNORE INTO undecoded VALUES (?, ?)", int64(it.Index), d.id)
	}
	update := ground.Update{Device: d.name}
	for i := range blocks {
		if err := w.block(d, boot, it, &blocks[i], &update); err != nil {
			return err
		}
	}
	if w.watched && len(update.Traces)+len(update.Events) > 0 {
		w.updates = append(w.updates, update)
	}
	return nil
}

func (w *writer) block(d *deviceIndex, boot bootRow, it Item, b *frame.Block, update *ground.Update) error {
	if b.Layout == telemetry.LayoutRecords {
		return w.definitions(d, b)
	}
	w.hear(w.x.dec.Header().Stream, b)
	layout, err := w.layout(d, b.Layout)
	if err != nil {
		return err
	}
	tmin, tmax := int64(math.MaxInt64), int64(math.MinInt64)
	for i := range b.Rows {
		t := timeOf(b, i, boot.offset)
		tmin, tmax = min(tmin, t), max(tmax, t)
		if it.Committed != 0 && b.Wall[i] != 0 {
			w.x.latency.Add(time.Duration(it.Committed - b.Wall[i]))
		}
	}
	err = w.exec("INSERT OR IGNORE INTO part VALUES (?, ?, ?, ?, ?)", layout.id, int64(it.Index), b.Rows, tmin, tmax)
	if err != nil {
		return err
	}
	newest := newestOf(b)
	age := moment{boot: w.x.dec.Header().Stream.Boot, mono: b.Mono[newest]}
	latest := layout.newest == 0 || !age.before(layout.age)
	if latest {
		layout.newest, layout.age = int64(it.Index), age
	}
	err = w.exec("UPDATE layout SET rows = rows + ?, newest = ?, newest_boot = ?, newest_mono = ? WHERE id = ?", b.Rows,
		layout.newest, layout.age.boot[:], layout.age.mono, layout.id)
	if err != nil {
		return err
	}
	switch b.Layout.Kind {
	case telemetry.Health, telemetry.Diagnostics:
		if s := d.state[b.Layout.Name]; latest && (s == nil || !age.before(s.age)) {
			d.state[b.Layout.Name] = rowOf(b, newest, age, boot.offset)
		}
	case telemetry.Event:
		return w.events(d, boot, it, b, update)
	}
	if w.watched {
		appendTraces(update, b, boot.offset)
	}
	return nil
}

// newestOf returns the row of a block that was made last.
func newestOf(b *frame.Block) int {
	newest := 0
	for i := range b.Rows {
		if b.Mono[i] >= b.Mono[newest] {
			newest = i
		}
	}
	return newest
}

func rowOf(b *frame.Block, i int, age moment, offset int64) *row {
	r := &row{layout: b.Layout, age: age, time: timeOf(b, i, offset), values: make([]any, len(b.Columns))}
	for c := range b.Columns {
		r.values[c] = valueOf(&b.Columns[c], i)
	}
	return r
}

func (w *writer) device(name string, received int64) (*deviceIndex, error) {
	if d := w.x.devices[name]; d != nil {
		return d, nil
	}
	id, err := w.insert("INSERT INTO device (name, first_seen, last_seen) VALUES (?, ?, ?)", name, received, received)
	if err != nil {
		return nil, err
	}
	return w.x.deviceIndex(id, name), nil
}

func (w *writer) boot(d *deviceIndex, h *frame.Header, received int64) (bootRow, error) {
	boot := h.Stream.Boot
	if b, ok := d.boots[boot]; ok {
		return b, nil
	}
	if err := w.x.frames.definitions.boot(d.name, boot, heard{received: received, offset: received - h.MaxMono}); err != nil {
		return bootRow{}, err
	}
	return w.insertBoot(d, boot)
}

func (w *writer) insertBoot(d *deviceIndex, boot telemetry.Boot) (bootRow, error) {
	b := bootRow{offset: w.x.frames.definitions.of(d.name).boots[boot].offset}
	var err error
	if b.id, err = w.insert("INSERT INTO boot (device, boot, offset) VALUES (?, ?, ?)", d.id, boot[:], b.offset); err != nil {
		return b, err
	}
	d.boots[boot] = b
	return b, nil
}

// boots adds what the definitions know of a device's boots and the index does not.
func (w *writer) boots(device string, known *defined) error {
	for boot, h := range known.boots {
		d, err := w.device(device, h.received)
		if err != nil {
			return err
		}
		if _, have := d.boots[boot]; have {
			continue
		}
		if _, err := w.insertBoot(d, boot); err != nil {
			return err
		}
		err = w.exec("UPDATE device SET first_seen = min(first_seen, ?), last_seen = max(last_seen, ?) WHERE id = ?", h.received, h.received, d.id)
		if err != nil {
			return err
		}
	}
	return nil
}

// layout returns the row of a layout, and makes it if the layout was not met before.
func (w *writer) layout(d *deviceIndex, l *telemetry.Layout) (*layoutRow, error) {
	if r, ok := d.layouts[l.ID()]; ok {
		return r, nil
	}
	id, err := w.insert("INSERT INTO layout (device, hash, name, kind, binary) VALUES (?, ?, ?, ?, ?)", d.id, int64(l.ID()), l.Name,
		int64(l.Kind), l.AppendBinary(nil))
	if err != nil {
		return nil, err
	}
	r := &layoutRow{id: id}
	d.layouts[l.ID()] = r
	return r, nil
}

// definitions remembers layouts, and reads the frames again that had to wait for one.
func (w *writer) definitions(d *deviceIndex, b *frame.Block) error {
	waited := false
	for _, s := range b.Columns[0].Str {
		l, err := telemetry.ParseLayout([]byte(s))
		if err != nil {
			continue // a machine's mistake, which ground can only leave undecoded
		}
		if w.x.refuse(d, l) {
			continue
		}
		if err := w.x.frames.definitions.layout(d.name, l); err != nil {
			return err
		}
		if _, err := w.layout(d, l); err != nil {
			return err
		}
		waited = waited || d.missing[l.ID()]
		delete(d.missing, l.ID())
	}
	if !waited {
		return nil
	}
	return w.waited(d)
}

// waiting reads the frames of all devices again that could not be decoded.
func (w *writer) waiting() error {
	var names []string
	err := each(w.ctx, w.tx, func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		names = append(names, name)
		return err
	}, "SELECT name FROM device WHERE id IN (SELECT device FROM undecoded) ORDER BY name")
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := w.waited(w.x.devices[name]); err != nil {
			return err
		}
	}
	return nil
}

// waited reads the frames of a device again that could not be decoded, and notes the layouts that are missing still.
func (w *writer) waited(d *deviceIndex) error {
	var frames []int64
	err := each(w.ctx, w.tx, func(rows *sql.Rows) error {
		var i int64
		err := rows.Scan(&i)
		frames = append(frames, i)
		return err
	}, "SELECT frame FROM undecoded WHERE device = ? ORDER BY frame", d.id)
	if err != nil {
		return err
	}
	dec := w.x.dec
	defer func() { w.x.dec = dec }() // the caller is still reading from it
	w.x.dec = frame.NewDecoder(frame.Limits{})
	for _, i := range frames {
		received, data, err := w.x.frames.Read(uint64(i))
		if err != nil {
			continue
		}
		h, err := frame.Peek(data)
		if err != nil || !d.knows(h.Layouts) {
			continue
		}
		if err := w.exec("DELETE FROM undecoded WHERE frame = ?", i); err != nil {
			return err
		}
		if err := w.again(d, d.boots[h.Stream.Boot], Item{Index: uint64(i), Received: received, Data: data}); err != nil {
			return err
		}
	}
	return nil
}

// again indexes a frame that was read in part before: its known parts are there already.
func (w *writer) again(d *deviceIndex, boot bootRow, it Item) error {
	err := w.exec("UPDATE layout SET rows = rows - (SELECT rows FROM part WHERE part.frame = ? AND part.layout = layout.id) "+
		"WHERE id IN (SELECT layout FROM part WHERE frame = ?)", int64(it.Index), int64(it.Index))
	if err != nil {
		return err
	}
	if err := w.exec("DELETE FROM part WHERE frame = ?", int64(it.Index)); err != nil {
		return err
	}
	return w.decode(d, boot, it)
}

// knows reports whether all of these layouts are known, and notes those that are not.
func (d *deviceIndex) knows(ids []telemetry.LayoutID) bool {
	all := true
	for _, id := range ids {
		if d.catalog.Layout(id) == nil {
			d.miss(id)
			all = false
		}
	}
	return all
}

func (w *writer) events(d *deviceIndex, boot bootRow, it Item, b *frame.Block, update *ground.Update) error {
	h := w.x.dec.Header()
	column := slices.IndexFunc(b.Columns, func(c frame.Column) bool { return c.Type == packet.String })
	if column < 0 {
		return nil
	}
	for i := range b.Rows {
		e := ground.Event{Device: d.name, Component: b.Layout.Component(), Time: timeOf(b, i, boot.offset), Severity: b.Severity[i],
			Text: sentence(b, column, i), Stream: h.Stream, Seq: b.Seq[i]}
		err := w.exec("INSERT OR IGNORE INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", d.id, e.Time, int64(e.Severity), e.Component, e.Text,
			h.Stream.Boot[:], int64(h.Stream.Class), int64(e.Seq), int64(it.Index))
		if err != nil {
			return err
		}
		if w.watched {
			update.Events = append(update.Events, e)
		}
	}
	return nil
}

// appendTraces adds a block's series, in the order of time.
func appendTraces(u *ground.Update, b *frame.Block, offset int64) {
	order := make([]int, b.Rows)
	times := make([]int64, b.Rows)
	for i := range order {
		order[i], times[i] = i, timeOf(b, i, offset)
	}
	slices.SortStableFunc(order, func(i, j int) int { return int(max(min(times[i]-times[j], 1), -1)) })
	sorted := make([]int64, b.Rows)
	for k, i := range order {
		sorted[k] = times[i]
	}
	for c := range b.Columns {
		col := &b.Columns[c]
		t := ground.Trace{Series: b.Layout.SeriesName(col.Field, col.Element), Time: sorted, Mean: make([]float64, b.Rows)}
		for k, i := range order {
			t.Mean[k] = number(col, i)
		}
		u.Traces = append(u.Traces, t)
	}
}

// number returns a value as a float64; NaN for a string.
func number(c *frame.Column, i int) float64 {
	switch c.Type {
	case packet.Float64:
		return c.F64[i]
	case packet.Float32:
		return float64(c.F32[i])
	case packet.Int64:
		return float64(c.I64[i])
	case packet.Uint64:
		return float64(c.U64[i])
	case packet.Bool:
		if c.Bool[i] {
			return 1
		}
		return 0
	}
	return math.NaN()
}
