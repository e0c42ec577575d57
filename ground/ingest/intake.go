package ingest

import (
	"errors"
	"fmt"
	"sync"

	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/ground/store"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/seglog"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
)

// Intake joins the Machine with the frame log: messages in, acknowledgements out, each after its commit. Like the
// Machine it starts no goroutines and reads no clock. Its events are for one goroutine; Sync may run on another.
type Intake struct {
	frames  *store.Frames
	waiting []waitingFrame // to be appended when the Sync under way has ended
	syncing bool
	backlog int64       // bytes of waiting and batch
	batch   []Committed // appended since the last Sync, or covered by the one under way
	effects []Effect
	sealed  *sealed // nil without keys

	// mu guards machine: the log asks for the marks from Sync too.
	mu      sync.Mutex
	machine *Machine
}

type waitingFrame struct {
	header   frame.Header
	data     []byte
	received int64
}

// Sync asks to make the log durable by calling Intake.Sync, on any goroutine, and to report with Synced.
type Sync struct{}

// Committed tells that a frame is durable and acknowledged: it can be indexed and shown.
type Committed struct {
	Index    uint64 // in the frame log
	Received int64  // ground's wall clock, ns
	Header   frame.Header
	Data     []byte
}

// Answered tells of a machine's answer about orders: a link.Clock or a link.Receipt, once.
type Answered struct {
	Device  string
	Message link.Message
}

func (Sync) isEffect()      {}
func (Committed) isEffect() {}
func (Answered) isEffect()  {}

// OpenIntake opens the frame log in a folder of the disk and brings the marks up to what is in it. All of that is durable on
// return.
func OpenIntake(disk env.Disk, dir string, o Options, fo store.FramesOptions) (*Intake, error) {
	in := &Intake{machine: New(o)}
	fo.Marks = func() []byte {
		in.mu.Lock()
		defer in.mu.Unlock()
		return in.machine.Marks()
	}
	frames, err := store.OpenFrames(disk, dir, fo)
	if err != nil {
		return nil, err
	}
	in.frames = frames
	if o.Keys != nil {
		if in.sealed, err = openSealed(disk, dir+"-sessions", o.Keys); err != nil {
			return nil, errors.Join(err, frames.Close())
		}
	}
	err = in.restore()
	if err == nil && !fo.ReadOnly {
		// An earlier process may have been killed, or told of an error, between Append and Sync. What comes again of that
		// is known from here on, and acknowledged at once.
		err = frames.Sync()
	}
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	return in, nil
}

func (in *Intake) restore() error {
	state, from := in.frames.Marks()
	if len(state) > 0 {
		if err := in.machine.Restore(state); err != nil {
			return err
		}
	}
	for i := max(from, in.frames.First()); i < in.frames.Next(); i++ {
		_, data, err := in.frames.Read(i)
		if errors.Is(err, seglog.ErrDamaged) && !seglog.Unreadable(err) {
			continue // its machine may still have it, and then it is welcome again
		}
		if err != nil {
			return fmt.Errorf("ingest: open: %w", err)
		}
		if h, err := frame.Peek(data); err == nil {
			in.machine.Replayed(h)
		}
	}
	return nil
}

// Frames returns the log, for reading.
func (in *Intake) Frames() *store.Frames { return in.frames }

// Close closes the log.
func (in *Intake) Close() error {
	err := in.frames.Close()
	if in.sealed != nil {
		err = errors.Join(err, in.sealed.log.Close())
	}
	return err
}

// Effects returns what is to be done since it was last called, in order.
func (in *Intake) Effects() []Effect {
	e := in.effects
	in.effects = nil
	return e
}

// Message takes a message that came from a device over a link, at the ground's wall time received. The message's memory
// is the Intake's from here on. An error says that it was not a message of a machine's, and was dropped; what is not by whom it should be
// is told by a Dropped.
func (in *Intake) Message(received int64, device string, message []byte) error {
	content, again, ok := in.unseal(received, device, message)
	if !ok {
		return nil
	}
	m, err := link.Parse(content)
	if err != nil {
		return err
	}
	switch m := m.(type) {
	case link.Frame:
		in.frame(received, device, m.Data, again)
	case link.Clock, link.Receipt:
		if !again {
			in.effects = append(in.effects, Answered{Device: device, Message: m})
		}
	default:
		return fmt.Errorf("ingest: message of type %T from %s", m, device)
	}
	return nil
}

func (in *Intake) frame(received int64, device string, data []byte, again bool) {
	in.mu.Lock()
	in.machine.backlog = in.backlog
	in.machine.Frame(received, device, data, again)
	var rest []Effect
	for _, e := range in.machine.Effects() {
		if s, ok := e.(Store); ok {
			in.waiting = append(in.waiting, waitingFrame{header: s.Header, data: s.Data, received: received})
			in.backlog += int64(len(s.Data))
		} else {
			rest = append(rest, e)
		}
	}
	in.take(rest)
	in.mu.Unlock()
	in.append()
}

// Say sends a message to a device, in its session. One that has none is told nothing.
func (in *Intake) Say(device string, m link.Message) { in.reply(Reply{Device: device, Message: m}) }

// append writes what is waiting to the log, unless a Sync is under way: that one's commit covers what it found.
func (in *Intake) append() {
	if in.syncing {
		return
	}
	for _, w := range in.waiting {
		index, err := in.frames.Append(w.received, w.data)
		in.mu.Lock()
		if err != nil {
			in.machine.Failed(w.received, err, w.header)
			in.backlog -= int64(len(w.data))
			in.take(in.machine.Effects())
		} else {
			in.machine.Appended(w.header)
			in.batch = append(in.batch, Committed{Index: index, Received: w.received, Header: w.header, Data: w.data})
		}
		in.mu.Unlock()
	}
	in.waiting = in.waiting[:0]
	if len(in.batch) > 0 || in.sealed != nil && in.sealed.unsynced {
		if in.sealed != nil {
			in.sealed.unsynced = false
		}
		in.syncing = true
		in.effects = append(in.effects, Sync{})
	}
}

// Sync performs a Sync. It may run on another goroutine while other methods are called.
func (in *Intake) Sync() error {
	if in.sealed != nil {
		if err := in.sealed.log.Sync(); err != nil {
			return err
		}
	}
	return in.frames.Sync()
}

// Synced says how Sync ended. After an error nothing of it is acknowledged; what the log holds of it becomes durable
// with a later Sync, which is asked for at once.
func (in *Intake) Synced(err error) {
	in.syncing = false
	if err != nil {
		in.syncing = true
		in.effects = append(in.effects, Sync{})
		return
	}
	headers := make([]frame.Header, len(in.batch))
	for i, c := range in.batch {
		headers[i] = c.Header
	}
	in.mu.Lock()
	in.machine.Stored(headers...)
	in.take(in.machine.Effects())
	for _, c := range in.batch {
		in.backlog -= int64(len(c.Data))
	}
	in.mu.Unlock()
	for _, c := range in.batch {
		in.effects = append(in.effects, c)
	}
	in.batch = nil
	in.append()
}

// Missing says that frames of a device use layouts which are not known.
func (in *Intake) Missing(device string, ids []telemetry.LayoutID) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.machine.Missing(device, ids)
	in.take(in.machine.Effects())
}

// Beyond says which layouts of a device are not taken, and why.
func (in *Intake) Beyond(device string, layouts map[telemetry.LayoutID]string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.machine.Beyond(device, layouts)
}

// Account, Counters and Devices may be called from any goroutine; see Machine.
func (in *Intake) Account(device string) (ledger.Account, uint64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.machine.Account(device)
}

// Counters tell what became of what arrived.
func (in *Intake) Counters() Counters {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.machine.Counters()
}

// Devices returns the names of the devices that were heard of, in no order.
func (in *Intake) Devices() []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.machine.Devices()
}
