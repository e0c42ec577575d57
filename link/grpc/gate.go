package grpc

import (
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/fulmar-io/fulmar/link/internal/pipe"
	"github.com/fulmar-io/fulmar/secure/admission"
	"github.com/fulmar-io/fulmar/secure/identity"
)

// patience is how long a handshake may take, TLS and HTTP/2 in all.
const patience = 5 * time.Second

// perDevice is how many connections a device may have: one, and the one that takes its place.
const perDevice = 2

// gate takes connections, finds out whose they are, and bounds what they are given before that is known and how many there are.
// To the library it is a listener and its credentials.
type gate struct {
	*admission.Door
	credentials.TransportCredentials
	keys    *identity.Keyring // nil: anybody, in the clear
	silence time.Duration
	most    int // connections
	log     *admission.Log

	mu     sync.Mutex // guards what follows
	guests map[string][]*visitor
	inside int  // guests
	closed bool // nobody is let in any more
}

func newGate(l net.Listener, o Options, silence time.Duration) *gate {
	g := &gate{Door: admission.New(l, o.Strangers), TransportCredentials: insecure.NewCredentials(), keys: o.Keys, silence: silence, log: &admission.Log{Logger: o.Logger},
		most: perDevice * o.Machines, guests: make(map[string][]*visitor)}
	if o.Keys != nil {
		g.TransportCredentials = credentials.NewTLS(o.Keys.ServerTLS(identity.Device))
	}
	return g
}

// visitor is a connection: a stranger until its handshake is done, then a guest. pipe.Steady looks at its SyscallConn for what the peer's
// system has confirmed.
type visitor struct {
	*admission.Visitor
	g    *gate
	peer identity.Peer
}

// Close implements net.Conn.
func (v *visitor) Close() error {
	v.g.forget(v)
	return v.Visitor.Close()
}

// Accept implements net.Listener.
func (g *gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Door.Accept()
		if err != nil {
			return nil, err
		}
		g.mu.Lock()
		full := g.closed || g.inside >= g.most
		g.mu.Unlock()
		if !full {
			return &visitor{Visitor: c.(*admission.Visitor), g: g}, nil
		}
		g.log.Tell("grpc: connection refused: there are too many", "from", c.RemoteAddr().String())
		_ = c.Close() // nothing was sent
	}
}

// forget is called when a connection is closed.
func (g *gate) forget(v *visitor) {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := g.guests[v.peer.Name]
	if i := slices.Index(list, v); i >= 0 {
		g.inside--
		if list = slices.Delete(list, i, i+1); len(list) == 0 {
			delete(g.guests, v.peer.Name)
		} else {
			g.guests[v.peer.Name] = list
		}
	}
}

// guest is what the library keeps with a connection, and gives a stream.
type guest struct {
	credentials.AuthInfo
	v *visitor
}

// guestConn is a connection above TLS. Its end is the visitor's.
type guestConn struct {
	*pipe.Steady
	v *visitor
}

// Close implements net.Conn.
func (c guestConn) Close() error {
	c.v.g.forget(c.v)
	return c.Steady.Close()
}

// ServerHandshake implements credentials.TransportCredentials.
func (g *gate) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	v, ok := raw.(*visitor)
	if !ok {
		return nil, nil, fmt.Errorf("grpc: a connection of %T came past the gate", raw)
	}
	c, info, err := g.TransportCredentials.ServerHandshake(raw)
	if err == nil {
		err = g.admit(v, info)
	}
	if err != nil {
		g.log.Tell("grpc: connection refused", "from", v.RemoteAddr().String(), "error", err)
		return nil, nil, err
	}
	return guestConn{Steady: pipe.NewSteady(c, g.silence), v: v}, guest{AuthInfo: info, v: v}, nil
}

// Clone implements credentials.TransportCredentials.
func (g *gate) Clone() credentials.TransportCredentials { return g }

// admit makes a guest of a stranger.
func (g *gate) admit(v *visitor, info credentials.AuthInfo) error {
	var peer identity.Peer
	if g.keys != nil {
		t, ok := info.(credentials.TLSInfo)
		if !ok {
			return fmt.Errorf("grpc: a handshake that was none of TLS: %T", info)
		}
		var err error
		if peer, err = g.keys.PeerOf(&t.State, identity.Device); err != nil {
			return err
		}
	}
	g.mu.Lock()
	if g.closed || !v.Known() {
		g.mu.Unlock()
		return net.ErrClosed // as the oldest of too many
	}
	v.peer = peer
	list := append(g.guests[peer.Name], v)
	g.guests[peer.Name] = list
	g.inside++
	var former *visitor
	if g.keys != nil && len(list) > perDevice {
		former = list[0]
	}
	g.mu.Unlock()
	if former != nil {
		_ = former.Close() // it may be closed
	}
	// A revocation between the handshake and the list has not found it there.
	if g.keys != nil && g.keys.Trust().Revoked(peer) {
		return identity.ErrRevoked
	}
	return nil
}

// cut closes the connections of what is not trusted any more.
func (g *gate) cut() {
	if g.keys == nil {
		return
	}
	trust := g.keys.Trust()
	for _, v := range g.visitors(func(v *visitor) bool { return trust.Revoked(v.peer) }) {
		g.log.Warn("grpc: the connection of a device that was revoked is cut", "device", v.peer.Name)
		_ = v.Close() // it may be closed
	}
}

// shut closes everything at once; nobody is let in after it.
func (g *gate) shut() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.CloseStrangers()
	for _, v := range g.visitors(func(*visitor) bool { return true }) {
		_ = v.Close() // it may be closed
	}
}

// visitors returns the guests that are meant.
func (g *gate) visitors(meant func(*visitor) bool) (list []*visitor) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, of := range g.guests {
		for _, v := range of {
			if meant(v) {
				list = append(list, v)
			}
		}
	}
	return list
}
