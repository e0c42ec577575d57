package mqtt

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/fulmar-io/fulmar/link/internal/pipe"
)

// sessionV311 is a session of the MQTT 3.1.1 library.
type sessionV311 struct {
	*pipe.End
	g      *guard
	device string // of a machine's connection; empty for a ground's
	client mqtt.Client
}

func openV311(ctx context.Context, e endpoint, g *guard, to receive) (session, error) {
	s := &sessionV311{End: pipe.NewEnd(), g: g, device: e.device}
	o := mqtt.NewClientOptions()
	o.AddBroker("tcp://" + e.address)
	o.SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return g, nil })
	o.SetProtocolVersion(4).SetClientID(e.clientID).SetCleanSession(true)
	o.SetAutoReconnect(false).SetConnectRetry(false)
	// A ping may wait behind a long message on a slow link. Whether the broker is alive, the guard finds out.
	o.SetKeepAlive(time.Duration(e.seconds()) * time.Second).SetPingTimeout(math.MaxInt64)
	// Only how long a publication may wait for the library's goroutine, which is there unless the connection is lost; the
	// guard lets it set no deadline on a write.
	o.SetWriteTimeout(time.Second)
	if e.hasUser {
		o.SetUsername(e.user)
	}
	if e.hasPass {
		o.SetPassword(e.password)
	}
	o.SetOrderMatters(true)
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { to(m.Topic(), m.Payload()) })
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { s.Because(lost(g, e.device, err)) })
	s.client = mqtt.NewClient(o)
	token := s.client.Connect()
	select {
	case <-token.Done():
	case <-ctx.Done():
		<-token.Done() // the connection is closed with ctx
	}
	if err := token.Error(); err != nil {
		if ct, ok := token.(*mqtt.ConnectToken); ok && ct.ReturnCode() != packets.ErrNetworkError {
			return nil, refusedV311(ct.ReturnCode())
		}
		return nil, err
	}
	return s, nil
}

// refusedV311 puts a CONNACK's return code in words: MQTT 3.1.1, section 3.2.2.3.
func refusedV311(code byte) error {
	switch code {
	case packets.ErrRefusedBadProtocolVersion:
		return &refusal{text: "it does not speak MQTT 3.1.1", version: true}
	case packets.ErrRefusedIDRejected:
		return &refusal{text: "it does not take the client identifier", lasting: true}
	case packets.ErrRefusedServerUnavailable:
		return &refusal{text: "it is unavailable"}
	case packets.ErrRefusedBadUsernameOrPassword:
		return &refusal{text: "user name or password is wrong", lasting: true}
	case packets.ErrRefusedNotAuthorised:
		return &refusal{text: "not authorized", lasting: true}
	}
	return &refusal{text: fmt.Sprintf("return code %d", code)}
}

func (s *sessionV311) subscribe(ctx context.Context, filter string) error {
	token := s.client.Subscribe(filter, 0, nil)
	select {
	case <-token.Done():
	case <-s.Lost():
		return s.Cause()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := token.Error(); err != nil {
		return err
	}
	st, ok := token.(*mqtt.SubscribeToken)
	if !ok {
		return errors.New("subscription without an answer")
	}
	for _, code := range st.Result() {
		if code >= 0x80 {
			return &refusal{text: "subscription to " + filter, lasting: true}
		}
	}
	return nil
}

func (s *sessionV311) Publish(topic string, payload []byte) error {
	token := s.client.Publish(topic, 0, false, payload)
	select {
	case <-token.Done():
		return token.Error()
	case <-s.Lost():
		return s.Cause()
	}
}

// farewell is longer than any: Disconnect returns before that when the library's goroutines have ended, which is what is
// waited for here.
const farewell = 5 * time.Second

func (s *sessionV311) limit() int       { return math.MaxInt }
func (s *sessionV311) version() Version { return V311 }

func (s *sessionV311) Close() {
	// A publication that failed closes too, perhaps before the library tells of the loss.
	why := lost(s.g, s.device, pipe.ErrClosedHere)
	s.g.Hurry()
	s.client.Disconnect(uint(farewell.Milliseconds()))
	s.Because(why)
}
