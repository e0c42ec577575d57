package web

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/fulmar-io/fulmar/ground"
)

// begin finds out where the client is, which also tells whether the machine and its series exist, and says hello.
//
// Where a series' place is in the id, that is it; otherwise from says; otherwise it is the series' latest sample: what
// came before is not asked for, but what comes while the client is cut off will be.
func (st *stream) begin(ctx context.Context, q *query, have cursor) error {
	ctx, cancel := context.WithTimeout(ctx, st.s.o.QueryTimeout)
	defer cancel()
	latest, err := st.latest(ctx, st.series)
	if err != nil {
		return err
	}
	if len(st.series) == 0 {
		machines, err := st.s.o.Source.Machines(ctx)
		if err != nil {
			return err
		}
		if _, err := findMachine(machines, st.device); err != nil {
			return err
		}
	}
	resumed := len(have) > 0
	for i, k := range st.keys {
		at, known := have[k]
		switch {
		case known:
			st.at[i] = at
		case q.hasFrom:
			st.at[i] = max(q.from-1, 0)
		case i < len(st.series):
			st.at[i] = latest[i]
			resumed = false
		default:
			if st.at[i], err = st.latestEvent(ctx); err != nil {
				return err
			}
		}
	}
	return st.sendHello(resumed)
}

// latest returns the time of the last sample of each series, 0 where there is none.
func (st *stream) latest(ctx context.Context, series []string) ([]int64, error) {
	at := make([]int64, len(series))
	if len(series) == 0 {
		return at, nil
	}
	samples, err := st.s.o.Source.Latest(ctx, st.device, series)
	if err != nil {
		return nil, err
	}
	for _, v := range samples {
		if i, wanted := st.index[v.Series]; wanted && i < len(at) {
			at[i] = v.Time
		}
	}
	return at, nil
}

func (st *stream) latestEvent(ctx context.Context) (int64, error) {
	events, err := st.s.o.Source.Events(ctx, ground.EventQuery{Device: st.device, Limit: 1})
	if err != nil || len(events) == 0 {
		return 0, err
	}
	return events[0].Time, nil
}

// fill sends what is stored beyond the cursor. The tail is watched already, so what is committed meanwhile comes twice,
// once from the store and once from the tail; filled remembers what was sent so that add can tell.
func (st *stream) fill(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, st.s.o.QueryTimeout)
	defer cancel()
	clear(st.filled)
	st.filledAt = st.s.o.Now()
	latest, err := st.latest(ctx, st.series)
	if err != nil {
		return err
	}
	// The series of one layout were sampled together, so they share their place and are asked for together.
	behind := make(map[int64][]int)
	for i := range st.series {
		if latest[i] > st.at[i] {
			behind[st.at[i]] = append(behind[st.at[i]], i)
		}
	}
	for _, at := range slices.Sorted(maps.Keys(behind)) {
		if err := st.fillGroup(ctx, at, behind[at], latest); err != nil {
			return err
		}
	}
	return st.fillEvents(ctx)
}

func (st *stream) fillGroup(ctx context.Context, at int64, group []int, latest []int64) error {
	q := ground.RangeQuery{Device: st.device, From: at + 1, Buckets: min(MaxBuckets, MaxPoints/len(st.series))}
	for _, i := range group {
		q.Series = append(q.Series, st.series[i])
		q.To = max(q.To, latest[i]+1)
	}
	traces, err := st.s.o.Source.Range(ctx, q)
	if err != nil {
		return fmt.Errorf("web: live: fill from %d: %w", at, err)
	}
	for _, t := range traces {
		i, wanted := st.index[t.Series]
		if !wanted {
			continue
		}
		if t.Min != nil {
			// Too many samples: the client asks for a range, in the resolution that it can draw.
			st.at[i] = max(st.at[i], q.To-1)
			from, to := millis(at+1), millis(q.To)
			if err := st.sendGap(gapJSON{Reason: reasonTooLong, Series: []string{t.Series}, From: &from, To: &to}); err != nil {
				return err
			}
			continue
		}
		st.add(i, t)
		st.filled[i] = t.Time
		if st.values >= maxBatch {
			if err := st.flush(); err != nil {
				return err
			}
		}
	}
	return st.flush()
}

// add makes the samples of t pending, except those that the fill sent. A late frame may bring times before the cursor:
// they are sent like others.
func (st *stream) add(i int, t ground.Trace) {
	p := &st.pending[i]
	for k, ns := range t.Time {
		if k >= len(t.Mean) {
			return
		}
		if _, twice := slices.BinarySearch(st.filled[i], ns); twice {
			continue
		}
		p.Time = append(p.Time, ns)
		p.Mean = append(p.Mean, t.Mean[k])
		st.values++
	}
}

// fillEvents sends the events since the cursor, its own time included: events of different streams may share a time, and
// a client tells by boot, class and number which it has.
func (st *stream) fillEvents(ctx context.Context) error {
	at := st.at[len(st.series)]
	if at == 0 {
		at = 1 // the beginning of time; 0 alone would mean the same, but To must be after it
	}
	events, err := st.s.o.Source.Events(ctx, ground.EventQuery{Device: st.device, From: at, Limit: MaxEvents})
	if err != nil {
		return fmt.Errorf("web: live: fill events from %d: %w", at, err)
	}
	if len(events) == MaxEvents {
		from, to := millis(at), millis(events[len(events)-1].Time)
		if err := st.sendGap(gapJSON{Reason: reasonTooLong, Series: []string{}, Events: true, From: &from, To: &to}); err != nil {
			return err
		}
	}
	slices.Reverse(events) // oldest first, as they happened
	st.events = append(st.events, events...)
	return st.flushEvents()
}
