package mqtt

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/log"

	"github.com/fulmar-io/fulmar/link/internal/pipe"
)

// sessionV5 is a session of the MQTT 5 library.
type sessionV5 struct {
	*pipe.End
	g      *guard
	device string // as a sessionV311's
	client *paho.Client
	max    int
}

// receiveMaximum is small because the library takes memory for as many packets at once.
const receiveMaximum = 16

func openV5(ctx context.Context, e endpoint, g *guard, to receive) (session, error) {
	s := &sessionV5{End: pipe.NewEnd(), g: g, device: e.device, max: math.MaxInt}
	s.client = paho.NewClient(paho.ClientConfig{
		ClientID: e.clientID, Conn: g, PacketTimeout: time.Hour, // ctx is the limit
		PingHandler: &pinger{start: time.Now()},
		AuthHandler: noAuth{},
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
			to(p.Packet.Topic, p.Packet.Payload)
			return true, nil
		}},
		OnClientError:      func(err error) { s.Because(lost(g, e.device, err)) },
		OnServerDisconnect: func(d *paho.Disconnect) { s.Because(disconnected(d)) },
	})
	ca, err := s.client.Connect(ctx, connectV5(e))
	if err != nil {
		if ca != nil && ca.ReasonCode >= 0x80 {
			return nil, refusedV5(ca)
		}
		return nil, err
	}
	if p := ca.Properties; p != nil && p.MaximumPacketSize != nil {
		s.max = int(*p.MaximumPacketSize)
	}
	return s, nil
}

func connectV5(e endpoint) *paho.Connect {
	receiveMax, packetMax := uint16(receiveMaximum), uint32(maxPacket)
	return &paho.Connect{
		ClientID: e.clientID, CleanStart: true, KeepAlive: e.seconds(),
		Username: e.user, UsernameFlag: e.hasUser, Password: []byte(e.password), PasswordFlag: e.hasPass,
		Properties: &paho.ConnectProperties{ReceiveMaximum: &receiveMax, MaximumPacketSize: &packetMax, RequestProblemInfo: true},
	}
}

// refusedV5 puts a CONNACK's reason code in words: MQTT 5, section 3.2.2.2.
func refusedV5(ca *paho.Connack) error {
	r := &refusal{}
	switch ca.ReasonCode {
	case packets.ConnackUnsupportedProtocolVersion:
		r.text, r.version = "it does not speak MQTT 5", true
	case packets.ConnackInvalidClientID:
		r.text, r.lasting = "it does not take the client identifier", true
	case packets.ConnackBadUsernameOrPassword:
		r.text, r.lasting = "user name or password is wrong", true
	case packets.ConnackNotAuthorized:
		r.text, r.lasting = "not authorized", true
	case packets.ConnackBanned:
		r.text, r.lasting = "this client is banned", true
	case packets.ConnackServerUnavailable:
		r.text = "it is unavailable"
	case packets.ConnackServerBusy:
		r.text = "it is busy"
	case packets.ConnackQuotaExceeded, packets.ConnackConnectionRateExceeded:
		r.text = "too many connections or messages"
	default:
		r.text = fmt.Sprintf("reason code 0x%02x", ca.ReasonCode)
	}
	if ca.Properties != nil && ca.Properties.ReasonString != "" {
		r.text += fmt.Sprintf(" (%q)", ca.Properties.ReasonString)
	}
	return r
}

// disconnected puts a broker's farewell in words.
func disconnected(d *paho.Disconnect) error {
	switch d.ReasonCode {
	case packets.DisconnectSessionTakenOver:
		return errors.New("another connection took over: is a second machine using this device name?")
	case packets.DisconnectServerShuttingDown:
		return errors.New("the broker is shutting down")
	case packets.DisconnectPacketTooLarge:
		return errors.New("the broker says that a packet was too large")
	}
	return fmt.Errorf("the broker ended the connection with reason code 0x%02x", d.ReasonCode)
}

func (s *sessionV5) subscribe(ctx context.Context, filter string) error {
	ack, err := s.client.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: filter, QoS: 0}}})
	switch {
	case ack != nil && len(ack.Reasons) > 0 && ack.Reasons[0] >= 0x80:
		return &refusal{text: fmt.Sprintf("subscription to %s: reason code 0x%02x", filter, ack.Reasons[0]), lasting: true}
	case errors.Is(err, paho.ErrInvalidArguments): // the CONNACK said so
		return &refusal{text: err.Error(), lasting: true}
	}
	return err
}

func (s *sessionV5) Publish(topic string, payload []byte) error {
	_, err := s.client.Publish(context.Background(), &paho.Publish{Topic: topic, Payload: payload})
	return err
}

func (s *sessionV5) limit() int       { return s.max }
func (s *sessionV5) version() Version { return V5 }

func (s *sessionV5) Close() {
	why := lost(s.g, s.device, pipe.ErrClosedHere) // see sessionV311
	s.g.Hurry()
	_ = s.client.Disconnect(&paho.Disconnect{ReasonCode: packets.DisconnectNormalDisconnection}) // a courtesy
	s.Because(why)
}

// noAuth answers what nobody asked for: the library would call a nil handler.
type noAuth struct{}

// Authenticate implements paho.Auther.
func (noAuth) Authenticate(*paho.Auth) *paho.Auth {
	return &paho.Auth{ReasonCode: packets.DisconnectNotAuthorized, Properties: &paho.AuthProperties{}}
}

// Authenticated implements paho.Auther.
func (noAuth) Authenticated() {}

// A pinger asks an idle broker for a sign of life. The library's own also cuts the connection when there is no answer in
// time, and so takes a ping that waits behind a long message on a slow link for one that was not answered.
type pinger struct {
	sent, received atomic.Int64 // when, in ns since start
	start          time.Time
}

// Run implements paho.Pinger.
func (p *pinger) Run(ctx context.Context, conn net.Conn, keepAlive uint16) error {
	if keepAlive == 0 {
		return nil
	}
	interval := time.Duration(keepAlive) * time.Second
	tick := time.NewTicker(interval / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if p.now()-min(p.sent.Load(), p.received.Load()) < int64(interval)*3/4 {
			continue
		}
		// This waits for a message that is being written, and ends when the connection is closed.
		if _, err := packets.NewControlPacket(packets.PINGREQ).WriteTo(conn); err != nil {
			return err
		}
		p.sent.Store(p.now())
		p.received.Store(p.now()) // one at a time
	}
}

func (p *pinger) now() int64 { return int64(time.Since(p.start)) }

// PacketSent implements paho.Pinger.
func (p *pinger) PacketSent() { p.sent.Store(p.now()) }

// PacketReceived implements paho.Pinger.
func (p *pinger) PacketReceived() { p.received.Store(p.now()) }

// PingResp implements paho.Pinger.
func (p *pinger) PingResp() {}

// SetDebug implements paho.Pinger.
func (p *pinger) SetDebug(log.Logger) {}
