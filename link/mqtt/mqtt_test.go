package mqtt_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/ground/broker"
	"github.com/fulmar-io/fulmar/internal/testbroker"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/mqtt"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func embedded(t *testing.T) *broker.Broker {
	t.Helper()
	b, err := broker.Start(broker.Options{MQTT: "127.0.0.1:0", Dir: t.TempDir(), Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func exchange(t *testing.T, d mqtt.Dialer, r link.Receiver) {
	t.Helper()
	ctx := within(t)
	c, err := d.Dial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Send(ctx, []byte("up")); err != nil {
		t.Fatal(err)
	}
	m, err := r.Recv(ctx)
	if err != nil || m.Device != d.Device || string(m.Message) != "up" {
		t.Fatal(m, err)
	}
	if err := r.Send(ctx, d.Device, []byte("down")); err != nil {
		t.Fatal(err)
	}
	b, err := c.Recv(ctx)
	if err != nil || string(b) != "down" {
		t.Fatal(b, err)
	}
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Recv(ctx); !errors.Is(err, link.ErrClosed) {
		t.Fatal(err)
	}
}

func TestEmbedded(t *testing.T) {
	b := embedded(t)
	r, err := b.Receiver()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, v := range []mqtt.Version{mqtt.Auto, mqtt.V311, mqtt.Auto} {
		exchange(t, mqtt.Dialer{URL: b.MQTT(), Device: "rover-1", Version: v}, r)
	}
	r2, err := mqtt.Listen(within(t), b.MQTT(), "", mqtt.Options{Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	exchange(t, mqtt.Dialer{URL: b.MQTT(), Device: "rover-2"}, r2)
	if err := errors.Join(r2.Close(), r2.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestMosquitto(t *testing.T) {
	m := testbroker.StartMosquitto(t)
	for _, v := range []mqtt.Version{mqtt.V5, mqtt.V311, mqtt.Auto} {
		for _, group := range []string{"", "grounds"} {
			t.Run(v.String()+"/"+group, func(t *testing.T) {
				r, err := mqtt.Listen(within(t), m.URL(), group, mqtt.Options{Version: v, Logger: quiet()})
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				exchange(t, mqtt.Dialer{URL: m.URL(), Device: "rover-1", Version: v}, r)
			})
		}
	}
}
