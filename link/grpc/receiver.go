package grpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/internal/queue"
	"github.com/fulmar-io/fulmar/secure/admission"
	"github.com/fulmar-io/fulmar/secure/identity"
	"github.com/fulmar-io/fulmar/telemetry"
)

// What has arrived at a ground and was not received yet, of all machines and of each; beyond it their streams are not read. And
// what waits for a machine to take it; beyond it messages are dropped, and the machine asks again.
const (
	groundInbox  = 64 << 20
	machineShare = 1 << 20
	outboxCount  = 1024
	outboxBytes  = 1 << 20
)

// DefaultMachines is how many machines may be connected at once.
const DefaultMachines = 4096

const (
	// unused is how long a connection may be without a stream.
	unused = 15 * time.Second
	// leastMachinePing is how often a machine may ping.
	leastMachinePing = leastPing / 2
	// goodbye is how long a machine may take for the word that its stream is over.
	goodbye = time.Second
	// comeAgain is when a machine that there was no room for may try again, at least; up to twice that, so that they do not come together.
	comeAgain = 30 * time.Second
)

// Options of a Receiver. The zero value works, for the bench.
type Options struct {
	// Keys are the ground's: connections are TLS with certificates on both ends, and a device sends and hears under its own name alone. Nil
	// takes anybody, in the clear: for the bench.
	Keys *identity.Keyring
	// KeepAlive is how long a connection may be idle before it is tried, 2 s at least; one that gives no sign of life for twice as
	// long is cut. Default DefaultKeepAlive.
	KeepAlive time.Duration
	// Machines is how many may be connected at once; more are asked to come later. A machine costs 3 MiB when it sends faster
	// than the ground receives and takes nothing itself; one that sends each byte by itself on purpose, several more. Default DefaultMachines.
	Machines int
	// Strangers are connections whose handshake is not done. By default it may take 5 s.
	Strangers admission.Limits
	// Logger is told when visitors are refused. Default slog.Default().
	Logger *slog.Logger

	patience, unused time.Duration // see the constants; tests have less of them
	inbox            int           // likewise
}

func (o Options) withDefaults() Options {
	if o.Machines <= 0 {
		o.Machines = DefaultMachines
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.patience <= 0 {
		o.patience = patience
	}
	if o.Strangers.Patience == 0 {
		o.Strangers.Patience = o.patience
	}
	if o.unused <= 0 {
		o.unused = unused
	}
	if o.inbox <= 0 {
		o.inbox = groundInbox
	}
	return o
}

// Receiver is the ground's end: it listens, and serves every machine.
type Receiver struct {
	o      Options
	shown  string
	gate   *gate
	server *grpc.Server
	inbox  *queue.Queue[arrival]
	room   *semaphore.Weighted // of the inbox
	served chan struct{}
	wg     sync.WaitGroup // of streams' readers
	close  sync.Once

	mu        sync.Mutex // guards what follows
	machines  map[string]*machine
	connected int  // machines with a stream
	closed    bool // Close was called
}

// machine is what a device has here: a stream, or messages that were not received yet.
type machine struct {
	share   *semaphore.Weighted // of the inbox
	now     *stream             // nil while it has none
	holders int                 // streams and messages
	hold    admission.Hold      // of what it sends
}

// arrival is a message in the inbox.
type arrival struct {
	device  string
	message []byte
	of      *machine
}

// Listen serves machines at an address, "host:port"; port 0 is any that is free.
func Listen(address string, o Options) (*Receiver, error) {
	o = o.withDefaults()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("grpc: %w", err)
	}
	ping, silence := rhythm(o.KeepAlive, time.Second)
	r := &Receiver{o: o, shown: endpoint{address: l.Addr().String(), secure: o.Keys != nil}.String(), gate: newGate(l, o, silence),
		inbox: queue.New[arrival](o.inbox/perMessage, o.inbox), room: semaphore.NewWeighted(int64(o.inbox)),
		served: make(chan struct{}), machines: make(map[string]*machine)}
	r.server = grpc.NewServer(grpc.Creds(r.gate), grpc.ForceServerCodecV2(codec{}), grpc.MaxRecvMsgSize(link.MaxMessage),
		grpc.MaxSendMsgSize(link.MaxMessage), grpc.MaxConcurrentStreams(1), grpc.MaxHeaderListSize(maxHeaders), grpc.ConnectionTimeout(o.patience),
		grpc.StaticStreamWindowSize(window), grpc.StaticConnWindowSize(window), grpc.WaitForHandlers(true),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: o.unused, Time: ping, Timeout: never}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: leastMachinePing}))
	desc := carry
	desc.Handler = r.carry
	r.server.RegisterService(&grpc.ServiceDesc{ServiceName: service, HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{desc}}, r)
	go r.serve()
	return r, nil
}

func (r *Receiver) serve() {
	defer close(r.served)
	if err := r.server.Serve(r.gate); err != nil {
		r.o.Logger.Error("machines are not taken any more", "link", r.shown, "error", err)
	}
}

// stream is that of a machine.
type stream struct {
	device string
	of     *machine
	v      *visitor
	outbox *queue.Queue[[]byte]

	once   sync.Once
	reason error       // set before the outbox is closed
	cut    *time.Timer // set with it
}

// over ends the stream, for the first reason that is given. Who does not hear it is cut.
func (s *stream) over(reason error) {
	s.once.Do(func() {
		s.reason = reason
		s.cut = time.AfterFunc(goodbye, func() { _ = s.v.Close() }) // it may be closed
		s.outbox.Close()
	})
}

// carry serves a stream until it is over.
func (r *Receiver) carry(_ any, ss grpc.ServerStream) error {
	device, v, err := r.who(ss.Context())
	if err != nil {
		return err
	}
	s, err := r.enter(device, v)
	if err != nil {
		ss.SetTrailer(later(comeAgain + rand.N(comeAgain)))
		return err
	}
	defer r.leave(s)
	if err := ss.SendHeader(metadata.Pairs(deviceKey, device)); err != nil {
		return err
	}
	r.wg.Add(1)
	go func() { defer r.wg.Done(); s.over(r.read(ss, s)) }()
	for {
		message, err := s.outbox.Get(ss.Context())
		if err == nil {
			err = ss.SendMsg(message)
		}
		if errors.Is(err, queue.ErrClosed) {
			s.cut.Stop() // set before the outbox was closed
			return s.reason
		}
		if err != nil {
			return err
		}
	}
}

// who says of which device a stream is.
func (r *Receiver) who(ctx context.Context) (string, *visitor, error) {
	p, ok := peer.FromContext(ctx)
	g, known := guest{}, false
	if ok {
		g, known = p.AuthInfo.(guest)
	}
	if !known {
		return "", nil, status.Error(codes.Unauthenticated, "nobody knows whose connection this is")
	}
	md, _ := metadata.FromIncomingContext(ctx)
	said := md.Get(deviceKey)
	if r.o.Keys == nil {
		if len(said) != 1 || telemetry.ValidateDevice(said[0]) != nil {
			return "", nil, status.Error(codes.InvalidArgument, "metadata "+deviceKey+": want one name of a device")
		}
		return said[0], g.v, nil
	}
	name := g.v.peer.Name
	if len(said) > 0 && (len(said) != 1 || said[0] != name) {
		return "", nil, status.Errorf(codes.PermissionDenied, "the certificate is of %s, and the stream says it is another's", name)
	}
	return name, g.v, nil
}

// enter makes a stream that of its device, in the place of the one before.
func (r *Receiver) enter(device string, v *visitor) (*stream, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.machines[device]
	if m == nil {
		m = &machine{share: semaphore.NewWeighted(machineShare)}
	}
	if m.now == nil {
		if r.connected >= r.o.Machines {
			return nil, errFull
		}
		r.connected++
	} else {
		m.now.over(errReplaced)
	}
	r.machines[device] = m
	s := &stream{device: device, of: m, v: v, outbox: queue.New[[]byte](outboxCount, outboxBytes)}
	m.now = s
	m.holders++
	return s, nil
}

func (r *Receiver) leave(s *stream) {
	s.outbox.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.of.now == s {
		s.of.now = nil
		r.connected--
	}
	r.drop(s.device, s.of)
}

// drop is called with the lock held, when a stream or a message of a machine is gone.
func (r *Receiver) drop(device string, m *machine) {
	if m.holders--; m.holders == 0 {
		delete(r.machines, device)
	}
}

// read moves messages to the inbox until the stream is over. Where there is no room it waits, and with it the machine.
func (r *Receiver) read(ss grpc.ServerStream, s *stream) error {
	for {
		var message []byte
		err := ss.RecvMsg(&message)
		if errors.Is(err, io.EOF) {
			return nil // its machine has ended it
		}
		if err != nil {
			return err
		}
		if err := s.of.hold.Wait(ss.Context()); err != nil {
			return err
		}
		w := weight(message)
		if err := s.of.share.Acquire(ss.Context(), w); err != nil {
			return err
		}
		if err := r.room.Acquire(ss.Context(), w); err != nil {
			s.of.share.Release(w)
			return err
		}
		r.mu.Lock()
		s.of.holders++
		r.mu.Unlock()
		r.inbox.Put(arrival{device: s.device, message: message, of: s.of}, len(message))
	}
}

// Recv implements link.Receiver.
func (r *Receiver) Recv(ctx context.Context) (link.Inbound, error) {
	a, err := r.inbox.Get(ctx)
	if errors.Is(err, queue.ErrClosed) {
		return link.Inbound{}, fmt.Errorf("grpc: receive: %w", link.ErrClosed)
	}
	if err != nil {
		return link.Inbound{}, err
	}
	w := weight(a.message)
	a.of.share.Release(w)
	r.room.Release(w)
	r.mu.Lock()
	r.drop(a.device, a.of)
	r.mu.Unlock()
	return link.Inbound{Device: a.device, Message: a.message}, nil
}

// Send implements link.Receiver. What is for a machine that is not connected, or takes less than comes, is dropped with an error.
func (r *Receiver) Send(_ context.Context, device string, message []byte) error {
	if err := telemetry.ValidateDevice(device); err != nil {
		return fmt.Errorf("grpc: send: %w", err)
	}
	if len(message) > link.MaxMessage {
		return fmt.Errorf("grpc: send %d bytes: %w", len(message), link.ErrTooLarge)
	}
	r.mu.Lock()
	closed := r.closed
	var s *stream
	if m := r.machines[device]; m != nil {
		s = m.now
	}
	r.mu.Unlock()
	switch {
	case closed:
		return fmt.Errorf("grpc: send: %w", link.ErrClosed)
	case s == nil:
		return fmt.Errorf("grpc: send to %s: %w", device, errNobody)
	case !s.outbox.Put(bytes.Clone(message), len(message)):
		return fmt.Errorf("grpc: send to %s: it does not take messages as fast as they come; this one is dropped", device)
	}
	return nil
}

// Cut cuts the connections of every device that the ground does not trust any more, at once. It is called when what is trusted has
// changed.
func (r *Receiver) Cut() error {
	r.gate.cut()
	return nil
}

// Strangers counts the connections whose handshake is not done.
func (r *Receiver) Strangers() admission.Counts { return r.gate.Counts() }

// Close implements link.Receiver.
func (r *Receiver) Close() error {
	r.close.Do(func() {
		r.mu.Lock()
		r.closed = true
		r.mu.Unlock()
		r.gate.shut() // else the library says goodbye to each, one after the other
		r.server.Stop()
		<-r.served
		r.wg.Wait()
		r.inbox.Close()
	})
	return nil
}

// String implements link.Receiver: the URL at which machines reach it.
func (r *Receiver) String() string { return r.shown }

// Hold implements link.Holder: what a machine sends is not read for a while, and flow control has it wait.
func (r *Receiver) Hold(device string, d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.machines[device]; m != nil {
		m.hold.For(d)
	}
}
