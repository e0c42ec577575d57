package mqtt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/internal/testbroker"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/linktest"
	"github.com/fulmar-io/fulmar/link/mqtt"
)

var versions = []mqtt.Version{mqtt.Auto, mqtt.V5, mqtt.V311}

func TestRefusedCredentials(t *testing.T) {
	file := filepath.Join(t.TempDir(), "passwords")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m := testbroker.StartMosquitto(t, "allow_anonymous false", "password_file "+file)
	u := (&url.URL{Scheme: "mqtt", User: url.UserPassword("rover", "secret"), Host: m.Address}).String()
	for _, v := range versions {
		d := mqtt.Dialer{URL: u, Device: "rover", Version: v}
		_, err := d.Dial(within(t))
		if !errors.Is(err, link.ErrRefused) {
			t.Errorf("MQTT %s: %v, want ErrRefused", v, err)
		}
		r, err2 := mqtt.Listen(within(t), u, "", mqtt.Options{Version: v, Logger: quiet()})
		if !errors.Is(err2, link.ErrRefused) {
			t.Errorf("ground, MQTT %s: %v, want ErrRefused", v, err2)
		}
		if err2 == nil {
			_ = r.Close()
		}
		for _, s := range []string{err.Error(), err2.Error(), d.String()} {
			if strings.Contains(s, "secret") {
				t.Errorf("the password is told: %s", s)
			}
		}
	}
}

func TestURLs(t *testing.T) {
	for raw, want := range map[string]string{
		"mqtt://broker":                   "mqtt://broker",
		"mqtts://user:secret@broker:8883": "mqtts://user:xxxxx@broker:8883",
		"mqtt://[::1]:1883/":              "mqtt://[::1]:1883/",
	} {
		if got := (mqtt.Dialer{URL: raw}).String(); got != want {
			t.Errorf("%s is shown as %s, want %s", raw, got, want)
		}
	}
	for _, raw := range []string{"", "broker:1883", "http://broker", "mqtt://", "mqtt://broker/topic", "mqtt://broker?x=1",
		"mqtt://user:secret@bro ker:18x83", "mqtt://user:secret@broker:port", "mqtt://user:secret@%zz"} {
		_, err := mqtt.Dialer{URL: raw, Device: "rover"}.Dial(t.Context())
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", raw, err)
		}
	}
	if _, err := (mqtt.Dialer{URL: "mqtt://broker", Device: "a/b"}).Dial(t.Context()); err == nil {
		t.Error("a device name that would change the topic was taken")
	}
}

func TestParseVersion(t *testing.T) {
	for s, want := range map[string]mqtt.Version{"": mqtt.Auto, "auto": mqtt.Auto, "5": mqtt.V5, "3.1.1": mqtt.V311} {
		if got, err := mqtt.ParseVersion(s); err != nil || got != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"3.1", "4", "v5"} {
		if _, err := mqtt.ParseVersion(s); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
}

// TestGroupWithoutSharedSubscriptions: the embedded NATS server speaks 3.1.1, agrees to $share, and means nothing by it.
func TestGroupWithoutSharedSubscriptions(t *testing.T) {
	r, err := mqtt.Listen(within(t), embedded(t).MQTT(), "grounds", mqtt.Options{Logger: quiet()})
	if !errors.Is(err, link.ErrRefused) || !strings.Contains(err.Error(), "shared subscriptions") {
		t.Errorf("%v, want ErrRefused that speaks of shared subscriptions", err)
	}
	if err == nil {
		_ = r.Close()
	}
}

// TestMaximumPacketSize: what a broker says that it takes is held to, with MQTT 5.
func TestMaximumPacketSize(t *testing.T) {
	m := testbroker.StartMosquitto(t, "max_packet_size 1000")
	ctx := within(t)
	r, err := mqtt.Listen(ctx, m.URL(), "", mqtt.Options{Version: mqtt.V5, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c, err := mqtt.Dialer{URL: m.URL(), Device: "rover", Version: mqtt.V5}.Dial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	n := 1000
	for ; n > 0; n-- { // from above: one byte too many would cost the connection
		if err = c.Send(ctx, bytes.Repeat([]byte{1}, n)); !errors.Is(err, link.ErrTooLarge) {
			break
		}
		if err := r.Send(ctx, "a-device-name-that-is-long", make([]byte, n)); !errors.Is(err, link.ErrTooLarge) {
			t.Fatalf("ground: send %d bytes: %v, want ErrTooLarge", n, err)
		}
	}
	if err != nil || n < 900 {
		t.Fatalf("send %d bytes: %v", n, err)
	}
	if got, err := r.Recv(ctx); err != nil || len(got.Message) != n {
		t.Fatalf("%d bytes, %v, want %d", len(got.Message), err, n)
	}
}

// TestTakeover: the broker cuts the older of two connections of one device, and the machine says what happened; or what
// may have, where the broker gives no reason.
func TestTakeover(t *testing.T) {
	mosquitto, own := testbroker.StartMosquitto(t).URL(), embedded(t).MQTT()
	for i, c := range []struct {
		url string
		v   mqtt.Version
	}{{mosquitto, mqtt.Auto}, {mosquitto, mqtt.V5}, {mosquitto, mqtt.V311}, {own, mqtt.Auto}, {own, mqtt.V311}} {
		ctx := within(t)
		// The embedded server refuses, for a second, a client id of which a connection was just cut and another is still open.
		device := fmt.Sprintf("rover%d", i)
		d := mqtt.Dialer{URL: c.url, Device: device, Version: c.v}
		first, second := dialTwice(ctx, t, d)
		_, err := first.Recv(ctx)
		mayBe := strings.Contains(err.Error(), "is a second machine using the device name "+device+"?")
		is := strings.Contains(err.Error(), "another connection took over") // of Mosquitto over MQTT 5, which versions say
		if !errors.Is(err, link.ErrClosed) || !mayBe && (!is || c.url == own || c.v == mqtt.V311) {
			t.Errorf("%s, MQTT %s: %v, want ErrClosed that asks for a second machine", c.url, c.v, err)
		}
		if err := errors.Join(second.Send(ctx, []byte("x")), first.Close(), second.Close()); err != nil {
			t.Error(err)
		}
	}
}

func dialTwice(ctx context.Context, t *testing.T, d mqtt.Dialer) (first, second link.Conn) {
	t.Helper()
	first, err := d.Dial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if second, err = d.Dial(ctx); err != nil {
		t.Fatal(err)
	}
	return first, second
}

// TestTakeoverWhileSending: a machine that finds out by a message that it cannot send says the same.
func TestTakeoverWhileSending(t *testing.T) {
	m := testbroker.StartMosquitto(t)
	for _, v := range []mqtt.Version{mqtt.V5, mqtt.V311} {
		for range 20 {
			ctx := within(t)
			first, second := dialTwice(ctx, t, mqtt.Dialer{URL: m.URL(), Device: "rover", Version: v})
			var err error
			for err == nil {
				err = first.Send(ctx, make([]byte, 8<<10))
			}
			if s := err.Error(); !errors.Is(err, link.ErrClosed) || !strings.Contains(s, "using the device name rover?") && !strings.Contains(s, "took over") {
				t.Errorf("MQTT %s: %v, want ErrClosed that asks for a second machine", v, err)
			}
			if err := errors.Join(first.Close(), second.Close()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestAGroundIsNotTakenOver: nobody else has its identifier, so it does not ask for a second machine.
func TestAGroundIsNotTakenOver(t *testing.T) {
	m := testbroker.StartMosquitto(t)
	for _, v := range []mqtt.Version{mqtt.V5, mqtt.V311} {
		ctx := within(t)
		r, err := mqtt.Listen(ctx, m.URL(), "", mqtt.Options{Version: v, RetryMax: time.Hour, Logger: quiet()})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		m.Stop()
		for !errors.Is(err, link.ErrClosed) && ctx.Err() == nil {
			err = r.Send(ctx, "rover", []byte("x"))
		}
		if !errors.Is(err, link.ErrClosed) || strings.Contains(err.Error(), "second machine") {
			t.Errorf("MQTT %s: %v, want ErrClosed that asks for no second machine", v, err)
		}
		m.Start()
	}
}

// TestSlowMessage: a message that takes longer than the keepalive is slow, not a sign that the broker is dead.
func TestSlowMessage(t *testing.T) {
	m := testbroker.StartMosquitto(t)
	for _, v := range []mqtt.Version{mqtt.V5, mqtt.V311} {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			p := linktest.NewProxy(t, m.Address)
			ctx := within(t)
			device := "rover-" + strings.ReplaceAll(v.String(), ".", "")
			r, err := mqtt.Listen(ctx, m.URL(), "", mqtt.Options{Version: v, Logger: quiet()})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			c, err := mqtt.Dialer{URL: "mqtt://" + p.Address(), Device: device, Version: v, KeepAlive: time.Second}.Dial(ctx)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			p.Limit(150_000)
			if err := c.Send(ctx, make([]byte, link.MaxMessage)); err != nil {
				t.Fatal(err)
			}
			for {
				got, err := r.Recv(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if got.Device == device && len(got.Message) == link.MaxMessage {
					break
				}
			}
			// It came through; was the connection kept?
			if err := r.Send(ctx, device, []byte("got it")); err != nil {
				t.Fatal(err)
			}
			if m, err := c.Recv(ctx); err != nil || string(m) != "got it" {
				t.Errorf("%q, %v", m, err)
			}
		})
	}
}

// TestDeadBroker: a broker that does not answer any more is found out by the keepalive.
func TestDeadBroker(t *testing.T) {
	m := testbroker.StartMosquitto(t)
	for _, v := range []mqtt.Version{mqtt.V5, mqtt.V311} {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			p := linktest.NewProxy(t, m.Address)
			device := "dead-" + strings.ReplaceAll(v.String(), ".", "")
			c, err := mqtt.Dialer{URL: "mqtt://" + p.Address(), Device: device, Version: v, KeepAlive: time.Second}.Dial(within(t))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			p.Stall(true)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if _, err := c.Recv(ctx); !errors.Is(err, link.ErrClosed) || !strings.Contains(err.Error(), "no sign of life") || strings.Contains(err.Error(), "device name") {
				t.Errorf("%v, want ErrClosed for want of a sign of life", err)
			}
		})
	}
}

// TestAutoRemembers: what a broker speaks is found out once, not at every redial.
func TestAutoRemembers(t *testing.T) {
	p := linktest.NewProxy(t, strings.TrimPrefix(embedded(t).MQTT(), "mqtt://"))
	for i, want := range []int{2, 3, 4} {
		c, err := mqtt.Dialer{URL: "mqtt://" + p.Address(), Device: "rover"}.Dial(within(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if got := p.Connections(); got != want {
			t.Errorf("%d connections after %d dials, want %d", got, i+1, want)
		}
	}
}

// TestBrokerComesLater: a ground that started before its broker, and a broker that starts again.
func TestBrokerComesLater(t *testing.T) {
	m := testbroker.StartMosquitto(t)
	m.Stop()
	ctx := within(t)
	r, err := mqtt.Listen(ctx, m.URL(), "", mqtt.Options{RetryMax: 50 * time.Millisecond, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Send(ctx, "rover-1", []byte("x")); !errors.Is(err, link.ErrClosed) {
		t.Errorf("send without a broker: %v, want ErrClosed", err)
	}
	for range 2 {
		m.Start()
		c, err := mqtt.Dialer{URL: m.URL(), Device: "rover-1"}.Dial(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for heard := false; !heard; {
			if err := c.Send(ctx, []byte("up")); err != nil {
				t.Fatal(err)
			}
			wait, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			_, err := r.Recv(wait)
			cancel()
			heard = err == nil
			if err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
		}
		m.Stop()
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
