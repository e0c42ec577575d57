package grpc_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/grpc"
	"github.com/fulmar-io/fulmar/link/linktest"
	"github.com/fulmar-io/fulmar/secure/identity"
	"github.com/fulmar-io/fulmar/secure/identity/identitytest"
)

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick, deadline := time.NewTicker(2*time.Millisecond), time.After(30*time.Second)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("it does not come to be that %s", what)
		}
	}
}

// dialer is a machine's end of a ground's, with its own identity.
func dialer(f *identitytest.Fleet, url, device string) grpc.Dialer {
	return grpc.Dialer{URL: url, Device: device, TLS: f.Device(device).ClientTLS(identity.Ground)}
}

func dial(t *testing.T, d grpc.Dialer) link.Conn {
	t.Helper()
	c, err := d.Dial(within(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// exchange sends a message up and another down.
func exchange(t *testing.T, c link.Conn, r link.Receiver, device, text string) {
	t.Helper()
	if err := c.Send(within(t), []byte(text)); err != nil {
		t.Fatalf("%s: send: %v", device, err)
	}
	m, err := r.Recv(within(t))
	if err != nil || m.Device != device || string(m.Message) != text {
		t.Fatalf("the ground has %q of %q, %v; want %q of %q", m.Message, m.Device, err, text, device)
	}
	if err := r.Send(within(t), device, m.Message); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Recv(within(t)); err != nil || string(got) != text {
		t.Fatalf("%s: %q, %v", device, got, err)
	}
}

func TestWhoIsNotOfTheFleetGetsNoStream(t *testing.T) {
	f, other := identitytest.New(t), identitytest.New(t)
	r := listen(t, "127.0.0.1:0", grpc.Options{Keys: f.Ground(), Logger: quiet()})
	trusting := f.Device("rover").ClientTLS(identity.Ground)
	nobody, old, stranger := trusting.Clone(), trusting.Clone(), trusting.Clone()
	nobody.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return new(tls.Certificate), nil }
	stranger.GetClientCertificate = other.Device("rover").ClientTLS().GetClientCertificate
	old.MaxVersion = tls.VersionTLS12
	groundsOwn := trusting.Clone()
	groundsOwn.GetClientCertificate = f.Identity(identity.Ground, "second").ClientTLS().GetClientCertificate
	for name, c := range map[string]struct {
		url, says string
		config    *tls.Config
		refused   bool
	}{
		"without a certificate":       {r.String(), "does the ground take this machine's TLS certificate?", nobody, true},
		"with another fleet's":        {r.String(), "does the ground take this machine's TLS certificate?", stranger, true},
		"with a ground's":             {r.String(), "does the ground take this machine's TLS certificate?", groundsOwn, true},
		"with TLS 1.2":                {r.String(), "tls: ", old, false},
		"without TLS":                 {strings.Replace(r.String(), "grpcs", "grpc", 1), "", nil, false},
		"without a trust of its own":  {r.String(), "tls: failed to verify certificate", nil, false},
		"who trusts other grounds":    {r.String(), "not of a trusted authority", other.Device("rover").ClientTLS(identity.Ground), false},
		"who wants a broker, no more": {r.String(), "of another role", f.Device("rover").ClientTLS(identity.Broker), false},
	} {
		conn, err := grpc.Dialer{URL: c.url, Device: "rover", TLS: c.config}.Dial(within(t))
		if err == nil {
			t.Errorf("%s: let in", name)
			_ = conn.Close()
			continue
		}
		if errors.Is(err, link.ErrRefused) != c.refused || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v; want %q, refused %t", name, err, c.says, c.refused)
		}
	}
	eventually(t, "no visitor is left", func() bool { strange, known := r.Visitors(); return strange == 0 && known == 0 })
	exchange(t, dial(t, dialer(f, r.String(), "rover")), r, "rover", "one of the fleet")
}

func TestAMachineHasTheNameOfItsCertificate(t *testing.T) {
	f := identitytest.New(t)
	r := listen(t, "127.0.0.1:0", grpc.Options{Keys: f.Ground(), Logger: quiet()})
	d := dialer(f, r.String(), "rover")
	d.Device = "boat"
	if _, err := d.Dial(within(t)); !errors.Is(err, link.ErrRefused) || !strings.Contains(err.Error(), "the certificate is of rover") {
		t.Errorf("%v, want ErrRefused", err)
	}
	d.Device = "rover"
	exchange(t, dial(t, d), r, "rover", "mine")
}

func TestARevocationCutsOpenStreamsAtOnce(t *testing.T) {
	f := identitytest.New(t)
	ground := f.Ground()
	r := listen(t, "127.0.0.1:0", grpc.Options{Keys: ground, Logger: quiet()})
	lost, kept := dialer(f, r.String(), "lost"), dialer(f, r.String(), "kept")
	cl, ck := dial(t, lost), dial(t, kept)
	exchange(t, cl, r, "lost", "before")
	exchange(t, ck, r, "kept", "before")
	f.Revoke("lost", ground)
	start := time.Now()
	if err := r.Cut(); err != nil {
		t.Fatal(err)
	}
	if _, err := cl.Recv(within(t)); !errors.Is(err, link.ErrClosed) {
		t.Errorf("its stream goes on: %v, want ErrClosed", err)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
	if _, err := lost.Dial(within(t)); !errors.Is(err, link.ErrRefused) {
		t.Errorf("it comes back: %v, want ErrRefused", err)
	}
	exchange(t, ck, r, "kept", "after")
}

// A revocation that comes when a machine's certificate was verified, and its connection is not yet among those that are looked through.
func TestARevocationDuringAHandshakeIsNotMissed(t *testing.T) {
	f := identitytest.New(t)
	f.Ground()
	var r *grpc.Receiver
	var keys *identity.Keyring
	var looks atomic.Int64 // at the clock, which is what happens when a certificate is verified
	now := func() time.Time {
		if looks.Add(-1) == 0 {
			f.Revoke("lost", keys)
			if err := r.Cut(); err != nil {
				t.Error(err)
			}
		}
		return time.Now()
	}
	keys, err := identity.Open(f.Dir(identity.Ground, "ground"), now, identity.Ground)
	if err != nil {
		t.Fatal(err)
	}
	r = listen(t, "127.0.0.1:0", grpc.Options{Keys: keys, Logger: quiet()})
	d := dialer(f, r.String(), "lost")
	looks.Store(2) // by the TLS library, and once more for the name
	if c, err := d.Dial(within(t)); err == nil {
		t.Error("it was let in")
		_ = c.Close()
	}
	if n := looks.Load(); n > 0 {
		t.Errorf("nothing was revoked: %d looks are left", n)
	}
}

// What a network that takes nothing more holds up is cut too: nothing is written to whom it was revoked from.
func TestARevocationCutsAStalledStream(t *testing.T) {
	f := identitytest.New(t)
	ground := f.Ground()
	r := listen(t, "127.0.0.1:0", grpc.Options{Keys: ground, Logger: quiet()})
	network := linktest.NewProxy(t, strings.TrimPrefix(r.String(), "grpcs://"))
	c := dial(t, dialer(f, "grpcs://"+network.Address(), "lost"))
	exchange(t, c, r, "lost", "before")
	network.Stall(true)
	eventually(t, "its queue is full", func() bool { return r.Send(within(t), "lost", make([]byte, 64<<10)) != nil })
	f.Revoke("lost", ground)
	if err := r.Cut(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its stream is over", func() bool {
		err := r.Send(within(t), "lost", nil)
		return err != nil && strings.Contains(err.Error(), "not connected")
	})
}

func TestTheNewestConnectionOfAMachineHasTheStream(t *testing.T) {
	f := identitytest.New(t)
	r := listen(t, "127.0.0.1:0", grpc.Options{Keys: f.Ground(), Logger: quiet()})
	d := dialer(f, r.String(), "rover")
	first := dial(t, d)
	exchange(t, first, r, "rover", "first")
	second := dial(t, d)
	if _, err := first.Recv(within(t)); !errors.Is(err, link.ErrClosed) || !strings.Contains(err.Error(), "has taken its place") {
		t.Errorf("the former connection: %v, want ErrClosed and why", err)
	}
	exchange(t, second, r, "rover", "second")
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	exchange(t, second, r, "rover", "still")
	for range 20 { // flapping
		c := dial(t, d)
		exchange(t, c, r, "rover", "again")
		if _, known := r.Visitors(); known > grpc.PerDevice {
			t.Fatalf("%d connections of one machine", known)
		}
	}
}

func TestAGroundThatIsFullAsksToComeLater(t *testing.T) {
	f := identitytest.New(t)
	r := listen(t, "127.0.0.1:0", grpc.Options{Keys: f.Ground(), Machines: 2, Logger: quiet()})
	var one link.Conn
	for i := range 2 {
		one = dial(t, dialer(f, r.String(), fmt.Sprint("rover-", i)))
	}
	late := dialer(f, r.String(), "late")
	var later *link.Later
	if _, err := late.Dial(within(t)); !errors.As(err, &later) || later.After < 30*time.Second || later.After > time.Minute {
		t.Errorf("%v, want a Later of 30 s to 1 min", err)
	}
	if _, err := dialer(f, r.String(), "rover-0").Dial(within(t)); err != nil {
		t.Errorf("who is connected already: %v", err)
	}
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "there is room again", func() bool {
		c, err := late.Dial(within(t))
		if err == nil {
			err = c.Close()
		}
		return err == nil
	})
}

// A machine that is gone without a word is found out by its silence.
func TestASilentMachineIsCut(t *testing.T) {
	r := listen(t, "127.0.0.1:0", grpc.Options{KeepAlive: 2 * time.Second, Logger: quiet()})
	network := linktest.NewProxy(t, strings.TrimPrefix(r.String(), "grpc://"))
	c := dial(t, grpc.Dialer{URL: "grpc://" + network.Address(), Device: "rover"})
	exchange(t, c, r, "rover", "before")
	network.Stall(true)
	start := time.Now()
	eventually(t, "it is not connected any more", func() bool { _, known := r.Visitors(); return known == 0 })
	if took := time.Since(start); took < 2*time.Second || took > 20*time.Second {
		t.Errorf("it took %v, want some 4 s", took)
	}
}

// A machine whose network takes longer for a message than it may be silent is slow, and not gone.
func TestASlowMachineIsNotCut(t *testing.T) {
	const silence = 4 * time.Second // as the keepalive has it
	r := listen(t, "127.0.0.1:0", grpc.Options{KeepAlive: silence / 2, Logger: quiet()})
	network := linktest.NewProxy(t, strings.TrimPrefix(r.String(), "grpc://"))
	c := dial(t, grpc.Dialer{URL: "grpc://" + network.Address(), Device: "rover"})
	exchange(t, c, r, "rover", "before")
	network.Limit(64 << 10)
	want := make([]byte, link.MaxMessage)
	start := time.Now()
	if err := r.Send(within(t), "rover", want); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Recv(within(t)); err != nil || len(got) != len(want) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if took := time.Since(start); took < silence {
		t.Errorf("it took %v: that shows nothing", took)
	}
	network.Limit(0)
	exchange(t, c, r, "rover", "after")
}

// Send never waits for one machine, and what one does not take is dropped for it alone.
func TestAMachineThatTakesNothingHoldsUpNobody(t *testing.T) {
	r := listen(t, "127.0.0.1:0", grpc.Options{Logger: quiet()})
	network := linktest.NewProxy(t, strings.TrimPrefix(r.String(), "grpc://"))
	stalled := dial(t, grpc.Dialer{URL: "grpc://" + network.Address(), Device: "stalled"})
	lively := dial(t, grpc.Dialer{URL: r.String(), Device: "lively"})
	exchange(t, stalled, r, "stalled", "before")
	network.Stall(true)
	sent := 0
	for message := make([]byte, link.MaxMessage); r.Send(within(t), "stalled", message) == nil; sent++ {
		if sent > 64 {
			t.Fatal("32 MiB were taken while nothing went on")
		}
	}
	exchange(t, lively, r, "lively", "goes on")
	start := time.Now()
	if err := r.Close(); err != nil || time.Since(start) > 2*time.Second {
		t.Errorf("Close took %v: %v", time.Since(start), err)
	}
}

// Many machines together have no more of the inbox than there is, and when the ground receives again everything arrives.
func TestTheInboxIsBoundedAndNothingIsDropped(t *testing.T) {
	const inbox, machines, each = 2 << 20, 6, 40
	r := listen(t, "127.0.0.1:0", grpc.WithInbox(grpc.Options{Logger: quiet()}, inbox))
	sent := make(chan error, machines)
	message := make([]byte, 64<<10)
	for i := range machines {
		c := dial(t, grpc.Dialer{URL: r.String(), Device: fmt.Sprint("rover-", i)})
		go func() {
			var err error
			for j := 0; j < each && err == nil; j++ {
				err = c.Send(within(t), message)
			}
			sent <- err
		}()
	}
	most := int(inbox / grpc.Weight(message))
	eventually(t, "the inbox is full", func() bool { return r.Waiting() == most })
	for range machines * each {
		if n := r.Waiting(); n > most {
			t.Fatalf("%d messages wait, want %d at most", n, most)
		}
		if _, err := r.Recv(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	for range machines {
		if err := <-sent; err != nil {
			t.Error(err)
		}
	}
}

// A machine that floods a ground that receives slowly is pushed back before it has the inbox to itself.
func TestNoMachineHasTheInboxToItself(t *testing.T) {
	r := listen(t, "127.0.0.1:0", grpc.Options{Logger: quiet()})
	flooding := dial(t, grpc.Dialer{URL: r.String(), Device: "flooding"})
	quietly := dial(t, grpc.Dialer{URL: r.String(), Device: "quiet"})
	message := make([]byte, 64<<10)
	taken := 0
	for {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		err := flooding.Send(ctx, message)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			break
		}
		if err != nil || taken > 32<<20 {
			t.Fatalf("%d MiB were taken, %v", taken>>20, err)
		}
		taken += len(message)
	}
	if err := quietly.Send(within(t), []byte("mine")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the quiet machine's message is in the inbox", func() bool { return r.Waiting() > int(grpc.MachineShare/grpc.Weight(message)) })
	before := 0
	for {
		m, err := r.Recv(within(t))
		if err != nil {
			t.Fatal(err)
		}
		if m.Device == "quiet" {
			break
		}
		before++
	}
	if most := grpc.MachineShare / len(message); before > most {
		t.Errorf("%d messages of the other came before it, want %d at most", before, most)
	}
}
