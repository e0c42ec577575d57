package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/fulmar-io/fulmar/ground"
	"github.com/fulmar-io/fulmar/sched"
	"github.com/fulmar-io/fulmar/seglog"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Index answers questions about the frames in a log. All methods may be called concurrently.
type Index struct {
	path   string
	db     *sql.DB
	closed atomic.Bool
	frames *Frames
	// Ledger tells what ingest knows of a device; nil leaves the ground's part of ground.Ledger empty.
	Ledger func(device string) (a ledger.Account, duplicates uint64)
	// Quota is each device's. It is to be set before anything is added.
	Quota Quota

	// Heard is told what is indexed about commands, by the goroutine that indexes; nil if nobody wants to know.
	Heard func(Heard)

	dec     *frame.Decoder
	readers sync.Pool // of *frame.Decoder, for queries
	latency sched.Histogram

	mu        sync.RWMutex // guards what is below, and frames.definitions
	devices   map[string]*deviceIndex
	next      uint64 // first frame that is not indexed
	forgotten uint64 // the index below which nothing is left
	unsettled bool   // memory may not be as the database is
}

// deviceIndex is what is kept in memory of a device.
type deviceIndex struct {
	id      int64
	name    string
	catalog *telemetry.Catalog // of the definitions
	boots   map[telemetry.Boot]bootRow
	layouts map[telemetry.LayoutID]*layoutRow
	// state is the newest row of each layout about health and diagnostics, by the layout's name.
	state      map[string]*row
	remembered bool // state has what was indexed before the index was opened, too
	// missing are layouts of frames that could not be decoded.
	missing map[telemetry.LayoutID]bool
	// beyond are layouts that are not taken, with why.
	beyond map[telemetry.LayoutID]string
	told   int // how many of them Beyond returned last
}

type bootRow struct {
	id     int64
	offset int64 // to be added to monotonic time where there is no wall time
}

// layoutRow is a row of the table layout.
type layoutRow struct {
	id     int64
	newest int64  // the frame with its newest record; 0 if there is none or it was let go
	age    moment // of that record
}

// moment is when a record was made, by what cannot be set back: boots of a machine ascend, and the monotonic clock within one.
type moment struct {
	boot telemetry.Boot
	mono int64
}

func (m moment) before(o moment) bool {
	c := m.boot.Compare(o.boot)
	return c < 0 || c == 0 && m.mono < o.mono
}

// row is one record, decoded.
type row struct {
	layout *telemetry.Layout
	age    moment
	time   int64
	values []any // one per series
}

// OpenIndex opens the index of a log at a path of the operating system's and brings it up to date. rebuilt tells why an
// older index was set aside and built anew, if it was.
func OpenIndex(ctx context.Context, path string, frames *Frames) (x *Index, rebuilt error, err error) {
	db, rebuilt, err := openDatabase(path)
	if err != nil {
		return nil, nil, err
	}
	x, err = newIndex(ctx, path, db, frames)
	if damage := err; (isDamaged(damage) || contradicts(damage)) && rebuilt == nil {
		// It opened, and is damaged further in.
		if db, err = replaceDatabase(path, damage); err != nil {
			return nil, nil, err
		}
		rebuilt = damage
		x, err = newIndex(ctx, path, db, frames)
	}
	return x, rebuilt, err
}

// newIndex reads what is kept in memory and brings the database up to date, or closes it.
func newIndex(ctx context.Context, path string, db *sql.DB, frames *Frames) (*Index, error) {
	x := &Index{path: path, db: db, frames: frames, dec: frame.NewDecoder(frame.Limits{})}
	x.readers.New = func() any { return frame.NewDecoder(frame.Limits{}) }
	if err := x.settle(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("store: open index: %w", err), db.Close())
	}
	if err := x.CatchUp(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	x.forgotten = frames.First()
	return x, nil
}

// Close closes the database, and leaves its checksum beside it. Once closed, it does nothing.
func (x *Index) Close() error {
	if x.closed.Swap(true) {
		return nil
	}
	if err := x.db.Close(); err != nil {
		return fmt.Errorf("store: close index: %w", err)
	}
	return writeSum(x.path)
}

// Latency counts, per record whose wall time is known, the time from its sampling to its commit here.
func (x *Index) Latency() *sched.Histogram { return &x.latency }

// load reads what is kept in memory. A layout that the definitions lack, as they were damaged, is put back.
func (x *Index) load(ctx context.Context) (err error) {
	old := x.devices
	defer func() {
		if err != nil {
			x.devices = old
		}
	}()
	x.devices = make(map[string]*deviceIndex)
	var next int64
	if err := x.db.QueryRowContext(ctx, "SELECT next FROM progress").Scan(&next); err != nil {
		return err
	}
	x.next = uint64(next)
	byID := make(map[int64]*deviceIndex)
	err = each(ctx, x.db, func(rows *sql.Rows) error {
		var id int64
		var name string
		if err := rows.Scan(&id, &name); err != nil {
			return err
		}
		byID[id] = x.deviceIndex(id, name)
		return nil
	}, "SELECT id, name FROM device")
	if err != nil {
		return err
	}
	err = each(ctx, x.db, func(rows *sql.Rows) error {
		var b bootRow
		var device int64
		var boot []byte
		if err := rows.Scan(&b.id, &device, &boot, &b.offset); err != nil {
			return err
		}
		if d := byID[device]; d != nil && len(boot) == 16 {
			d.boots[telemetry.Boot(boot)] = b
		}
		return nil
	}, "SELECT id, device, boot, offset FROM boot")
	if err != nil {
		return err
	}
	return each(ctx, x.db, func(rows *sql.Rows) error {
		var device, hash int64
		var binary, boot []byte
		var r layoutRow
		if err := rows.Scan(&r.id, &device, &hash, &binary, &r.newest, &boot, &r.age.mono); err != nil {
			return err
		}
		d := byID[device]
		if d == nil {
			return nil
		}
		copy(r.age.boot[:], boot)
		d.layouts[telemetry.LayoutID(hash)] = &r
		if l, err := telemetry.ParseLayout(binary); err == nil && l.ID() == telemetry.LayoutID(hash) {
			return x.frames.definitions.layout(d.name, l)
		}
		return nil
	}, "SELECT id, device, hash, binary, newest, newest_boot, newest_mono FROM layout")
}

// deviceIndex adds a device.
func (x *Index) deviceIndex(id int64, name string) *deviceIndex {
	d := &deviceIndex{id: id, name: name, catalog: &x.frames.definitions.of(name).catalog, boots: make(map[telemetry.Boot]bootRow),
		layouts: make(map[telemetry.LayoutID]*layoutRow), state: make(map[string]*row), missing: make(map[telemetry.LayoutID]bool), beyond: make(map[telemetry.LayoutID]string)}
	x.devices[name] = d
	return d
}

// settle loads, and brings what the index has in line with the definitions, which may know more: they are durable before
// what follows from them, and are there when the index is made anew.
func (x *Index) settle(ctx context.Context) error {
	if err := x.load(ctx); err != nil {
		return err
	}
	return x.transact(ctx, &writer{}, func(w *writer) error {
		for _, name := range slices.Sorted(maps.Keys(x.frames.definitions.devices)) {
			if err := w.boots(name, x.frames.definitions.devices[name]); err != nil {
				return err
			}
		}
		if err := w.waiting(); err != nil {
			return err
		}
		x.unsettled = false
		return nil
	})
}

// transact changes the database, and makes the definitions that came with it durable before.
func (x *Index) transact(ctx context.Context, w *writer, change func(*writer) error) error {
	tx, err := x.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	w.x, w.ctx, w.tx, w.kept = x, ctx, tx, make(map[string]*sql.Stmt)
	if err = change(w); err == nil {
		err = x.frames.definitions.sync()
	}
	err = errors.Join(err, w.close())
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// each calls f for each row of a query.
func each(ctx context.Context, db interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}, f func(*sql.Rows) error, query string, args ...any) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return asked(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := f(rows); err != nil {
			return asked(err)
		}
	}
	return asked(rows.Err())
}

// CatchUp indexes the frames in the log that the index does not have yet, up to the last durable one.
func (x *Index) CatchUp(ctx context.Context) error {
	const batch = 256
	for {
		at := max(x.Next(), x.frames.First())
		end := min(x.frames.Durable()+1, at+batch)
		if at >= end {
			return nil
		}
		items, trimmed, err := x.readFrames(at, end)
		if err != nil {
			return fmt.Errorf("store: catch up: %w", err)
		}
		if trimmed { // by another process: what explains the others may have been in it, and is among the definitions now
			x.mu.Lock()
			err = x.frames.definitions.refresh()
			x.mu.Unlock()
			if err != nil {
				return err
			}
		}
		if _, err := x.add(ctx, items, end, false); err != nil {
			return err
		}
	}
}

// readFrames reads the frames that are there, and reports whether others were let go.
func (x *Index) readFrames(from, to uint64) (items []Item, trimmed bool, err error) {
	for i := from; i < to; i++ {
		received, data, err := x.frames.Read(i)
		switch {
		case errors.Is(err, seglog.ErrTrimmed):
			trimmed = true
		case errors.Is(err, seglog.ErrDamaged):
		case err != nil:
			return nil, false, err
		default:
			items = append(items, Item{Index: i, Received: received, Data: data})
		}
	}
	return items, trimmed, nil
}

// Next returns the index of the first frame that is not indexed yet.
func (x *Index) Next() uint64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.next
}

// Missing returns layouts that frames use and nothing has told, by device, and at most so many of each: they are to be
// asked for.
func (x *Index) Missing(most int) map[string][]telemetry.LayoutID {
	x.mu.Lock()
	defer x.mu.Unlock()
	missing := make(map[string][]telemetry.LayoutID)
	for name, d := range x.devices {
		for id := range d.missing {
			if d.catalog.Layout(id) != nil {
				delete(d.missing, id)
			}
		}
		if ids := slices.Sorted(maps.Keys(d.missing)); len(ids) > 0 {
			missing[name] = ids[:min(len(ids), most)]
		}
	}
	return missing
}

// Quota bounds what one device may have the index know of it. 0 is no bound.
type Quota struct {
	Layouts int
	Series  int // over all its layouts
}

// refuse reports whether a layout is more than its device may have. Those are remembered, as far as their number is sensible: the
// device is to be told.
func (x *Index) refuse(d *deviceIndex, l *telemetry.Layout) bool {
	k, q := x.frames.definitions.of(d.name), x.Quota
	if k.catalog.Layout(l.ID()) != nil {
		return false
	}
	var why string
	switch {
	case q.Layouts > 0 && k.layouts >= q.Layouts:
		why = fmt.Sprintf("this ground takes %d layouts of a device: raise limits.layouts there, or have the device use fewer", q.Layouts)
	case q.Series > 0 && k.series+l.Series() > q.Series:
		why = fmt.Sprintf("this ground takes %d series of a device, and with layout %q it would have %d: raise limits.series there, or have the device use fewer",
			q.Series, l.Name, k.series+l.Series())
	default:
		return false
	}
	if len(d.beyond) < maxBeyond {
		d.beyond[l.ID()] = why
		delete(d.missing, l.ID())
	}
	return true
}

// maxBeyond is of how many layouts of a device it is remembered that they are not taken.
const maxBeyond = 1024

// miss notes that a layout is to be asked for.
func (d *deviceIndex) miss(id telemetry.LayoutID) {
	if _, beyond := d.beyond[id]; !beyond {
		d.missing[id] = true
	}
}

// Beyond returns the layouts that are not taken, with why, by device. They are returned once.
func (x *Index) Beyond() map[string]map[telemetry.LayoutID]string {
	x.mu.Lock()
	defer x.mu.Unlock()
	var all map[string]map[telemetry.LayoutID]string
	for name, d := range x.devices {
		if len(d.beyond) == d.told {
			continue
		}
		if all == nil {
			all = make(map[string]map[telemetry.LayoutID]string)
		}
		all[name] = maps.Clone(d.beyond)
		d.told = len(d.beyond)
	}
	return all
}

// Item is a frame of the log, to be indexed. Received and Committed are the ground's wall clock, ns since 1970; Committed
// is 0 where it is not known any more.
type Item struct {
	Index               uint64
	Received, Committed int64
	Data                []byte
}

// Add indexes frames that were committed, in the order of the log, which goes on at Next; what is indexed already is
// passed over. With watched, it returns updates for those who watch, one per frame.
func (x *Index) Add(ctx context.Context, items []Item, watched bool) ([]ground.Update, error) {
	if len(items) == 0 {
		return nil, nil
	}
	return x.add(ctx, items, items[len(items)-1].Index+1, watched)
}

func (x *Index) add(ctx context.Context, items []Item, next uint64, watched bool) ([]ground.Update, error) {
	w, err := x.write(ctx, items, next, watched)
	if err != nil {
		return nil, err
	}
	for _, h := range w.heard {
		if x.Heard != nil {
			x.Heard(h)
		}
	}
	return w.updates, nil
}

func (x *Index) write(ctx context.Context, items []Item, next uint64, watched bool) (*writer, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	w := &writer{watched: watched}
	if next <= x.next {
		return w, nil
	}
	var err error
	if x.unsettled {
		err = x.settle(ctx)
	}
	if err == nil {
		err = x.transact(ctx, w, func(w *writer) error { return w.all(items, next) })
	}
	if err != nil {
		x.unsettled = true // what is in memory may be ahead of what was rolled back
		return nil, fmt.Errorf("store: index: %w", err)
	}
	x.next = next
	return w, nil
}

// timeOf returns when a record was, on the axis of queries.
func timeOf(b *frame.Block, i int, offset int64) int64 {
	if b.Wall[i] != 0 {
		return b.Wall[i]
	}
	return b.Mono[i] + offset
}

// valueOf returns one value of a column.
func valueOf(c *frame.Column, i int) any {
	switch c.Type {
	case packet.Float64:
		return c.F64[i]
	case packet.Float32:
		return c.F32[i]
	case packet.Int64:
		return c.I64[i]
	case packet.Uint64:
		return c.U64[i]
	case packet.Bool:
		return c.Bool[i]
	case packet.String:
		return c.Str[i]
	}
	return nil
}

// Retain lets the oldest frames go that the log has no room for, of those that are indexed, and forgets what is known of
// them. The log's appender may run at the same time.
func (x *Index) Retain(ctx context.Context) error {
	first, err := x.frames.Retain(x.Next())
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if first <= x.forgotten {
		return nil
	}
	for _, q := range []string{
		"UPDATE layout SET newest = 0 WHERE newest < ?",
		"UPDATE layout SET rows = rows - (SELECT coalesce(sum(rows), 0) FROM part WHERE part.layout = layout.id AND part.frame < ?)",
		"DELETE FROM part WHERE frame < ?",
		"DELETE FROM event WHERE frame < ?",
		"DELETE FROM undecoded WHERE frame < ?",
		"DELETE FROM frame WHERE idx < ?",
	} {
		if _, err := x.db.ExecContext(ctx, q, int64(first)); err != nil {
			return fmt.Errorf("store: forget: %w", err)
		}
	}
	for _, d := range x.devices {
		for _, l := range d.layouts {
			if l.newest < int64(first) {
				l.newest = 0
			}
		}
	}
	x.forgotten = first
	return nil
}
