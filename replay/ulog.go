package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/recording/ulog"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// each calls f with the messages of a PX4 log, in the file's order, and damaged with what is passed over. An error of the
// file's, or of f, ends it.
func each(r *ulog.Reader, damaged func(error), f func(e ulog.Entry, mono int64) error) error {
	for {
		e, err := r.Next()
		var damage *ulog.DamageError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &damage):
			damaged(err)
			continue
		case err != nil:
			return err
		}
		if e.Kind != ulog.Data {
			continue
		}
		h, err := packet.ParseHeader(e.Record.Packet)
		if err != nil {
			return fmt.Errorf("message at %d: %w", e.Offset, err)
		}
		if err := f(e, h.Mono); err != nil {
			return err
		}
	}
}

// survey is what a recording's first reading finds.
type survey struct {
	layouts []*telemetry.Layout // in the order of their first messages
	known   map[telemetry.LayoutID]bool
	anchor  anchor
}

// survey reads a recording once, as far as it can be read: the second reading will tell where that ends, after it has sent what
// is before.
func (s *sender) survey(ctx context.Context, r *ulog.Reader) error {
	s.found = survey{known: make(map[telemetry.LayoutID]bool), anchor: anchor{pace: pacer{speed: s.o.Speed}}}
	_ = each(r, func(error) {}, func(e ulog.Entry, mono int64) error {
		s.found.anchor.add(mono)
		if id := e.Record.Layout.ID(); !s.found.known[id] {
			s.found.known[id] = true
			s.found.layouts = append(s.found.layouts, e.Record.Layout)
		}
		return ctx.Err()
	})
	return ctx.Err()
}

// publish sends the layouts, and then the messages in their time.
func (s *sender) publish(ctx context.Context, r *ulog.Reader) error {
	for i, l := range s.found.layouts {
		if err := s.define(ctx, l, i == len(s.found.layouts)-1); err != nil {
			return err
		}
	}
	pace, started := pacer{speed: s.o.Speed}, time.Now()
	damaged := func(err error) { s.result.Damaged = append(s.result.Damaged, err) }
	return each(r, damaged, func(e ulog.Entry, mono int64) error {
		if id := e.Record.Layout.ID(); !s.found.known[id] { // the file has grown
			s.found.known[id] = true
			if err := s.define(ctx, e.Record.Layout, false); err != nil {
				return err
			}
		}
		if err := pace.wait(ctx, started, mono); err != nil {
			return err
		}
		if err := s.publisher.PublishWait(ctx, e.Record); err != nil {
			return fmt.Errorf("message at %d: %w", e.Offset, err)
		}
		s.result.Messages++
		if _, filtered, _ := s.publisher.Counts(); filtered > s.result.Filtered {
			s.result.Filtered = filtered
			return nil
		}
		s.result.Readings += uint64(e.Record.Layout.Series())
		return nil
	})
}

// define publishes a layout, with the time that is to be dated as the beginning. The last one is waited for until it is in the
// spool: everything after it is sent after it.
func (s *sender) define(ctx context.Context, l *fulmar.Layout, last bool) error {
	b, err := telemetry.AppendDefinition(&s.w, l, packet.Urgent, s.found.anchor.mono, 0)
	publish := s.publisher.PublishWait
	if last {
		publish = s.publisher.PublishDurable
	}
	if err == nil {
		err = publish(ctx, telemetry.Record{Layout: telemetry.LayoutRecords, Packet: b})
	}
	if err != nil {
		return fmt.Errorf("define %q: %w", l.Name, err)
	}
	return nil
}
