package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/fulmar-io/fulmar/link"
	linknats "github.com/fulmar-io/fulmar/link/nats"
	"github.com/fulmar-io/fulmar/secure/admission"
	"github.com/fulmar-io/fulmar/secure/identity"
)

// Options of a Broker.
type Options struct {
	MQTT string // address to listen on for MQTT, "host:port"; port 0 for any
	NATS string // the same for NATS; empty for none
	Dir  string // folder that the server wants to have; it holds no telemetry, and no sessions
	// Keys are the ground's: connections are TLS with certificates on both ends, and a device publishes and subscribes under its own name
	// alone. Nil takes anybody, in the clear: for the bench.
	Keys *identity.Keyring
	// Strangers are connections that have not authenticated, at each address. Without keys nobody is one.
	Strangers admission.Limits
	Log       *slog.Logger
}

// Broker is a running server.
type Broker struct {
	o          Options
	s          *server.Server
	front      *front
	gate       *gate           // nil without keys
	mqtt, nats *admission.Door // for machines; nats may be nil
}

// Start starts the server and returns when it takes connections.
func Start(o Options) (*Broker, error) {
	f := newFront(o.Keys == nil, o.Log)
	b := &Broker{o: o, front: f}
	so, err := b.listen(o)
	if err != nil {
		f.close()
		return nil, err
	}
	if o.Keys != nil {
		if b.gate, err = newGate(o.Keys, f, o.Log); err != nil {
			f.close()
			return nil, err
		}
		b.gate.guard(so)
	}
	if b.s, err = begin(so, o.Log); err != nil {
		f.close()
		return nil, err
	}
	if err := sessionsInMemory(b.s, b.own()...); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	f.serve(b.mqtt, inside(so.MQTT.Port))
	if b.nats != nil {
		f.serve(b.nats, inside(b.s.Addr().(*net.TCPAddr).Port))
	}
	return b, nil
}

// listen takes the addresses for machines, and returns the options of a server behind them.
func (b *Broker) listen(o Options) (so *server.Options, err error) {
	if b.mqtt, err = b.front.listen("MQTT", o.MQTT, o.Strangers); err != nil {
		return nil, err
	}
	if o.NATS != "" {
		if b.nats, err = b.front.listen("NATS", o.NATS, o.Strangers); err != nil {
			return nil, err
		}
	}
	return &server.Options{
		ServerName: "fulmar-ground", NoSigs: true, NoSystemAccount: false,
		JetStream: true, StoreDir: o.Dir, // MQTT sessions need it, see sessionStreams
		JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 256 << 20,
		MaxPayload: link.MaxMessage + 64<<10,
		Host:       "127.0.0.1", Port: server.RANDOM_PORT, DontListen: o.NATS == "",
		MQTT: server.MQTTOpts{Host: "127.0.0.1", Port: server.RANDOM_PORT},
	}, nil
}

// inside is the address of a port of the server.
func inside(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// begin starts a server.
func begin(so *server.Options, log *slog.Logger) (*server.Server, error) {
	s, err := server.NewServer(so)
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	s.SetLoggerV2(logger{log}, false, false, false)
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		s.Shutdown()
		return nil, errors.New("broker: not ready after 10 s")
	}
	return s, nil
}

// PortError says that an address cannot be listened on.
type PortError struct {
	What    string // "MQTT", "NATS", "HTTP"
	Address string
	Err     error
}

// Error implements error.
func (e *PortError) Error() string {
	return fmt.Sprintf("listen for %s on %s: %v", e.What, e.Address, e.Err)
}

// Unwrap returns the cause.
func (e *PortError) Unwrap() error { return e.Err }

// MQTT returns the URL under which machines reach it over MQTT.
func (b *Broker) MQTT() string { return b.url("mqtt", "mqtts", b.o.MQTT, b.mqtt) }

// NATS returns the URL under which machines reach it over NATS, or "" if it does not listen for that.
func (b *Broker) NATS() string {
	if b.nats == nil {
		return ""
	}
	return b.url("nats", "tls", b.o.NATS, b.nats)
}

// Strangers counts the connections at the addresses for machines.
func (b *Broker) Strangers() admission.Counts {
	c := b.mqtt.Counts()
	if b.nats != nil {
		c.Add(b.nats.Counts())
	}
	return c
}

// url is that of an address which was wanted, with the port that it got.
func (b *Broker) url(plain, secure, wanted string, d *admission.Door) string {
	if b.gate != nil {
		plain = secure
	}
	host, _, _ := net.SplitHostPort(wanted) // it was listened on
	return plain + "://" + net.JoinHostPort(host, strconv.Itoa(d.Addr().(*net.TCPAddr).Port))
}

// own are the options of the ground's own connections.
func (b *Broker) own() []nats.Option {
	list := []nats.Option{nats.InProcessServer(b.s)}
	if b.gate != nil {
		list = append(list, nats.UserInfo(ownUser, b.gate.secret))
	}
	return list
}

// Cut cuts the connections of every device that the ground does not trust any more, at once. It is called when what is trusted has
// changed.
func (b *Broker) Cut() error {
	if b.gate == nil {
		return nil
	}
	return b.gate.cut(b.s)
}

// Receiver returns the ground's end of what arrives at the broker.
func (b *Broker) Receiver() (link.Receiver, error) {
	r, err := linknats.Listen("nats://embedded", "", b.own()...)
	if err != nil {
		return nil, err
	}
	return receiver{Receiver: r, front: b.front}, nil
}

// receiver is the ground's end of the broker.
type receiver struct {
	link.Receiver
	front *front
}

// Hold implements link.Holder.
func (r receiver) Hold(device string, d time.Duration) { r.front.hold(device, d) }

// Close stops the server and returns when it has ended.
func (b *Broker) Close() error {
	b.s.Shutdown()
	b.s.WaitForShutdown()
	b.front.close()
	return nil
}

// logger passes on what the server says that an operator should know.
type logger struct{ l *slog.Logger }

func (l logger) Noticef(format string, v ...any) { l.l.Debug("broker: " + fmt.Sprintf(format, v...)) }
func (l logger) Warnf(format string, v ...any)   { l.l.Debug("broker: " + fmt.Sprintf(format, v...)) }
func (l logger) Fatalf(format string, v ...any)  { l.l.Error("broker: " + fmt.Sprintf(format, v...)) }
func (l logger) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	if strings.Contains(text, "unacceptable protocol version") {
		return // a machine that tries MQTT 5 first: it goes on with 3.1.1, which this server speaks
	}
	l.l.Warn("broker: " + text)
}

func (l logger) Debugf(string, ...any) {}
func (l logger) Tracef(string, ...any) {}
