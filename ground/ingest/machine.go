package ingest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/secure/identity"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
)

// Options bound what peers can make the machine hold. The zero value of each field means its default.
type Options struct {
	Devices int // default 10,000
	// Boots is per device. Default 4,096; beyond it the boot that was heard of least recently is forgotten, and a frame
	// of it would be stored again.
	Boots int
	// Holes is how many separate ranges the marks of one stream may have. Default 4,096; a frame that would make one
	// more is dropped, to come again when the holes are filled.
	Holes int
	// Quota is each device's.
	Quota Quota
	// Backlog bounds the bytes of frames that wait for the disk, of all devices together: with a half of it frames of class bulk are not
	// taken any more, with three quarters those of class normal, then all. Default 64 MiB.
	Backlog int64
	// Keys are the ground's: what is not sealed in a session of a device that they trust is dropped. Nil takes everything, in the
	// clear: for the bench. The Machine has no use for them, the Intake has.
	Keys *identity.Keyring
}

// WithDefaults fills what was left 0.
func (o Options) WithDefaults() Options {
	for _, f := range []struct {
		v *int
		d int
	}{{&o.Devices, 10_000}, {&o.Boots, 4096}, {&o.Holes, 4096}} {
		if *f.v <= 0 {
			*f.v = f.d
		}
	}
	if o.Backlog <= 0 {
		o.Backlog = 64 << 20
	}
	o.Quota = o.Quota.withDefaults()
	return o
}

// Effect is something to be done.
type Effect interface{ isEffect() }

// Store asks to append a frame to the frame log. Answer with Stored once it is durable, or Failed. Frames are
// answered in any order.
type Store struct {
	Header frame.Header
	Data   []byte // the frame, as it was given to Frame
}

// Reply asks to send a message to a device.
type Reply struct {
	Device  string
	Message link.Message // nil for what is said about a session
	Wire    []byte       // the message as it goes over the link; from an Intake
}

// Dropped tells that a frame was dropped. Nothing is lost by it: its machine keeps it and sends it again.
type Dropped struct {
	Device string // as the link knows it
	Why    Why
	Err    error
}

// Why says why a frame was dropped.
type Why string

// The reasons to drop a frame, which a person should know of.
const (
	Damaged   Why = "damaged"    // on its way, or not a frame
	Newer     Why = "newer"      // of a later version: this ground is to be brought up to date
	Beyond    Why = "beyond"     // a limit of the Options
	Unstored  Why = "unstored"   // the disk did not take it
	Forged    Why = "forged"     // not made by its device, or not sealed; nothing is known of who did
	Repeated  Why = "repeated"   // a message that was seen before, with a frame that is not known
	OverQuota Why = "over quota" // its device has used what one may; it was asked to wait
	Behind    Why = "behind"     // the disk is slower than what comes; devices were asked to wait
)

func (Store) isEffect()   {}
func (Reply) isEffect()   {}
func (Dropped) isEffect() {}

// Counters tell what became of what arrived, in frames.
type Counters struct {
	Stored     uint64
	Duplicates uint64 // known already, or on their way to the disk
	Damaged    uint64 // checksum mismatch, or not a frame; dropped, to come again
	Refused    uint64 // for good
	Forged     uint64 // messages that were not made by their device, or were not sealed
	Shed       uint64 // repeated by somebody, of a later version, beyond a limit, or not taken by the disk; dropped, to come again
}

// Machine is the state. It is for one goroutine.
type Machine struct {
	o        Options
	devices  map[string]*device
	effects  []Effect
	counters Counters
	backlog  int64  // bytes that wait for the disk, as the Intake says
	tick     uint64 // counts events, to know which boot was heard of least recently
}

type device struct {
	streams    map[telemetry.Stream]*marks
	heard      map[telemetry.Boot]uint64
	duplicates uint64
	use        use
}

// marks is what is known of one stream.
type marks struct {
	known   ledger.Set // committed: data or declared lost
	data    ledger.Set
	lost    [ledger.Reasons]ledger.Set
	pending ledger.Set // on its way to the disk
	// appended are the headers of pending frames that are in the log and not known to be durable.
	appended []frame.Header
}

// New returns a machine that knows of nothing.
func New(o Options) *Machine {
	return &Machine{o: o.WithDefaults(), devices: make(map[string]*device)}
}

// Effects returns what is to be done since it was last called, in order.
func (m *Machine) Effects() []Effect {
	e := m.effects
	m.effects = nil
	return e
}

// Counters returns what became of what arrived.
func (m *Machine) Counters() Counters { return m.counters }

// Frame takes a frame that arrived from a device, as the link knows the device, at the ground's wall time now, ns. data is kept until it is answered. again is that its
// message was seen before: then it may be acknowledged again, but there is no reason to store it. Its machine would have sent it
// in another one.
func (m *Machine) Frame(now int64, from string, data []byte, again bool) {
	m.tick++
	h, err := frame.Peek(data)
	switch {
	case errors.Is(err, frame.ErrVersion):
		// The header of a later version cannot be trusted to name a range: nothing can be refused by number, and the
		// machine keeps the frame until the ground is brought up to date.
		m.shed(from, Newer, err)
		return
	case err != nil:
		m.counters.Damaged++
		m.effects = append(m.effects, Dropped{Device: from, Why: Damaged, Err: err})
		return
	case h.Stream.Device != from:
		m.refuse(from, h, link.CodeDevice, fmt.Sprintf("frame of %q came over the link of %q", h.Stream.Device, from))
		return
	}
	d := m.device(from)
	if d == nil {
		m.shed(from, Beyond, fmt.Errorf("ingest: %d devices are known, and no more are taken", m.o.Devices))
		return
	}
	if !m.withinRates(now, d, h, len(data)) {
		return
	}
	s := d.stream(h.Stream)
	d.heard[h.Stream.Boot] = m.tick
	d.forget(m.o.Boots)
	r := ledger.Range{First: h.First, Count: h.Count}
	lost := h.Mode == frame.Lost
	switch {
	case s.pending.Covered(r) > 0:
		m.again(d)
	case s.data.Contains(r), lost && s.known.Contains(r):
		m.again(d)
		m.acknowledge(h.Stream, s)
	case !lost && s.data.Covered(r) > 0:
		m.refuse(from, h, link.CodeConflict, fmt.Sprintf("records %d to %d overlap others of the same stream", r.First, r.End()-1))
	case s.known.Len()+s.pending.Len() >= m.o.Holes && s.known.Covered(ledger.Range{First: r.First, Count: 1}) == 0 && r.First > s.known.Prefix():
		m.shed(from, Beyond, fmt.Errorf("ingest: %s has %d holes, and no more are taken", h.Stream, m.o.Holes))
	case again:
		m.shed(from, Repeated, fmt.Errorf("ingest: records %d to %d of %s in a message that was seen before", r.First, r.End()-1, h.Stream))
	case m.admit(now, d, h):
		s.pending.Add(r)
		m.effects = append(m.effects, Store{Header: h, Data: data})
	}
}

// Appended says that a frame is in the log, and will be durable if what comes after it is. Its Stored or Failed follows.
func (m *Machine) Appended(h frame.Header) {
	if d := m.devices[h.Stream.Device]; d != nil {
		s := d.stream(h.Stream)
		s.appended = append(s.appended, h)
	}
}

// Stored says that frames are durable. Their streams are acknowledged, each once.
func (m *Machine) Stored(headers ...frame.Header) {
	touched := make(map[telemetry.Stream]*marks, 1)
	var order []telemetry.Stream
	for _, h := range headers {
		d := m.devices[h.Stream.Device]
		if d == nil {
			continue
		}
		s := d.stream(h.Stream)
		s.settle(h)
		s.commit(h)
		m.counters.Stored++
		if touched[h.Stream] == nil {
			touched[h.Stream] = s
			order = append(order, h.Stream)
		}
	}
	for _, stream := range order {
		m.acknowledge(stream, touched[stream])
	}
}

// Failed says that frames could not be stored, and why. They are forgotten, and come again, after a while.
func (m *Machine) Failed(now int64, err error, headers ...frame.Header) {
	for _, h := range headers {
		d := m.devices[h.Stream.Device]
		if d == nil {
			m.shed(h.Stream.Device, Unstored, err)
			continue
		}
		m.unstored(now, d, h, err)
		d.stream(h.Stream).settle(h)
	}
}

// Replayed takes the header of a frame that is in the log already: the marks catch up with what was stored after the
// checkpoint they were restored from.
func (m *Machine) Replayed(h frame.Header) {
	m.tick++
	d := m.devices[h.Stream.Device]
	if d == nil {
		d = newDevice()
		m.devices[h.Stream.Device] = d
	}
	d.heard[h.Stream.Boot] = m.tick
	d.stream(h.Stream).commit(h)
}

// Missing says that frames of a device use layouts which are not known: they are asked for.
func (m *Machine) Missing(device string, ids []telemetry.LayoutID) {
	m.effects = append(m.effects, Reply{Device: device, Message: link.Want{Layouts: ids}})
}

func (m *Machine) shed(from string, why Why, err error) {
	m.counters.Shed++
	m.effects = append(m.effects, Dropped{Device: from, Why: why, Err: err})
}

func (m *Machine) again(d *device) {
	d.duplicates++
	m.counters.Duplicates++
}

func (m *Machine) refuse(from string, h frame.Header, code link.Code, text string) {
	m.counters.Refused++
	m.effects = append(m.effects, Reply{Device: from, Message: link.Refuse{
		Boot: h.Stream.Boot, Class: h.Stream.Class, First: h.First, Count: h.Count, Code: code, Text: text}})
}

func (m *Machine) acknowledge(stream telemetry.Stream, s *marks) {
	a := link.Ack{Boot: stream.Boot, Class: stream.Class, Prefix: s.known.Prefix()}
	for r := range s.known.Ranges() {
		if r.First >= a.Prefix && len(a.Ranges) < link.MaxRanges && r.First > 0 {
			a.Ranges = append(a.Ranges, r)
		}
	}
	m.effects = append(m.effects, Reply{Device: stream.Device, Message: a})
}

func (m *Machine) device(name string) *device {
	d := m.devices[name]
	if d == nil && len(m.devices) < m.o.Devices {
		d = newDevice()
		m.devices[name] = d
	}
	return d
}

func newDevice() *device {
	return &device{streams: make(map[telemetry.Stream]*marks), heard: make(map[telemetry.Boot]uint64),
		use: use{layouts: make(map[telemetry.LayoutID]string)}}
}

func (d *device) stream(s telemetry.Stream) *marks {
	k := d.streams[s]
	if k == nil {
		k = &marks{}
		d.streams[s] = k
	}
	return k
}

// forget drops the boots that were heard of least recently, until no more than most are left. Of those that were not heard
// of since the marks were restored, the first one goes.
func (d *device) forget(most int) {
	for len(d.heard) > most {
		var oldest telemetry.Boot
		at := ^uint64(0)
		for b, t := range d.heard {
			if t < at || t == at && b.Compare(oldest) < 0 {
				oldest, at = b, t
			}
		}
		delete(d.heard, oldest)
		for s := range d.streams {
			if s.Boot == oldest {
				delete(d.streams, s)
			}
		}
	}
}

// settle takes a frame off the ones on their way.
func (s *marks) settle(h frame.Header) {
	s.pending.Remove(ledger.Range{First: h.First, Count: h.Count})
	s.appended = slices.DeleteFunc(s.appended, func(a frame.Header) bool { return a.First == h.First && a.Mode == h.Mode })
}

// commit marks what a stored frame brings.
func (s *marks) commit(h frame.Header) {
	r := ledger.Range{First: h.First, Count: h.Count}
	if h.Mode == frame.Lost {
		for gap := range s.known.Missing(r) {
			s.lost[h.Reason].Add(gap)
		}
		s.known.Add(r)
		return
	}
	if s.known.Covered(r) > 0 { // declared lost, and found after all
		for i := range s.lost {
			s.lost[i].Remove(r)
		}
	}
	s.known.Add(r)
	s.data.Add(r)
}

// Account returns what is known of a device's records: numbered is the highest number heard of plus one, per stream;
// waiting is what has not arrived.
func (m *Machine) Account(name string) (a ledger.Account, duplicates uint64) {
	d := m.devices[name]
	if d == nil {
		return a, 0
	}
	for _, s := range d.streams {
		a.Add(s.account())
	}
	return a, d.duplicates
}

func (s *marks) account() ledger.Account {
	a := ledger.Account{Numbered: s.known.End(), Delivered: s.data.Count()}
	for i := range s.lost {
		a.LostBy[i] = s.lost[i].Count()
	}
	a.Waiting = a.Numbered - a.Delivered - a.Lost()
	return a
}

// Devices returns the names of the devices that were heard of, in no order.
func (m *Machine) Devices() []string {
	names := make([]string, 0, len(m.devices))
	for n := range m.devices {
		names = append(names, n)
	}
	return names
}
