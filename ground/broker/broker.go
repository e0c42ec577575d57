package broker

import (
	"context"
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
	Log  *slog.Logger
}

// Broker is a running server.
type Broker struct {
	s    *server.Server
	o    *server.Options
	gate *gate // nil without keys
}

// Start starts the server and returns when it takes connections.
func Start(o Options) (*Broker, error) {
	mqttHost, mqttPort, err := address("MQTT", o.MQTT)
	if err != nil {
		return nil, err
	}
	so := &server.Options{
		ServerName: "fulmar-ground", NoSigs: true, NoSystemAccount: false,
		JetStream: true, StoreDir: o.Dir, // MQTT sessions need it, see sessionStreams
		JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 256 << 20,
		MaxPayload: link.MaxMessage + 64<<10,
		MQTT:       server.MQTTOpts{Host: mqttHost, Port: mqttPort},
		DontListen: o.NATS == "",
	}
	if o.NATS != "" {
		if so.Host, so.Port, err = address("NATS", o.NATS); err != nil {
			return nil, err
		}
	}
	b := &Broker{o: so}
	if o.Keys != nil {
		if b.gate, err = newGate(o.Keys, o.Log); err != nil {
			return nil, err
		}
		b.gate.guard(so)
	}
	s, err := server.NewServer(so)
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	s.SetLoggerV2(logger{o.Log}, false, false, false)
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		s.Shutdown()
		return nil, errors.New("broker: not ready after 10 s")
	}
	b.s = s
	if err := sessionsInMemory(s, b.own()...); err != nil {
		s.Shutdown()
		return nil, err
	}
	return b, nil
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

// address splits an address, after finding out that it is free: the server itself would only log that it is not.
func address(what, addr string) (host string, port int, err error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return "", 0, &PortError{What: what, Address: addr, Err: err}
	}
	bound := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return "", 0, &PortError{What: what, Address: addr, Err: err}
	}
	host, p, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, &PortError{What: what, Address: addr, Err: err}
	}
	if port, err = strconv.Atoi(p); err != nil || port == 0 {
		port = bound
	}
	return host, port, nil
}

// MQTT returns the URL under which machines reach it over MQTT.
func (b *Broker) MQTT() string {
	return b.scheme("mqtt", "mqtts") + net.JoinHostPort(b.o.MQTT.Host, strconv.Itoa(b.o.MQTT.Port))
}

// NATS returns the URL under which machines reach it over NATS, or "" if it does not listen for that.
func (b *Broker) NATS() string {
	if b.o.DontListen {
		return ""
	}
	return b.scheme("nats", "tls") + net.JoinHostPort(b.o.Host, strconv.Itoa(b.o.Port))
}

func (b *Broker) scheme(plain, secure string) string {
	if b.gate != nil {
		plain = secure
	}
	return plain + "://"
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
	return linknats.Listen("nats://embedded", "", b.own()...)
}

// Close stops the server and returns when it has ended.
func (b *Broker) Close() error {
	b.s.Shutdown()
	b.s.WaitForShutdown()
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
