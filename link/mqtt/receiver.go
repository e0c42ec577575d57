package mqtt

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/internal/queue"
	"github.com/fulmar-io/fulmar/telemetry"
)

// What has arrived at a ground and was not received yet, and what waits for the broker to take it. Beyond it messages
// are lost; they come again.
const (
	groundInboxCount  = 4096
	groundInboxBytes  = 64 << 20
	groundOutboxCount = 4096
	groundOutboxBytes = 8 << 20
)

// Options of a Receiver. The zero value works.
type Options struct {
	Version   Version
	KeepAlive time.Duration // see Dialer. Default DefaultKeepAlive
	TLS       *tls.Config   // see Dialer
	// RetryMax bounds the pause between attempts to connect. The pause is random, up to a limit that doubles from 100 ms.
	// Default 10 s.
	RetryMax time.Duration
	Logger   *slog.Logger // is told when the broker comes and goes. Default slog.Default()
}

// Receiver is the ground's end: one connection that takes the messages of all devices.
type Receiver struct {
	e        endpoint
	group    string
	retryMax time.Duration
	logger   *slog.Logger
	inbox    *queue.Queue[link.Inbound]
	outbox   *queue.Queue[outgoing]
	cancel   context.CancelFunc
	ended    chan struct{}

	probeTopic string
	probed     chan struct{}

	mu   sync.Mutex
	s    session // nil while there is none
	down error   // why there is none
}

type outgoing struct {
	topic   string
	payload []byte
}

// Listen connects a ground to a broker. Grounds with the same non-empty group share the messages between them, by a
// shared subscription: a matter of MQTT 5, which some brokers have in 3.1.1 too.
//
// A broker that is not there yet is no error, for the Receiver goes on trying; one that refuses is, with ErrRefused.
func Listen(ctx context.Context, brokerURL, group string, o Options) (*Receiver, error) {
	e, err := parseURL(brokerURL)
	if err != nil {
		return nil, err
	}
	if strings.ContainsAny(group, "/+#\x00") || len(group) > 64 {
		return nil, fmt.Errorf("mqtt: group %q: want at most 64 bytes without /, + and #", group)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.RetryMax <= 0 {
		o.RetryMax = 10 * time.Second
	}
	if o.KeepAlive <= 0 {
		o.KeepAlive = DefaultKeepAlive
	}
	// A device's name has no upper-case letters: no machine has this identifier. Some brokers take no dots.
	e.clientID = "fulmar-GROUND-" + rand.Text()[:10]
	e.keepAlive, e.version, e.tls = o.KeepAlive, o.Version, o.TLS
	e.keepAlive = time.Duration(e.seconds()) * time.Second
	r := &Receiver{e: e, group: group, retryMax: o.RetryMax, logger: o.Logger, ended: make(chan struct{}),
		probeTopic: "fulmar/v1/" + e.clientID + "/probe", probed: make(chan struct{}, 1),
		inbox:  queue.New[link.Inbound](groundInboxCount, groundInboxBytes),
		outbox: queue.New[outgoing](groundOutboxCount, groundOutboxBytes)}
	s, err := r.connect(ctx)
	if err != nil {
		if errors.Is(err, link.ErrRefused) || ctx.Err() != nil {
			return nil, err
		}
		r.logger.Warn("broker is not there; trying again", "link", r.String(), "error", err)
	}
	run, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	r.set(s, err)
	go r.run(run, s)
	return r, nil
}

// connect makes one attempt.
func (r *Receiver) connect(ctx context.Context) (session, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	s, err := open(ctx, r.e, r.arrived)
	if err != nil {
		return nil, err
	}
	if err := r.subscribe(ctx, s); err != nil {
		s.Close()
		return nil, fmt.Errorf("mqtt: subscribe at %s: %w", r.e.shown, err)
	}
	return s, nil
}

func (r *Receiver) subscribe(ctx context.Context, s session) error {
	if r.group == "" {
		return s.subscribe(ctx, link.UpTopics)
	}
	err := s.subscribe(ctx, "$share/"+r.group+"/"+link.UpTopics)
	if err == nil && s.version() == V311 {
		err = r.probe(ctx, s)
	}
	if errors.Is(err, link.ErrRefused) {
		return fmt.Errorf("%w; grounds share devices only over a broker that has shared subscriptions", err)
	}
	return err
}

// probeTime is how long a message to ourselves may take.
const probeTime = 3 * time.Second

// probe finds out whether a broker knows shared subscriptions: MQTT 3.1.1 has none, so a broker may also agree to "$share"
// as to any topic, on which nothing would ever arrive.
func (r *Receiver) probe(ctx context.Context, s session) error {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	err := s.subscribe(ctx, "$share/"+r.e.clientID+"/"+r.probeTopic)
	if err == nil {
		err = s.Publish(r.probeTopic, nil)
	}
	if err != nil {
		return err
	}
	select {
	case <-r.probed:
		return nil
	case <-s.Lost():
		return s.Cause()
	case <-ctx.Done():
		return &refusal{text: "over MQTT 3.1.1 it agrees to shared subscriptions, but delivers nothing to them", lasting: true}
	}
}

func (r *Receiver) arrived(topic string, payload []byte) {
	if topic == r.probeTopic {
		select {
		case r.probed <- struct{}{}:
		default:
		}
	}
	if device, ok := link.TopicDevice(topic); ok && len(payload) <= link.MaxMessage {
		r.inbox.Put(link.Inbound{Device: device, Message: payload}, len(payload))
	}
}

func (r *Receiver) set(s session, why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.s, r.down = s, why
}

// run keeps a connection until ctx ends.
func (r *Receiver) run(ctx context.Context, s session) {
	defer close(r.ended)
	defer r.inbox.Close()
	var failures int
	for {
		if s != nil {
			failures = 0
			r.logger.Info("broker connected", "link", r.String(), "mqtt", s.version().String())
			err := r.serve(ctx, s)
			r.set(nil, err)
			if ctx.Err() != nil {
				return
			}
			r.logger.Warn("broker lost; trying again", "link", r.String(), "error", err)
		}
		if !r.pause(ctx, failures) {
			return
		}
		var err error
		s, err = r.connect(ctx)
		r.set(s, err)
		if err != nil && ctx.Err() == nil {
			if failures++; failures&(failures-1) == 0 { // the first, second, fourth …
				r.logger.Warn("broker cannot be reached", "link", r.String(), "attempts", failures, "error", err)
			}
		}
	}
}

// serve writes what is to be sent until the session is lost, and returns why it was.
func (r *Receiver) serve(ctx context.Context, s session) error {
	served, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-s.Lost():
		case <-ctx.Done():
			s.Close() // ends a publish that waits
		case <-served.Done():
		}
		cancel()
	}()
	for {
		m, err := r.outbox.Get(served)
		if err == nil && len(m.payload)+len(m.topic)+overhead <= s.limit() {
			err = s.Publish(m.topic, m.payload)
		}
		if err != nil {
			s.Close()
			return s.Cause()
		}
	}
}

// pause waits a random time before the next attempt, and reports whether there shall be one.
func (r *Receiver) pause(ctx context.Context, failures int) bool {
	limit := min(100*time.Millisecond<<min(failures, 20), r.retryMax)
	t := time.NewTimer(time.Duration(mathrand.Int64N(int64(limit)) + 1))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Recv implements link.Receiver.
func (r *Receiver) Recv(ctx context.Context) (link.Inbound, error) {
	m, err := r.inbox.Get(ctx)
	if errors.Is(err, queue.ErrClosed) {
		return link.Inbound{}, fmt.Errorf("mqtt: receive: %w", link.ErrClosed)
	}
	return m, err
}

// Send implements link.Receiver.
func (r *Receiver) Send(_ context.Context, device string, message []byte) error {
	if err := telemetry.ValidateDevice(device); err != nil {
		return fmt.Errorf("mqtt: send: %w", err)
	}
	r.mu.Lock()
	s, down := r.s, r.down
	r.mu.Unlock()
	if s == nil {
		return fmt.Errorf("mqtt: send: %w: %w", link.ErrClosed, down)
	}
	topic := link.DownTopic(device)
	if len(message) > link.MaxMessage || len(message)+len(topic)+overhead > s.limit() {
		return fmt.Errorf("mqtt: send %d bytes: %w", len(message), link.ErrTooLarge)
	}
	if !r.outbox.Put(outgoing{topic: topic, payload: append([]byte(nil), message...)}, len(message)) {
		return errors.New("mqtt: send: the broker does not take messages as fast as they come; this one is dropped")
	}
	return nil
}

// Close implements link.Receiver.
func (r *Receiver) Close() error {
	r.cancel()
	<-r.ended
	return nil
}

// String implements link.Receiver.
func (r *Receiver) String() string { return r.e.shown }
