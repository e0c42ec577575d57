package mqtt

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/internal/pipe"
	"github.com/fulmar-io/fulmar/link/internal/queue"
	"github.com/fulmar-io/fulmar/telemetry"
)

// What has arrived at a machine and was not received yet; beyond it messages are lost, as on any link.
const (
	machineInboxCount = 1024
	machineInboxBytes = 4 << 20
)

// Dialer connects a machine to a broker.
type Dialer struct {
	URL     string // mqtt://[user[:password]@]host[:port], or mqtts://
	Device  string // as telemetry.ValidateDevice has it
	Version Version
	// KeepAlive is how long a connection may be idle before it is tried; one that gives no sign of life for twice as long
	// is cut. In whole seconds. Default DefaultKeepAlive.
	KeepAlive time.Duration
	// TLS is for mqtts. Default: the system's certificate authorities, and no certificate of our own.
	TLS *tls.Config
}

// String implements link.Dialer.
func (d Dialer) String() string { return redact(d.URL) }

// ClientID is a device's at its broker, which takes one connection of each.
func ClientID(device string) string { return "fulmar-" + device }

// overhead is what a packet takes beyond topic and payload: the fixed header, and the lengths of topic and properties.
const overhead = 5 + 2 + 1

// Dial implements link.Dialer. Without a deadline an attempt has 10 s; with Auto, MQTT 5 has half of the time.
func (d Dialer) Dial(ctx context.Context) (link.Conn, error) {
	if err := telemetry.ValidateDevice(d.Device); err != nil {
		return nil, fmt.Errorf("mqtt: dial: %w", err)
	}
	e, err := parseURL(d.URL)
	if err != nil {
		return nil, err
	}
	e.device, e.clientID, e.keepAlive, e.version, e.tls = d.Device, ClientID(d.Device), d.KeepAlive, d.Version, d.TLS
	if e.keepAlive <= 0 {
		e.keepAlive = DefaultKeepAlive
	}
	e.keepAlive = time.Duration(e.seconds()) * time.Second
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, attemptTime)
		defer cancel()
	}
	inbox := queue.New[[]byte](machineInboxCount, machineInboxBytes)
	down := link.DownTopic(d.Device)
	s, err := open(ctx, e, func(topic string, payload []byte) {
		if topic == down && len(payload) <= link.MaxMessage {
			inbox.Put(payload, len(payload))
		}
	})
	if err != nil {
		return nil, err
	}
	if err := s.subscribe(ctx, down); err != nil {
		s.Close()
		return nil, fmt.Errorf("mqtt: subscribe at %s: %w", e.shown, err)
	}
	up := link.UpTopic(d.Device)
	return pipe.NewConn(s, pipe.Options{Name: "mqtt", Topic: up, Limit: s.limit() - len(up) - overhead, Inbox: inbox}), nil
}
