package main

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/grpc"
	"github.com/fulmar-io/fulmar/link/mqtt"
	"github.com/fulmar-io/fulmar/secure/identity"
	"github.com/fulmar-io/fulmar/secure/identity/identitytest"
	"github.com/fulmar-io/fulmar/secure/seal"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// lone is a device that the test plays: it has an identity, a session and one stream.
type lone struct {
	t       *testing.T
	conn    link.Conn
	keys    *identity.Keyring
	session *seal.Session
	stream  telemetry.Stream
	next    uint64
}

func newLone(t *testing.T, f *identitytest.Fleet, name string, over link.Dialer) *lone {
	t.Helper()
	keys := f.Device(name)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	l := &lone{t: t, keys: keys, stream: telemetry.Stream{Device: name, Boot: telemetry.Boot{1}, Class: packet.Normal}}
	var err error
	trust := keys.ClientTLS(identity.Ground, identity.Broker)
	switch d := over.(type) {
	case mqtt.Dialer:
		d.Device, d.TLS = name, trust
		l.conn, err = d.Dial(ctx)
	case grpc.Dialer:
		d.Device, d.TLS = name, trust
		l.conn, err = d.Dial(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.conn.Close() })
	if l.session, err = seal.Begin(keys, time.Now()); err == nil {
		err = l.conn.Send(ctx, l.session.Opening())
	}
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// message is the next frame, of one event, sealed.
func (l *lone) message() []byte {
	l.t.Helper()
	e := frame.NewEncoder()
	e.Reset(l.stream)
	layout := &telemetry.Layout{Name: "lone/event", Kind: telemetry.Event, Fields: []telemetry.Field{{Name: "text", Type: packet.String}}}
	var w packet.Writer
	w.Reset(nil, packet.Header{Layout: uint64(layout.ID()), Seq: l.next, Mono: int64(l.next), Class: l.stream.Class})
	w.String("hello")
	b, err := w.Bytes()
	if err == nil {
		err = e.Append(layout, b)
	}
	if err == nil {
		b, err = e.Finish(nil)
	}
	if err == nil {
		b, err = l.session.Seal(nil, link.Append(nil, link.Frame{Data: b}))
	}
	if err != nil {
		l.t.Fatal(err)
	}
	l.next++
	return b
}

// commit sends a frame and returns how long it took until the ground had it for good.
func (l *lone) commit() time.Duration {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 20*time.Second)
	defer cancel()
	began := time.Now()
	if err := l.conn.Send(ctx, l.message()); err != nil {
		l.t.Fatal(err)
	}
	for {
		reply, err := l.conn.Recv(ctx)
		if err != nil {
			l.t.Fatalf("%s waits for frame %d: %v", l.stream.Device, l.next, err)
		}
		content, _, err := l.session.Open(reply)
		if err != nil {
			l.t.Fatal(err)
		}
		if m, err := link.Parse(content); err != nil {
			l.t.Fatal(err)
		} else if a, ok := m.(link.Ack); ok && a.Prefix >= l.next {
			return time.Since(began)
		}
	}
}

// median is that of n commits.
func (l *lone) median(n int) time.Duration {
	l.t.Helper()
	took := make([]time.Duration, n)
	for i := range took {
		took[i] = l.commit()
	}
	slices.Sort(took)
	return took[n/2]
}

// flood sends messages as fast as they are taken, until it is stopped or has sent all.
func (l *lone) flood(messages [][]byte) (stop func() int) {
	var sent atomic.Int64
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(l.t.Context())
	wg.Add(2)
	go func() {
		defer wg.Done()
		for _, m := range messages {
			if err := l.conn.Send(ctx, m); err != nil {
				if !errors.Is(err, context.Canceled) {
					l.t.Logf("%s: %v", l.stream.Device, err) // as it may be, who floods is not to be served
				}
				return
			}
			sent.Add(1)
		}
	}()
	go func() {
		defer wg.Done()
		for ctx.Err() == nil {
			if _, err := l.conn.Recv(ctx); err != nil {
				return
			}
		}
	}()
	return func() int { cancel(); wg.Wait(); return int(sent.Load()) }
}

// A device that sends more than its share, or what is none of its frames, does not hold up another one.
func TestNeighboursOfADeviceGoneWild(t *testing.T) {
	f := identitytest.New(t)
	f.Ground()
	broker, direct := freePort(t), freePort(t)
	g := secured(t, "ground", "--data", t.TempDir(), "--keys", f.Dir(identity.Ground, "ground"), "--http", "127.0.0.1:0", "--mqtt", broker, "--grpc", direct)
	url := "mqtts://" + broker
	eventually(t, func() bool {
		keys := f.Device("first")
		c, err := mqtt.Dialer{URL: url, Device: "first", TLS: keys.ClientTLS(identity.Ground, identity.Broker)}.Dial(t.Context())
		if err == nil {
			c.Close()
		}
		return err == nil
	}, "the ground takes nobody")
	neighbour := newLone(t, f, "neighbour", mqtt.Dialer{URL: url})
	neighbour.median(20)
	noise := make([]byte, 200)
	for name, wild := range map[string]struct {
		over     link.Dialer
		messages int // more than are taken meanwhile
		make     func(l *lone) []byte
	}{
		"frames":     {mqtt.Dialer{URL: url}, 5000, (*lone).message},
		"noise":      {mqtt.Dialer{URL: url}, 200_000, func(*lone) []byte { return noise }},
		"grpc-noise": {grpc.Dialer{URL: "grpcs://" + direct}, 200_000, func(*lone) []byte { return noise }},
		"openings": {mqtt.Dialer{URL: url}, 1000, func(l *lone) []byte {
			s, err := seal.Begin(l.keys, time.Now())
			if err != nil {
				l.t.Fatal(err)
			}
			return s.Opening()
		}},
	} {
		ratio := math.Inf(1)
		l := newLone(t, f, "wild-"+name, wild.over)
		for try := 0; try < 5 && ratio > 2; try++ { // a host that does something else meanwhile shows in one of them
			messages := make([][]byte, wild.messages) // which would take the neighbour's processor, were they made meanwhile
			for i := range messages {
				messages[i] = wild.make(l)
			}
			calm := neighbour.median(100)
			stop := l.flood(messages)
			neighbour.median(20)
			beside := neighbour.median(100)
			n := stop()
			ratio = float64(beside) / float64(calm)
			t.Logf("%s: a commit takes %s, and %s beside %d messages: %.2f times", name, calm, beside, n, ratio)
		}
		if ratio > 2 {
			t.Errorf("%s: a neighbour's commits take %.2f times as long", name, ratio)
		}
	}
	if err := g.end(syscall.SIGTERM); err != nil {
		t.Errorf("%v\n%s", err, g.out.String())
	}
	if n := strings.Count(g.out.String(), "\n"); n > 200 {
		t.Errorf("the ground's log has %d lines of it", n)
	}
}
