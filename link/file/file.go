package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path"
	"sync"
	"time"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/telemetry"
)

// DefaultPoll is how often a folder is looked at.
const DefaultPoll = 200 * time.Millisecond

// Options of either end. The zero value works.
type Options struct {
	Limits Limits        // of what this end writes, for each device
	Poll   time.Duration // how often a folder is looked at for messages, or for room. Default DefaultPoll
	Logger *slog.Logger  // is told of files that are no whole messages. Default slog.Default()
}

func (o Options) withDefaults() Options {
	o.Limits = o.Limits.withDefaults()
	if o.Poll <= 0 {
		o.Poll = DefaultPoll
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// Dialer writes a machine's messages to a folder.
type Dialer struct {
	// Dir must exist, so that a stick which is not plugged in is a link that is down: name a folder on the stick, not the
	// place where it is mounted.
	Dir     string
	Device  string // as telemetry.ValidateDevice has it
	Options Options
}

// String implements link.Dialer.
func (d Dialer) String() string { return "file://" + d.Dir }

// Dial implements link.Dialer.
func (d Dialer) Dial(ctx context.Context) (link.Conn, error) {
	if err := telemetry.ValidateDevice(d.Device); err != nil {
		return nil, fmt.Errorf("file: dial: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t := tree(d.Dir)
	c := &conn{o: d.Options.withDefaults(), closing: make(chan struct{}),
		up: &folder{tree: t, name: path.Join("up", d.Device)}, down: &folder{tree: t, name: path.Join("down", d.Device)}}
	for _, f := range []*folder{c.up, c.down} {
		if err := t.make(f.name); err != nil {
			return nil, fmt.Errorf("file: dial: %w", err)
		}
	}
	if err := errors.Join(c.up.sweep(), c.up.survey()); err != nil {
		return nil, fmt.Errorf("file: dial: %w", err)
	}
	return c, nil
}

// conn is a machine's connection. It starts nothing; its methods do the work.
type conn struct {
	o        Options
	closing  chan struct{}
	once     sync.Once
	sending  sync.Mutex // guards up
	up       *folder
	receives sync.Mutex // guards down
	down     *folder
}

// Send implements link.Conn. It returns after the message's file is durable. An error from the folder cuts the connection.
func (c *conn) Send(ctx context.Context, message []byte) error {
	if len(message) > link.MaxMessage {
		return fmt.Errorf("file: send %d bytes: %w", len(message), link.ErrTooLarge)
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	for {
		if err := c.usable(ctx, "send"); err != nil {
			return err
		}
		room, err := c.up.room(c.o.Limits, len(message))
		if err == nil && room {
			err = c.up.write(message)
		}
		if err != nil {
			c.cut()
			return fmt.Errorf("file: send: %w: %w", link.ErrClosed, err)
		}
		if room {
			return nil
		}
		c.wait(ctx)
	}
}

// Recv implements link.Conn. What is in the folder when the connection is closed stays there for the next one.
func (c *conn) Recv(ctx context.Context) ([]byte, error) {
	c.receives.Lock()
	defer c.receives.Unlock()
	for {
		if err := c.usable(ctx, "receive"); err != nil {
			return nil, err
		}
		message, ok, err := c.down.take(c.o.Logger)
		if err != nil {
			c.cut()
			return nil, fmt.Errorf("file: receive: %w: %w", link.ErrClosed, err)
		}
		if ok {
			return message, nil
		}
		c.wait(ctx)
	}
}

func (c *conn) usable(ctx context.Context, what string) error {
	select {
	case <-c.closing:
		return fmt.Errorf("file: %s: %w", what, link.ErrClosed)
	default:
		return ctx.Err()
	}
}

// wait waits until it is time to look again, or ctx or the connection ends.
func (c *conn) wait(ctx context.Context) { pause(ctx, c.closing, c.o.Poll) }

func pause(ctx context.Context, closing <-chan struct{}, poll time.Duration) {
	t := time.NewTimer(poll)
	defer t.Stop()
	select {
	case <-t.C:
	case <-closing:
	case <-ctx.Done():
	}
}

func (c *conn) cut() { c.once.Do(func() { close(c.closing) }) }

// Close implements link.Conn. It waits for a Send and a Recv that are under way, which it ends.
func (c *conn) Close() error {
	c.cut()
	c.sending.Lock()
	defer c.sending.Unlock()
	c.receives.Lock()
	defer c.receives.Unlock()
	return nil
}

// Receiver is the ground's end.
type Receiver struct {
	o       Options
	tree    tree
	closing chan struct{}
	once    sync.Once

	receives sync.Mutex // guards what follows
	turns    []string   // devices that have a turn before the folder is looked at again
	up       map[string]*folder
	told     string // of a folder that cannot be read

	sending sync.Mutex // guards down
	down    map[string]*folder
}

// maxDevices bounds the devices that a folder is believed to hold.
const maxDevices = 4096

// Listen watches a folder. One that is not there yet, on a stick to come, is no error; the log tells.
func Listen(dir string, o Options) (*Receiver, error) {
	if dir == "" {
		return nil, errors.New("file: listen: no folder is named")
	}
	return &Receiver{o: o.withDefaults(), tree: tree(dir), closing: make(chan struct{}), up: make(map[string]*folder),
		down: make(map[string]*folder)}, nil
}

// Recv implements link.Receiver. The devices take turns. A folder that cannot be read, as when the stick was pulled, is
// looked at again.
func (r *Receiver) Recv(ctx context.Context) (link.Inbound, error) {
	r.receives.Lock()
	defer r.receives.Unlock()
	for {
		if r.isClosed() {
			return link.Inbound{}, fmt.Errorf("file: receive: %w", link.ErrClosed)
		}
		if err := ctx.Err(); err != nil {
			return link.Inbound{}, err
		}
		if len(r.turns) == 0 {
			r.look()
		}
		for len(r.turns) > 0 {
			device := r.turns[0]
			r.turns = r.turns[1:]
			message, ok, err := r.up[device].take(r.o.Logger)
			if err != nil {
				r.tell(err)
			} else if ok {
				r.turns = append(r.turns, device)
				r.told = ""
				return link.Inbound{Device: device, Message: message}, nil
			}
		}
		pause(ctx, r.closing, r.o.Poll)
	}
}

// look gives every device a turn.
func (r *Receiver) look() {
	entries, err := r.devices()
	if err != nil {
		r.tell(err)
		return
	}
	for _, e := range entries {
		device := e.Name()
		if !e.IsDir() || telemetry.ValidateDevice(device) != nil {
			continue
		}
		if r.up[device] == nil {
			if len(r.up) >= maxDevices {
				continue
			}
			r.up[device] = &folder{tree: r.tree, name: path.Join("up", device)}
		}
		r.turns = append(r.turns, device)
	}
}

// tell says once that there is no reading the folder.
func (r *Receiver) tell(err error) {
	if text := err.Error(); text != r.told {
		r.told = text
		r.o.Logger.Warn("folder cannot be read; looking again", "link", r.String(), "error", err)
	}
}

func (r *Receiver) devices() (entries []fs.DirEntry, err error) {
	root, err := r.tree.open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	dir, err := root.Open("up")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // no machine has been here
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	if entries, err = dir.ReadDir(2 * maxDevices); errors.Is(err, io.EOF) {
		err = nil
	}
	return entries, err
}

// Send implements link.Receiver. What exceeds the limits of the device's folder is dropped with an error.
func (r *Receiver) Send(_ context.Context, device string, message []byte) error {
	if err := telemetry.ValidateDevice(device); err != nil {
		return fmt.Errorf("file: send: %w", err)
	}
	if len(message) > link.MaxMessage {
		return fmt.Errorf("file: send %d bytes: %w", len(message), link.ErrTooLarge)
	}
	r.sending.Lock()
	defer r.sending.Unlock()
	if r.isClosed() {
		return fmt.Errorf("file: send: %w", link.ErrClosed)
	}
	f, err := r.downFolder(device)
	if err != nil {
		return fmt.Errorf("file: send: %w", err)
	}
	room, err := f.room(r.o.Limits, len(message))
	switch {
	case err != nil:
	case !room:
		return fmt.Errorf("file: send: the folder %s is full; this message is dropped", f.name)
	default:
		err = f.write(message)
	}
	if err != nil {
		delete(r.down, device) // it may be another stick by now
		return fmt.Errorf("file: send: %w", err)
	}
	return nil
}

func (r *Receiver) downFolder(device string) (*folder, error) {
	f := r.down[device]
	if f != nil {
		return f, nil
	}
	if len(r.down) >= maxDevices {
		return nil, fmt.Errorf("%d devices have a folder already", len(r.down))
	}
	f = &folder{tree: r.tree, name: path.Join("down", device)}
	if err := r.tree.make(f.name); err != nil {
		return nil, err
	}
	if err := errors.Join(f.sweep(), f.survey()); err != nil {
		return nil, err
	}
	r.down[device] = f
	return f, nil
}

func (r *Receiver) isClosed() bool {
	select {
	case <-r.closing:
		return true
	default:
		return false
	}
}

// Close implements link.Receiver. It waits for a Send and a Recv that are under way, which it ends.
func (r *Receiver) Close() error {
	r.once.Do(func() { close(r.closing) })
	r.sending.Lock()
	defer r.sending.Unlock()
	r.receives.Lock()
	defer r.receives.Unlock()
	return nil
}

// String implements link.Receiver.
func (r *Receiver) String() string { return "file://" + string(r.tree) }
