package admission

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Limits of strangers. The zero value of each field means its default.
type Limits struct {
	Strangers int           // at once. Of more the oldest is closed: who means well is known after a few round trips. Default 256
	FromOne   int           // of them from one address, or one IPv6 network of 64 bits; one more is closed at once. Default 64
	PerSecond float64       // that one address may send, after as many at once as FromOne; -1 for no limit. Default 50
	Bytes     int64         // that one may send; -1 for no limit. Default 64 KiB: a handshake is 2 KiB
	Patience  time.Duration // until it must be known; -1 for ever. Default 10 s
}

func (l Limits) withDefaults() Limits {
	if l.Strangers <= 0 {
		l.Strangers = 256
	}
	if l.FromOne <= 0 {
		l.FromOne = 64
	}
	if l.PerSecond == 0 {
		l.PerSecond = 50
	}
	if l.Bytes == 0 {
		l.Bytes = 64 << 10
	}
	if l.Patience == 0 {
		l.Patience = 10 * time.Second
	}
	return l
}

// ErrTooMuch is what reading from a stranger returns that has sent all it may.
var ErrTooMuch = errors.New("admission: too many bytes of a stranger")

// Door is a listener whose visitors are strangers until their server says otherwise.
type Door struct {
	net.Listener
	limits Limits

	mu        sync.Mutex // guards what follows
	strangers []*Visitor // in the order in which they came
	from      map[netip.Prefix]*source
	counts    Counts
}

// source is where strangers come from.
type source struct {
	here   int     // of them
	credit float64 // how many more may come now
	at     time.Time
}

// maxSources is how many are remembered that have no stranger here, for what they have used up.
const maxSources = 4096

// Counts are of connections since the Door was made.
type Counts struct {
	Strangers int    // now
	Admitted  uint64 // those that were Known
	Refused   uint64 // because of how many come from one address
	Displaced uint64 // as the oldest of too many
	Late      uint64 // not known in time
	TooMuch   uint64 // sent more than a stranger may
}

// Add adds those of another door.
func (c *Counts) Add(other Counts) {
	c.Strangers += other.Strangers
	c.Admitted += other.Admitted
	c.Refused += other.Refused
	c.Displaced += other.Displaced
	c.Late += other.Late
	c.TooMuch += other.TooMuch
}

// New returns a door in front of a listener.
func New(l net.Listener, limits Limits) *Door {
	return &Door{Listener: l, limits: limits.withDefaults(), from: make(map[netip.Prefix]*source)}
}

// Counts may be called from any goroutine.
func (d *Door) Counts() Counts {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.counts
	c.Strangers = len(d.strangers)
	return c
}

// CloseStrangers closes the connections of those who are strangers now.
func (d *Door) CloseStrangers() {
	d.mu.Lock()
	list := slices.Clone(d.strangers)
	d.mu.Unlock()
	for _, v := range list {
		_ = v.Close() // it may be closed
	}
}

// Visitor is a connection that a Door accepted.
type Visitor struct {
	net.Conn
	door  *Door
	from  netip.Prefix
	late  *time.Timer  // nil for one that may take its time
	known atomic.Bool  // it is no stranger any more
	sent  atomic.Int64 // bytes, as a stranger
}

// Accept implements net.Listener. What it returns is a *Visitor.
func (d *Door) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if v := d.enter(c); v != nil {
			return v, nil
		}
		_ = c.Close() // nothing was sent
	}
}

// enter makes a connection a stranger, or returns nil if there is no room for it.
func (d *Door) enter(c net.Conn) *Visitor {
	v := &Visitor{Conn: c, door: d, from: origin(c.RemoteAddr())}
	d.mu.Lock()
	s := d.source(v.from, time.Now())
	if s.here >= d.limits.FromOne || d.limits.PerSecond > 0 && s.credit < 1 {
		d.counts.Refused++
		d.mu.Unlock()
		return nil
	}
	var oldest *Visitor
	if len(d.strangers) >= d.limits.Strangers {
		oldest = d.strangers[0]
		d.counts.Displaced++
		d.drop(oldest)
	}
	d.strangers = append(d.strangers, v)
	s.here++
	s.credit--
	if d.limits.Patience > 0 {
		v.late = time.AfterFunc(d.limits.Patience, v.tooLate)
	}
	d.mu.Unlock()
	if oldest != nil {
		_ = oldest.Conn.Close() // it may be closed
	}
	return v
}

// source returns where strangers of an address come from, with its credit. Locked.
func (d *Door) source(from netip.Prefix, now time.Time) *source {
	most := float64(d.limits.FromOne)
	s := d.from[from]
	if s == nil {
		if len(d.from) >= maxSources {
			maps.DeleteFunc(d.from, func(_ netip.Prefix, s *source) bool { return s.here == 0 })
		}
		s = &source{credit: most, at: now}
		d.from[from] = s
	}
	s.credit = min(most, s.credit+max(0, now.Sub(s.at).Seconds())*d.limits.PerSecond)
	s.at = now
	return s
}

// origin is the network that a connection comes from.
func origin(a net.Addr) netip.Prefix {
	p, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Prefix{} // what has no address, as a socket of unix, comes from one place
	}
	return Network(p.Addr())
}

// Network is what of an address its owner has for sure: of IPv6 a network of 64 bits.
func Network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(a, bits).Masked()
}

// drop takes a visitor from the strangers, and reports whether it was one. Locked.
func (d *Door) drop(v *Visitor) bool {
	i := slices.Index(d.strangers, v)
	if i < 0 {
		return false
	}
	d.strangers = slices.Delete(d.strangers, i, i+1)
	d.from[v.from].here--
	if v.late != nil {
		v.late.Stop()
	}
	return true
}

func (v *Visitor) tooLate() {
	v.door.mu.Lock()
	was := v.door.drop(v)
	if was {
		v.door.counts.Late++
	}
	v.door.mu.Unlock()
	if was {
		_ = v.Conn.Close() // it may be closed
	}
}

// Known says that the visitor is no stranger any more, and reports whether it is still there: it may have been closed meanwhile, as the
// oldest of too many. It may be called from any goroutine, and again.
func (v *Visitor) Known() bool {
	v.door.mu.Lock()
	defer v.door.mu.Unlock()
	if v.door.drop(v) {
		v.door.counts.Admitted++
		v.known.Store(true)
	}
	return v.known.Load()
}

// IsKnown reports whether Known was called in time.
func (v *Visitor) IsKnown() bool { return v.known.Load() }

// Read implements net.Conn.
func (v *Visitor) Read(p []byte) (int, error) {
	most := v.door.limits.Bytes
	if v.known.Load() || most < 0 {
		return v.Conn.Read(p)
	}
	left := most - v.sent.Load()
	if left <= 0 && !v.known.Load() {
		v.door.mu.Lock()
		v.door.counts.TooMuch++
		v.door.mu.Unlock()
		return 0, fmt.Errorf("%w: %d", ErrTooMuch, most)
	}
	n, err := v.Conn.Read(p[:max(1, min(int64(len(p)), left))])
	v.sent.Add(int64(n))
	return n, err
}

// Close implements net.Conn.
func (v *Visitor) Close() error {
	v.door.mu.Lock()
	v.door.drop(v)
	v.door.mu.Unlock()
	return v.Conn.Close()
}

// SyscallConn implements syscall.Conn, for who looks at what the peer's system has confirmed.
func (v *Visitor) SyscallConn() (syscall.RawConn, error) {
	if c, ok := v.Conn.(syscall.Conn); ok {
		return c.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}
