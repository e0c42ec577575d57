package replay

import (
	"context"
	"math"
	"time"
)

// longestGap is how far a timestamp may be from the one before. A gap of the recording that is longer is not waited for, and one
// timestamp that is damaged does not hold up the others for years.
const longestGap = time.Minute

// pacer says when the messages of a recording are due.
type pacer struct {
	speed float64
	begun bool
	mono  int64   // of the message before
	at    float64 // ns after the beginning at which that was due
}

// due returns how long after the beginning a message is due, and whether its timestamp follows on the one before.
func (p *pacer) due(mono int64) (at time.Duration, follows bool) {
	step := time.Duration(mono - p.mono)
	follows = p.begun && step.Abs() <= longestGap
	if follows && p.speed > 0 {
		p.at += float64(step) / p.speed
	}
	p.begun, p.mono = true, mono
	return time.Duration(min(p.at, math.MaxInt64/2)), follows
}

// wait returns when it is time for a message.
func (p *pacer) wait(ctx context.Context, started time.Time, mono int64) error {
	at, _ := p.due(mono)
	wait := time.Until(started.Add(at))
	if p.speed <= 0 || wait <= 0 {
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

// An anchor is the monotonic time that is to be dated as the beginning: the least for which no message is dated after it is
// due. A message is not believed whose timestamp follows neither on the one before nor is followed by the next.
type anchor struct {
	pace     pacer
	believed bool
	mono     int64
	alone    int64 // what the message would have it be that has begun the stretch
}

func (a *anchor) add(mono int64) {
	at, follows := a.pace.due(mono)
	want := mono - int64(at)
	if follows {
		a.mono, a.believed = max(a.mono, a.alone, want), true
		return
	}
	a.alone = want
	if !a.believed {
		a.mono = want
	}
}
