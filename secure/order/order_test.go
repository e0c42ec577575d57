package order_test

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/secure/identity"
	"github.com/fulmar-io/fulmar/secure/identity/identitytest"
	"github.com/fulmar-io/fulmar/secure/order"
)

func signed() order.Signed {
	return order.Signed{Device: "rover", Challenge: order.Challenge{Session: [16]byte{1}, Nonce: [16]byte{2}}, Process: [16]byte{3}, Number: 7,
		Order: command.Order{ID: command.ID{4}, Name: "drive/stop", By: "ada", Role: command.Operator, Deadline: time.Minute,
			Arguments: []command.Argument{{Name: "x", Value: "1"}}}}
}

// Every bit that is flipped, and every byte that is missing or too much, makes it none.
func TestForgeries(t *testing.T) {
	f := identitytest.New(t)
	ground, rover := f.Ground(), f.Device("rover")
	want := signed()
	b := want.Append(nil, ground)
	got, from, err := order.Open(b, rover)
	if err != nil || !reflect.DeepEqual(got, want) || from.Name != "ground" {
		t.Fatalf("%+v of %s, %v", got, from, err)
	}
	for bit := range 8 * len(b) {
		flipped := bytes.Clone(b)
		flipped[bit/8] ^= 1 << (bit % 8)
		if _, _, err := order.Open(flipped, rover); !errors.Is(err, order.ErrForged) && !errors.Is(err, order.ErrMalformed) {
			t.Fatalf("bit %d flipped: %v", bit, err)
		}
	}
	for n := range b {
		if _, _, err := order.Open(b[:n], rover); err == nil {
			t.Fatalf("%d of %d bytes were taken", n, len(b))
		}
	}
	if _, _, err := order.Open(append(bytes.Clone(b), 0), rover); err == nil {
		t.Error("a byte more was taken")
	}
}

func TestWhoMaySign(t *testing.T) {
	f, other := identitytest.New(t), identitytest.New(t)
	rover := f.Device("rover")
	want := signed()
	for what, b := range map[string][]byte{
		"in the clear":         want.Append(nil, nil),
		"by a device":          want.Append(nil, f.Device("drone")),
		"by a broker":          want.Append(nil, f.Identity(identity.Broker, "broker")),
		"by another authority": want.Append(nil, other.Ground()),
	} {
		if _, _, err := order.Open(b, rover); !errors.Is(err, order.ErrForged) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if got, from, err := order.Open(want.Append(nil, nil), nil); err != nil || !reflect.DeepEqual(got, want) || from.Name != "" {
		t.Errorf("in the clear, without keys: %+v, %v", got, err)
	}
	if _, _, err := order.Open(want.Append(nil, f.Ground()), nil); !errors.Is(err, order.ErrForged) {
		t.Errorf("signed, without keys: %v", err)
	}
}

func TestRevokedGround(t *testing.T) {
	f := identitytest.New(t)
	ground, rover := f.Ground(), f.Device("rover")
	b := signed().Append(nil, ground)
	if _, err := f.Authority.Revoke(identity.Subject{Role: identity.Ground, Name: "ground"}); err != nil {
		t.Fatal(err)
	}
	trust, err := f.Authority.Trust()
	if err != nil {
		t.Fatal(err)
	}
	if err := rover.Learn(trust.Encoded()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := order.Open(b, rover); !errors.Is(err, identity.ErrRevoked) {
		t.Errorf("%v", err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(signed().Append(nil, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, _, err := order.Open(b, nil)
		if err == nil && !bytes.Equal(s.Append(nil, nil), b) {
			t.Errorf("two forms of one order: %x", b)
		}
	})
}
