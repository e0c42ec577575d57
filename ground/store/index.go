package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

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
	db     *sql.DB
	frames *Frames
	// Ledger tells what ingest knows of a device; nil leaves the ground's part of ground.Ledger empty.
	Ledger func(device string) (a ledger.Account, duplicates uint64)

	dec     *frame.Decoder
	readers sync.Pool // of *frame.Decoder, for queries
	latency sched.Histogram

	mu      sync.RWMutex
	devices map[string]*deviceIndex // guarded by mu
	next    uint64                  // first frame that is not indexed; guarded by mu
	// forgotten is the index below which nothing is left; guarded by mu.
	forgotten uint64
}

// deviceIndex is what is kept in memory of a device.
type deviceIndex struct {
	id      int64
	name    string
	catalog telemetry.Catalog
	boots   map[telemetry.Boot]bootRow
	layouts map[telemetry.LayoutID]int64 // rows of the table layout
	// state is the newest row of each layout about health and diagnostics, by the layout's name.
	state map[string]*row
}

type bootRow struct {
	id     int64
	offset int64 // to be added to monotonic time where there is no wall time
}

// row is one record, decoded.
type row struct {
	layout *telemetry.Layout
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
	x, err = newIndex(ctx, db, frames)
	if damage := err; IsDamaged(damage) && rebuilt == nil {
		// It opened, and is damaged further in.
		if db, err = replaceDatabase(path, damage); err != nil {
			return nil, nil, err
		}
		rebuilt = damage
		x, err = newIndex(ctx, db, frames)
	}
	return x, rebuilt, err
}

// newIndex reads what is kept in memory and brings the database up to date, or closes it.
func newIndex(ctx context.Context, db *sql.DB, frames *Frames) (*Index, error) {
	x := &Index{db: db, frames: frames, dec: frame.NewDecoder(frame.Limits{}), devices: make(map[string]*deviceIndex)}
	x.readers.New = func() any { return frame.NewDecoder(frame.Limits{}) }
	if err := x.load(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("store: open index: %w", err), db.Close())
	}
	if err := x.CatchUp(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	x.forgotten = frames.First()
	return x, nil
}

// Close closes the database.
func (x *Index) Close() error { return x.db.Close() }

// Latency counts, per record whose wall time is known, the time from its sampling to its commit here.
func (x *Index) Latency() *sched.Histogram { return &x.latency }

// load reads what is kept in memory.
func (x *Index) load(ctx context.Context) error {
	var next int64
	if err := x.db.QueryRowContext(ctx, "SELECT next FROM progress").Scan(&next); err != nil {
		return err
	}
	x.next = uint64(next)
	byID := make(map[int64]*deviceIndex)
	err := each(ctx, x.db, func(rows *sql.Rows) error {
		d := newDeviceIndex()
		if err := rows.Scan(&d.id, &d.name); err != nil {
			return err
		}
		byID[d.id] = d
		x.devices[d.name] = d
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
		var id, device, hash int64
		var binary []byte
		if err := rows.Scan(&id, &device, &hash, &binary); err != nil {
			return err
		}
		d := byID[device]
		if d == nil {
			return nil
		}
		d.layouts[telemetry.LayoutID(hash)] = id
		if l, err := telemetry.ParseLayout(binary); err == nil {
			d.catalog.Add(l)
		}
		return nil
	}, "SELECT id, device, hash, binary FROM layout")
}

func newDeviceIndex() *deviceIndex {
	d := &deviceIndex{boots: make(map[telemetry.Boot]bootRow), layouts: make(map[telemetry.LayoutID]int64), state: make(map[string]*row)}
	d.catalog.Add(telemetry.LayoutRecords)
	return d
}

// each calls f for each row of a query.
func each(ctx context.Context, db interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}, f func(*sql.Rows) error, query string, args ...any) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
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
		var items []Item
		for i := at; i < end; i++ {
			received, data, err := x.frames.Read(i)
			if errors.Is(err, seglog.ErrDamaged) {
				continue
			}
			if err != nil {
				return fmt.Errorf("store: catch up: %w", err)
			}
			items = append(items, Item{Index: i, Received: received, Data: data})
		}
		if _, err := x.add(ctx, items, end, false); err != nil {
			return err
		}
	}
}

// Next returns the index of the first frame that is not indexed yet.
func (x *Index) Next() uint64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.next
}

// Knows reports whether a layout of a device is known.
func (x *Index) Knows(device string, id telemetry.LayoutID) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	d := x.devices[device]
	return d != nil && d.catalog.Layout(id) != nil
}

// Item is a frame of the log, to be indexed. Received and Committed are the ground's wall clock, ns since 1970; Committed
// is 0 where it is not known any more.
type Item struct {
	Index               uint64
	Received, Committed int64
	Data                []byte
}

// Added is what came of indexing.
type Added struct {
	// Updates are for those who watch, one per frame.
	Updates []ground.Update
	// Missing are layouts that must be asked for, by device.
	Missing map[string][]telemetry.LayoutID
}

// Add indexes frames that were committed, in the order of the log, which goes on at Next; what is indexed already is
// passed over. With watched, Updates are made.
func (x *Index) Add(ctx context.Context, items []Item, watched bool) (Added, error) {
	if len(items) == 0 {
		return Added{}, nil
	}
	return x.add(ctx, items, items[len(items)-1].Index+1, watched)
}

func (x *Index) add(ctx context.Context, items []Item, next uint64, watched bool) (Added, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if next <= x.next {
		return Added{}, nil
	}
	tx, err := x.db.BeginTx(ctx, nil)
	if err != nil {
		return Added{}, fmt.Errorf("store: index: %w", err)
	}
	w := &writer{x: x, ctx: ctx, tx: tx, watched: watched, added: Added{Missing: make(map[string][]telemetry.LayoutID)}}
	if err = w.all(items, next); err == nil {
		err = tx.Commit()
	} else {
		err = errors.Join(err, tx.Rollback())
	}
	if err != nil {
		// What is in memory may be ahead of what was rolled back.
		x.devices = make(map[string]*deviceIndex)
		err = errors.Join(err, x.load(ctx))
		return Added{}, fmt.Errorf("store: index: %w", err)
	}
	x.next = next
	return w.added, nil
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

// Forget removes from the index what is about frames before first, which the log has let go.
func (x *Index) Forget(ctx context.Context, first uint64) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if first <= x.forgotten {
		return nil
	}
	for _, q := range []string{
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
	x.forgotten = first
	return nil
}
