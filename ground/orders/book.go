package orders

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/secure/identity"
	"github.com/fulmar-io/fulmar/secure/order"
	"github.com/fulmar-io/fulmar/seglog"
	"github.com/fulmar-io/fulmar/telemetry"
)

// Options of a Book.
type Options struct {
	Disk env.Disk
	Dir  string // of the log. Default DefaultDir
	// Keys are the ground's, to sign with. Nil sends in the clear: for the bench.
	Keys *identity.Keyring
	// Random draws ids, and the name of this process.
	Random io.Reader
	// Bytes bounds the log; beyond it the oldest entries go. Default 64 MiB, at least 4.
	Bytes int64
}

// DefaultDir is where a ground's log of orders is, on its disk.
const DefaultDir = "orders"

// Limits of a Book.
const (
	MaxWithin     = 24 * time.Hour // how long an order may wait for its machine
	DefaultWithin = 30 * time.Second

	maxQueued  = 64   // orders of a machine that were not accepted yet
	maxEntries = 1000 // that are remembered of a machine

	retryMin, retryMax = time.Second, 8 * time.Second
	// clockAge is how old a machine's clock may be when an order is signed by it: quartz drifts by less than 4 ms in that time.
	clockAge = 30 * time.Second
)

// Errors of Give.
var (
	ErrUnknown = errors.New("the machine has told of no such command")
	ErrRole    = errors.New("it needs another role")
	ErrFull    = errors.New("too many commands wait for this machine")
)

// Request is what somebody wants of a machine.
type Request struct {
	Device    string
	Name      string // component/command
	Arguments []command.Argument
	By        string // who, for people
	Role      command.Role
	Within    time.Duration // after that it is not to be begun any more. Default DefaultWithin, at most MaxWithin
}

// Entry is an order, and how far it has come.
type Entry struct {
	ID        command.ID         `json:"id"`
	Device    string             `json:"device"`
	Name      string             `json:"name"`
	Arguments []command.Argument `json:"arguments"`
	By        string             `json:"by"`
	Role      command.Role       `json:"role"`
	State     command.State      `json:"state"`
	Text      string             `json:"text,omitempty"` // why it failed, or what there is to say
	// Unknown is that it has failed because the machine had not answered, which may tell yet that it was carried out.
	Unknown bool      `json:"unknown,omitempty"`
	Given   time.Time `json:"given"`
	Until   time.Time `json:"until"`
	Changed time.Time `json:"changed"`
}

// Say is an Effect: send a message to a machine.
type Say struct {
	Device  string
	Message link.Message
}

// Changed is an Effect: an entry has changed, durably.
type Changed struct{ Entry Entry }

// Effect is a Say or a Changed.
type Effect any

// Time is a moment, by a clock that only goes forward and by that on the wall.
type Time struct {
	Mono time.Duration
	Wall time.Time
}

// Book is the state.
type Book struct {
	o       Options
	log     *seglog.Log
	process [16]byte
	number  uint64
	devices map[string]*device
	ids     map[command.ID]*item
	effects []Effect

	unsynced bool
	changed  []Entry // appended, and not durable yet
	syncing  []Entry
}

// device is a machine.
type device struct {
	boot     telemetry.Boot // that declared is of
	declared map[string]command.Declaration
	items    []*item // the oldest first

	asked bool          // it was hailed, and has not answered
	clock *link.Clock   // the last one; nil for none that counts
	heard time.Duration // when it came
	retry time.Duration // when to say something again
	pause time.Duration
}

// item is an entry at work.
type item struct {
	Entry
	durable bool          // that it was given
	until   time.Duration // by the clock that only goes forward
	signed  []byte        // nil if it is to be signed
	stale   int           // how often the machine was another by then
	by      order.Challenge
}

// Open opens the book. What had not ended goes on.
func Open(now Time, o Options) (*Book, error) {
	if o.Dir == "" {
		o.Dir = DefaultDir
	}
	o.Bytes = max(o.Bytes, 4<<20)
	b := &Book{o: o, devices: make(map[string]*device), ids: make(map[command.ID]*item)}
	id, err := command.NewID(o.Random)
	if err != nil {
		return nil, err
	}
	b.process = id
	if b.log, err = seglog.Open(o.Disk, o.Dir, seglog.Options{MaxRecord: maxLine, SegmentSize: 1 << 20}); err != nil {
		return nil, fmt.Errorf("orders: %w", err)
	}
	for i := b.log.First(); i < b.log.Next(); i++ {
		line, err := b.log.ReadAt(i, nil)
		var e Entry
		if err != nil || json.Unmarshal(line, &e) != nil || e.ID == (command.ID{}) {
			continue // damaged
		}
		if it := b.ids[e.ID]; it != nil {
			it.Entry = e
			continue
		}
		b.add(&item{Entry: e, durable: true, until: now.Mono + e.Until.Sub(now.Wall)})
	}
	return b, nil
}

// maxLine bounds an entry in the log, in bytes: JSON may need six for one.
const maxLine = 6*command.MaxOrder + 4<<10

// Close closes the log.
func (b *Book) Close() error { return b.log.Close() }

// Effects returns what is to be done since it was last called, in order.
func (b *Book) Effects() []Effect {
	e := b.effects
	b.effects = nil
	return e
}

func (b *Book) device(name string) *device {
	d := b.devices[name]
	if d == nil {
		d = &device{declared: make(map[string]command.Declaration)}
		b.devices[name] = d
	}
	return d
}

func (b *Book) add(it *item) {
	d := b.device(it.Device)
	b.ids[it.ID] = it
	d.items = append(d.items, it)
	for i := 0; len(d.items) > maxEntries && i < len(d.items); {
		if !d.items[i].State.Ended() {
			i++
			continue
		}
		delete(b.ids, d.items[i].ID)
		d.items = slices.Delete(d.items, i, i+1)
	}
}

// Give takes a request. Its error wraps ErrUnknown, ErrRole, ErrFull or command.ErrInvalid, or is the disk's.
func (b *Book) Give(now Time, r Request) (Entry, error) {
	if r.Within <= 0 {
		r.Within = DefaultWithin
	}
	o := command.Order{Name: r.Name, Arguments: r.Arguments, By: r.By, Role: r.Role}
	if err := o.Validate(); err != nil {
		return Entry{}, err
	}
	if r.Within > MaxWithin {
		return Entry{}, fmt.Errorf("orders: %w: %s: at most %s", command.ErrInvalid, r.Within, MaxWithin)
	}
	d := b.devices[r.Device]
	if d == nil {
		return Entry{}, fmt.Errorf("orders: %s of %s: %w", r.Name, r.Device, ErrUnknown)
	}
	declared, ok := d.declared[r.Name]
	waiting := 0
	for _, it := range d.items {
		if it.State == command.Queued || it.State == command.Sent {
			waiting++
		}
	}
	switch {
	case !ok:
		return Entry{}, fmt.Errorf("orders: %s of %s: %w", r.Name, r.Device, ErrUnknown)
	case !r.Role.Allows(declared.Role):
		return Entry{}, fmt.Errorf("orders: %s of %s: %w: %s", r.Name, r.Device, ErrRole, declared.Role)
	case waiting >= maxQueued:
		return Entry{}, fmt.Errorf("orders: %s of %s: %w: %d", r.Name, r.Device, ErrFull, waiting)
	}
	if err := checkArguments(declared, r.Arguments); err != nil {
		return Entry{}, err
	}
	id, err := command.NewID(b.o.Random)
	if err != nil {
		return Entry{}, err
	}
	it := &item{until: now.Mono + r.Within, Entry: Entry{ID: id, Device: r.Device, Name: r.Name, Arguments: r.Arguments, By: r.By, Role: r.Role,
		State: command.Queued, Given: now.Wall.UTC(), Until: now.Wall.Add(r.Within).UTC()}}
	if err := b.to(now, it, command.Queued, ""); err != nil {
		return Entry{}, err
	}
	b.add(it)
	return it.Entry, nil
}

// to changes an entry's state and appends it to the log.
func (b *Book) to(now Time, it *item, s command.State, text string) error {
	it.State, it.Text, it.Unknown, it.Changed = s, text, false, now.Wall.UTC()
	return b.append(it)
}

func (b *Book) append(it *item) error {
	line, err := json.Marshal(it.Entry)
	if err == nil {
		_, err = b.log.Append(line)
	}
	if err != nil {
		return fmt.Errorf("orders: %w", err)
	}
	b.unsynced = true
	b.changed = append(b.changed, it.Entry)
	for end, _, ok := b.log.OldestSealed(); ok && b.log.Bytes() > b.o.Bytes; end, _, ok = b.log.OldestSealed() {
		if err := b.log.TrimFront(end); err != nil {
			return fmt.Errorf("orders: %w", err)
		}
	}
	return nil
}

// note is to of what the machine says: a disk that does not take it costs the audit a line, and is told by the ground's metrics.
func (b *Book) note(now Time, it *item, s command.State, text string) {
	if err := b.to(now, it, s, text); err != nil {
		b.effects = append(b.effects, Changed{Entry: it.Entry})
	}
}

// BeginSync returns what makes the log durable, to be called on any goroutine and followed by Synced; nil if nothing wants it.
func (b *Book) BeginSync() func() error {
	if !b.unsynced {
		return nil
	}
	b.unsynced = false
	b.syncing, b.changed = append(b.syncing, b.changed...), nil
	return b.log.Sync
}

// Synced says how a Sync went. After an error what it was about waits for the next one.
func (b *Book) Synced(now Time, err error) {
	if err != nil {
		b.changed, b.syncing, b.unsynced = append(b.syncing, b.changed...), nil, true
		return
	}
	for _, e := range b.syncing {
		if it := b.ids[e.ID]; it != nil && !it.durable {
			it.durable = true
			b.device(e.Device).hurry(now)
		}
		b.effects = append(b.effects, Changed{Entry: e})
	}
	b.syncing = nil
	b.Tick(now)
}

// Get returns an entry.
func (b *Book) Get(id command.ID) (Entry, bool) {
	it := b.ids[id]
	if it == nil {
		return Entry{}, false
	}
	return it.Entry, true
}

// List returns the entries of a machine, at most so many, the newest first.
func (b *Book) List(device string, most int) []Entry {
	d := b.devices[device]
	if d == nil {
		return nil
	}
	var list []Entry
	for _, it := range slices.Backward(d.items) {
		if len(list) == most {
			break
		}
		list = append(list, it.Entry)
	}
	return list
}

// Declared returns what a machine can be told to do, in the order of names.
func (b *Book) Declared(device string) []command.Declaration {
	d := b.devices[device]
	if d == nil {
		return nil
	}
	var list []command.Declaration
	for _, name := range slices.Sorted(maps.Keys(d.declared)) {
		list = append(list, d.declared[name])
	}
	return list
}

// Declare takes what a machine said in a boot that it can be told to do. A later boot begins anew.
func (b *Book) Declare(name string, boot telemetry.Boot, list ...command.Declaration) {
	d := b.device(name)
	switch c := boot.Compare(d.boot); {
	case c < 0:
		return
	case c > 0:
		d.boot = boot
		clear(d.declared)
	}
	for _, x := range list {
		if len(d.declared) < command.MaxDeclared {
			d.declared[x.Name] = x
		}
	}
}

// Unsettled returns the machines of which orders have not ended, and since when the oldest was given.
func (b *Book) Unsettled() map[string]time.Time {
	since := make(map[string]time.Time)
	for name, d := range b.devices {
		for _, it := range d.items {
			if _, ok := since[name]; !ok && !it.settled() {
				since[name] = it.Given
			}
		}
	}
	return since
}

// settled reports whether the machine has said what became of it, or will not.
func (it *item) settled() bool {
	return it.State == command.Done || it.State == command.Failed && !it.Unknown
}

// Read calls f with each change of an order in a ground's log, the oldest first, and with an error for one that is damaged. It may be read
// beside the ground that writes it.
func Read(disk env.Disk, dir string, f func(Entry, error)) (err error) {
	log, err := seglog.Open(disk, dir, seglog.Options{MaxRecord: maxLine, ReadOnly: true})
	if err != nil {
		return fmt.Errorf("orders: %w", err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	for i := log.First(); i < log.Next(); i++ {
		var e Entry
		line, err := log.ReadAt(i, nil)
		if err == nil {
			err = json.Unmarshal(line, &e)
		}
		f(e, err)
	}
	return nil
}
