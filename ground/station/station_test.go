package station_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/ground"
	"github.com/fulmar-io/fulmar/ground/station"
	"github.com/fulmar-io/fulmar/ground/store"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// wire is a link whose machine is the test.
type wire struct {
	in      chan link.Inbound
	replies chan []byte
}

func (w *wire) Recv(ctx context.Context) (link.Inbound, error) {
	select {
	case m := <-w.in:
		return m, nil
	case <-ctx.Done():
		return link.Inbound{}, ctx.Err()
	}
}

func (w *wire) Send(ctx context.Context, _ string, message []byte) error {
	select {
	case w.replies <- message:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *wire) Close() error   { return nil }
func (w *wire) String() string { return "wire" }

var volts = &telemetry.Layout{Name: "power", Kind: telemetry.Reading, Fields: []telemetry.Field{{Name: "volts", Type: packet.Float64}}}

// message returns a frame with one record: the definition of volts as number 0, then a sample.
func message(t *testing.T, seq uint64) link.Inbound {
	t.Helper()
	enc := frame.NewEncoder()
	enc.Reset(telemetry.Stream{Device: "rover", Boot: telemetry.Boot{1}, Class: packet.Normal})
	l := volts
	if seq == 0 {
		l = telemetry.LayoutRecords
	}
	var w packet.Writer
	w.Reset(nil, packet.Header{Layout: uint64(l.ID()), Seq: seq, Mono: int64(seq), Wall: 1000 + int64(seq), Class: packet.Normal})
	if seq == 0 {
		w.String(string(volts.AppendBinary(nil)))
	} else {
		w.Float64(float64(seq))
	}
	p, err := w.Bytes()
	if err == nil {
		err = enc.Append(l, p)
	}
	if err != nil {
		t.Fatal(err)
	}
	data, err := enc.Finish(nil)
	if err != nil {
		t.Fatal(err)
	}
	return link.Inbound{Device: "rover", Message: link.Append(nil, link.Frame{Data: data})}
}

// What the indexer had no room for is found in the log also if nothing comes after it, and those who watch are told.
func TestTheIndexCatchesUpByItself(t *testing.T) {
	w := &wire{in: make(chan link.Inbound), replies: make(chan []byte)}
	held, missed := make(chan struct{}), make(chan struct{}, 1)
	var once sync.Once
	begun := make(chan struct{})
	s, err := station.Open(t.Context(), station.Options{Disk: simdisk.New(), IndexPath: filepath.Join(t.TempDir(), "index.sqlite"),
		Receivers: []link.Receiver{w}, Frames: store.FramesOptions{MinFree: 1}, Logger: slog.New(slog.DiscardHandler),
		Publish: func(ground.Update) { once.Do(func() { close(begun) }); <-held },
		Missed: func() {
			select {
			case missed <- struct{}{}:
			default:
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	const frames = 100 // more than wait for the indexer
	for seq := range uint64(frames) {
		w.in <- message(t, seq)
		<-w.replies
		if seq == 1 {
			<-begun // the indexer is held up from here on
		}
	}
	close(held)
	select {
	case <-missed:
	case <-time.After(20 * time.Second):
		t.Fatal("nobody was told that something was missed")
	}
	if next, durable := s.Index().Next(), s.Intake().Frames().Durable(); next != durable+1 || durable != frames {
		t.Errorf("indexed up to %d, durable up to %d of %d", next-1, durable, frames)
	}
	machines, err := s.Index().Machines(t.Context())
	if err != nil || len(machines) != 1 || machines[0].Records != frames {
		t.Errorf("machines %+v, %v", machines, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
