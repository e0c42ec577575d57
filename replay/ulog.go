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

// publish sends the messages of a PX4 log, in the file's order.
func (s *sender) publish(ctx context.Context, r *ulog.Reader) error {
	known := make(map[telemetry.LayoutID]bool)
	pace := pacer{speed: s.o.Speed, started: time.Now()}
	for {
		e, err := r.Next()
		var damage *ulog.DamageError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &damage):
			s.result.Damaged = append(s.result.Damaged, err)
			continue
		case err != nil:
			return fmt.Errorf("replay: %w", err)
		}
		if e.Kind != ulog.Data {
			continue
		}
		h, err := packet.ParseHeader(e.Record.Packet)
		if err != nil {
			return fmt.Errorf("replay: message at %d: %w", e.Offset, err)
		}
		if id := e.Record.Layout.ID(); !known[id] {
			known[id] = true
			if err := s.define(ctx, e.Record.Layout, h.Mono); err != nil {
				return err
			}
		}
		if err := pace.wait(ctx, h.Mono); err != nil {
			return err
		}
		if err := s.publisher.PublishWait(ctx, e.Record); err != nil {
			return fmt.Errorf("replay: message at %d: %w", e.Offset, err)
		}
		s.result.Messages++
		if _, filtered, _ := s.publisher.Counts(); filtered > s.result.Filtered {
			s.result.Filtered = filtered
			continue
		}
		s.result.Readings += uint64(e.Record.Layout.Series())
	}
}

func (s *sender) define(ctx context.Context, l *fulmar.Layout, mono int64) error {
	b, err := telemetry.AppendDefinition(&s.w, l, packet.Urgent, mono, 0)
	if err == nil {
		err = s.publisher.PublishWait(ctx, telemetry.Record{Layout: telemetry.LayoutRecords, Packet: b})
	}
	if err != nil {
		return fmt.Errorf("replay: define %q: %w", l.Name, err)
	}
	return nil
}

// pacer holds messages back until their time has come.
type pacer struct {
	speed   float64
	started time.Time
	first   int64
	begun   bool
}

// A timestamp far outside the rest must not hold up the others for years.
const longestWait = time.Minute

func (p *pacer) wait(ctx context.Context, mono int64) error {
	if p.speed <= 0 {
		return ctx.Err()
	}
	if !p.begun {
		p.begun, p.first = true, mono
	}
	wait := time.Until(p.started.Add(time.Duration(float64(mono-p.first) / p.speed)))
	if wait <= 0 || wait > longestWait {
		return ctx.Err()
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
