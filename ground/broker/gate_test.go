package broker_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	gonats "github.com/nats-io/nats.go"

	"github.com/fulmar-io/fulmar/ground/broker"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/mqtt"
	"github.com/fulmar-io/fulmar/link/nats"
	"github.com/fulmar-io/fulmar/secure/identity"
	"github.com/fulmar-io/fulmar/secure/identity/identitytest"
)

// guarded is a broker that takes devices of a fleet.
type guarded struct {
	*broker.Broker
	t      *testing.T
	fleet  *identitytest.Fleet
	ground *identity.Keyring
}

func startGuarded(t *testing.T) *guarded {
	t.Helper()
	return startGuardedWith(t, broker.Options{})
}

// startGuardedWith starts one with limits of its own.
func startGuardedWith(t *testing.T, o broker.Options) *guarded {
	t.Helper()
	g := &guarded{t: t, fleet: identitytest.New(t)}
	g.ground = g.fleet.Ground()
	o.MQTT, o.NATS, o.Dir, o.Keys, o.Log = "127.0.0.1:0", "127.0.0.1:0", t.TempDir(), g.ground, slog.New(slog.DiscardHandler)
	var err error
	if g.Broker, err = broker.Start(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	return g
}

func toGround(k *identity.Keyring) *tls.Config { return k.ClientTLS(identity.Ground, identity.Broker) }

// client is a client of MQTT that keeps to nothing but its certificate. cut ends it without a word.
func (g *guarded) client(k *identity.Keyring, id string, change func(*paho.ClientOptions)) (c paho.Client, got chan string, cut func(), err error) {
	got = make(chan string, 16)
	var conn net.Conn
	o := paho.NewClientOptions().AddBroker(strings.Replace(g.MQTT(), "mqtts", "ssl", 1)).SetClientID(id).SetTLSConfig(toGround(k)).
		SetAutoReconnect(false).SetConnectTimeout(5 * time.Second).SetProtocolVersion(4).
		SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { got <- m.Topic() })
	o.SetCustomOpenConnectionFn(func(u *url.URL, o paho.ClientOptions) (net.Conn, error) {
		conn, err = (&tls.Dialer{Config: o.TLSConfig}).DialContext(g.t.Context(), "tcp", u.Host)
		return conn, err
	})
	if change != nil {
		change(o)
	}
	c = paho.NewClient(o)
	token := c.Connect()
	token.Wait()
	return c, got, func() { _ = conn.Close() }, token.Error()
}

// A device is heard and answered over its own connection, whichever it speaks.
func TestDevicesOfTheFleet(t *testing.T) {
	g := startGuarded(t)
	r, err := g.Receiver()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	rover, boat := g.fleet.Device("rover"), g.fleet.Device("boat")
	for name, d := range map[string]link.Dialer{
		"rover": mqtt.Dialer{URL: g.MQTT(), Device: "rover", TLS: toGround(rover)},
		"boat":  nats.Dialer{URL: g.NATS(), Device: "boat", TLS: toGround(boat)},
	} {
		c, err := d.Dial(ctx)
		if err != nil {
			t.Fatal(name, err)
		}
		defer c.Close()
		if err := c.Send(ctx, []byte("frame")); err != nil {
			t.Fatal(name, err)
		}
		if m, err := r.Recv(ctx); err != nil || m.Device != name {
			t.Fatal(name, m, err)
		}
		if err := r.Send(ctx, name, []byte("ack")); err != nil {
			t.Fatal(name, err)
		}
		if m, err := c.Recv(ctx); err != nil || string(m) != "ack" {
			t.Fatal(name, m, err)
		}
	}
	// Another's name, another's certificate, none, and a device that was revoked.
	other := identitytest.New(t)
	for what, d := range map[string]link.Dialer{
		"the boat's name over MQTT":  mqtt.Dialer{URL: g.MQTT(), Device: "boat", TLS: toGround(rover)},
		"the rover's name over NATS": nats.Dialer{URL: g.NATS(), Device: "rover", TLS: toGround(boat)},
		"a certificate of elsewhere": mqtt.Dialer{URL: g.MQTT(), Device: "rover", TLS: toGround(other.Device("rover"))},
		"of elsewhere, over NATS":    nats.Dialer{URL: g.NATS(), Device: "rover", TLS: toGround(other.Device("rover"))},
		"no certificate":             mqtt.Dialer{URL: g.MQTT(), Device: "rover", TLS: &tls.Config{InsecureSkipVerify: true}},
		"in the clear":               mqtt.Dialer{URL: strings.Replace(g.MQTT(), "mqtts", "mqtt", 1), Device: "rover"},
		"in the clear, over NATS":    nats.Dialer{URL: strings.Replace(g.NATS(), "tls", "nats", 1), Device: "rover"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if c, err := d.Dial(ctx); err == nil {
			_ = c.Close()
			t.Errorf("%s: it is connected", what)
		}
		cancel()
	}
}

// What a device may do, verb by verb and name by name: with its own certificate, and no other restraint.
func TestWhatADeviceMayDo(t *testing.T) {
	g := startGuarded(t)
	rover := g.fleet.Device("rover")
	// try does something on a connection of its own and returns what the server said to it.
	try := func(do func(*gonats.Conn) error) error {
		c, err := gonats.Connect(g.NATS(), gonats.Secure(toGround(rover)), gonats.NoReconnect(), gonats.ErrorHandler(func(*gonats.Conn, *gonats.Subscription, error) {}))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := do(c); err != nil {
			return err
		}
		if err := c.FlushTimeout(5 * time.Second); err != nil {
			return err
		}
		return c.LastError()
	}
	for _, x := range []struct {
		subject       string
		says, listens bool
	}{
		{"fulmar.v1.rover.up", true, false}, {"fulmar.v1.rover.down", false, true},
		{"fulmar.v1.boat.up", false, false}, {"fulmar.v1.boat.down", false, false}, {"fulmar.v1.rover.other", false, false}, {"other", false, false},
		{"fulmar.v1.*.up", false, false}, {"fulmar.v1.*.down", false, false}, {"fulmar.v1.>", false, false}, {">", false, false},
		{"$SYS.>", false, false}, {"$JS.API.>", false, false}, {"$JS.API.STREAM.LIST", false, false}, {"$MQTT.sess.>", false, false},
		{"$MQTT.rmsgs.x", false, false}, {"_INBOX.>", false, false},
	} {
		if !strings.ContainsAny(x.subject, "*>") {
			if err := try(func(c *gonats.Conn) error { return c.Publish(x.subject, []byte("x")) }); (err == nil) != x.says {
				t.Errorf("publish %s: %v", x.subject, err)
			}
		}
		for what, subscribe := range map[string]func(*gonats.Conn) error{
			"subscribe":            func(c *gonats.Conn) error { _, err := c.SubscribeSync(x.subject); return err },
			"subscribe in a queue": func(c *gonats.Conn) error { _, err := c.QueueSubscribeSync(x.subject, "q"); return err },
		} {
			if err := try(subscribe); (err == nil) != x.listens {
				t.Errorf("%s %s: %v", what, x.subject, err)
			}
		}
	}
}

// Over MQTT the ways are more: wildcards, client ids, wills, retained messages.
func TestWhatADeviceMayDoOverMQTT(t *testing.T) {
	g := startGuarded(t)
	rover := g.fleet.Device("rover")
	r, err := g.Receiver()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	heard := make(chan string, 64)
	go func() {
		for {
			m, err := r.Recv(context.Background())
			if err != nil {
				return
			}
			heard <- fmt.Sprintf("%s %s", m.Device, m.Message)
		}
	}()
	for _, id := range []string{"fulmar-boat", "fulmar-*", "fulmar-+", "fulmar-#", "", "rover", "fulmar-rover2", `fulmar-boat - "fulmar-rover`} {
		if c, _, _, err := g.client(rover, id, nil); err == nil {
			c.Disconnect(0)
			t.Errorf("client id %q is taken", id)
		}
	}
	own := func(change func(*paho.ClientOptions)) (paho.Client, chan string, func()) {
		t.Helper()
		c, got, cut, err := g.client(rover, "fulmar-rover", change)
		if err != nil {
			t.Fatal(err)
		}
		return c, got, cut
	}
	for _, topic := range []string{"fulmar/v1/boat/up", "fulmar/v1/boat/down", "fulmar/v1/rover/down", "$SYS/x", "$MQTT/sess/x", "other"} {
		for _, retained := range []bool{false, true} {
			c, _, _ := own(nil)
			c.Publish(topic, 0, retained, "forged").Wait()
			c.Publish("fulmar/v1/rover/up", 1, false, "true").WaitTimeout(time.Second) // the server may have cut it off
			c.Disconnect(0)
		}
		_, _, cut := own(func(o *paho.ClientOptions) { o.SetWill(topic, "forged", 0, true) })
		cut()
	}
	for _, filter := range []string{"fulmar/v1/boat/down", "fulmar/v1/+/down", "fulmar/v1/+/up", "fulmar/#", "#", "+/+/+/+", "$share/x/fulmar/v1/boat/down", "$SYS/#"} {
		c, got, _ := own(nil)
		token := c.Subscribe(filter, 1, nil)
		token.WaitTimeout(2 * time.Second)
		if s, ok := token.(*paho.SubscribeToken); ok && token.Error() == nil {
			for _, code := range s.Result() {
				if code < 0x80 {
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
					if err := r.Send(ctx, "boat", []byte("for the boat")); err != nil {
						t.Fatal(err)
					}
					cancel()
					select {
					case topic := <-got:
						t.Errorf("%s: it hears %s", filter, topic)
					case <-time.After(200 * time.Millisecond): // nothing comes; there is no event to wait for
					}
				}
			}
		}
		c.Disconnect(0)
	}
	// Nothing of that has arrived; what the rover says as itself has.
	c, _, _ := own(nil)
	c.Publish("fulmar/v1/rover/up", 1, false, "last").Wait()
	c.Disconnect(0)
	for got := ""; got != "rover last"; {
		if got = <-heard; got != "rover last" && got != "rover true" {
			t.Errorf("the ground hears %q", got)
		}
	}
	// And nobody who comes later finds a retained message.
	boat, err := mqtt.Dialer{URL: g.MQTT(), Device: "boat", TLS: toGround(g.fleet.Device("boat"))}.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer boat.Close()
	if err := r.Send(t.Context(), "boat", []byte("the ground's")); err != nil {
		t.Fatal(err)
	}
	if m, err := boat.Recv(t.Context()); err != nil || string(m) != "the ground's" {
		t.Errorf("the boat hears %q, %v", m, err)
	}
}

// Who is revoked is cut off while it is connected, and does not come back. Its neighbours stay.
func TestRevokedWhileConnected(t *testing.T) {
	g := startGuarded(t)
	rover, boat := g.fleet.Device("rover"), g.fleet.Device("boat")
	dial := func(d link.Dialer) link.Conn {
		t.Helper()
		c, err := d.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	overMQTT := dial(mqtt.Dialer{URL: g.MQTT(), Device: "rover", TLS: toGround(rover)})
	overNATS := dial(nats.Dialer{URL: g.NATS(), Device: "rover", TLS: toGround(rover)})
	neighbour := dial(mqtt.Dialer{URL: g.MQTT(), Device: "boat", TLS: toGround(boat)})
	g.fleet.Revoke("rover", g.ground)
	began := time.Now()
	if err := g.Cut(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for name, c := range map[string]link.Conn{"MQTT": overMQTT, "NATS": overNATS} {
		if _, err := c.Recv(ctx); !errors.Is(err, link.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Logf("cut after %s", time.Since(began))
	for _, d := range []link.Dialer{mqtt.Dialer{URL: g.MQTT(), Device: "rover", TLS: toGround(rover)}, nats.Dialer{URL: g.NATS(), Device: "rover", TLS: toGround(rover)}} {
		if c, err := d.Dial(ctx); err == nil {
			_ = c.Close()
			t.Errorf("%s: it is connected again", d)
		}
	}
	if err := neighbour.Send(ctx, []byte("frame")); err != nil {
		t.Errorf("the neighbour: %v", err)
	}
	again := dial(mqtt.Dialer{URL: g.MQTT(), Device: "rover", TLS: toGround(g.fleet.Device("rover"))})
	if err := again.Send(ctx, []byte("frame")); err != nil {
		t.Errorf("with a new certificate: %v", err)
	}
}
