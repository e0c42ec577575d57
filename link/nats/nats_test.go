package nats_test

import (
	"crypto/rand"
	"log/slog"
	"strings"
	"testing"

	"github.com/fulmar-io/fulmar/ground/broker"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/linktest"
	"github.com/fulmar-io/fulmar/link/nats"
)

func start(t *testing.T) *broker.Broker {
	t.Helper()
	b, err := broker.Start(broker.Options{MQTT: "127.0.0.1:0", NATS: "127.0.0.1:0", Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestConformance(t *testing.T) {
	b := start(t)
	address := strings.TrimPrefix(b.NATS(), "nats://")
	for _, group := range []string{"", "grounds"} {
		t.Run("group "+group, func(t *testing.T) {
			linktest.Run(t, linktest.Harness{Libraries: []string{"fulmar/link/nats.", "nats-io/nats.go."}, Open: func(t *testing.T) linktest.Carrier {
				machine, ground := linktest.NewProxy(t, address), linktest.NewProxy(t, address)
				// A group of its own: the server may not know yet that the ground of the part before is gone.
				group := group
				if group != "" {
					group = rand.Text()
				}
				return linktest.Carrier{
					Machine: machine, Ground: ground,
					Dialer: func(device string) link.Dialer {
						return nats.Dialer{URL: "nats://" + machine.Address(), Device: device}
					},
					Listen: func(t *testing.T) link.Receiver {
						r, err := nats.Listen("nats://"+ground.Address(), group)
						if err != nil {
							t.Fatal(err)
						}
						return r
					},
				}
			}})
		})
	}
}

func TestDialErrors(t *testing.T) {
	linktest.DialErrors(t, func(address string) link.Dialer { return nats.Dialer{URL: "nats://" + address, Device: "rover"} })
}
