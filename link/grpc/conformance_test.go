package grpc_test

import (
	"log/slog"
	"testing"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/grpc"
	"github.com/fulmar-io/fulmar/link/linktest"
	"github.com/fulmar-io/fulmar/secure/identity"
	"github.com/fulmar-io/fulmar/secure/identity/identitytest"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// TestConformance holds both ends to what link promises, in the clear and with certificates. There is no broker in between: the one
// network is on the machine's side.
func TestConformance(t *testing.T) {
	libraries := []string{"fulmar/link/grpc.", "google.golang.org/grpc"}
	t.Run("clear", func(t *testing.T) {
		linktest.Run(t, linktest.Harness{Libraries: libraries, Open: func(t *testing.T) linktest.Carrier { return carrier(t, nil) }})
	})
	t.Run("secured", func(t *testing.T) {
		f := identitytest.New(t)
		linktest.Run(t, linktest.Harness{Libraries: libraries, Open: func(t *testing.T) linktest.Carrier { return carrier(t, f) }})
	})
}

// carrier is a ground behind a network, through which its machines dial; f is nil for the bench's.
func carrier(t *testing.T, f *identitytest.Fleet) linktest.Carrier {
	address := linktest.Unused(t) // the suite says when the ground is to listen there
	network := linktest.NewProxy(t, address)
	o, scheme := grpc.Options{Logger: quiet()}, "grpc://"
	if f != nil {
		o.Keys, scheme = f.Ground(), "grpcs://"
	}
	return linktest.Carrier{
		Machine: network,
		Dialer: func(device string) link.Dialer {
			d := grpc.Dialer{URL: scheme + network.Address(), Device: device}
			if f != nil {
				d.TLS = f.Device(device).ClientTLS(identity.Ground)
			}
			return d
		},
		Listen: func(t *testing.T) link.Receiver { return listen(t, address, o) },
	}
}

func listen(t *testing.T, address string, o grpc.Options) *grpc.Receiver {
	t.Helper()
	r, err := grpc.Listen(address, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func TestDialErrors(t *testing.T) {
	linktest.DialErrors(t, func(address string) link.Dialer { return grpc.Dialer{URL: "grpc://" + address, Device: "rover"} })
	keys := identitytest.New(t).Device("rover")
	linktest.DialErrors(t, func(address string) link.Dialer {
		return grpc.Dialer{URL: "grpcs://" + address, Device: "rover", TLS: keys.ClientTLS(identity.Ground)}
	})
}
