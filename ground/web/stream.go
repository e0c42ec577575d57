package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/fulmar-io/fulmar/ground"
)

// How a live stream is paced.
const (
	liveBuffer    = 256                    // updates that may wait while a client reads
	flushEvery    = 50 * time.Millisecond  // samples are sent at most this often
	machineEvery  = 1 * time.Second        // the machine's state, if it changed
	rewatchPause  = 500 * time.Millisecond // after the tail closed
	maxBatch      = 20_000                 // values of one event
	overlapAge    = 1 * time.Minute        // a commit that a fill saw is published within this
	retryAfter    = 2 * time.Second        // told to browsers
	sseType       = "text/event-stream"
	batchEvents   = 1000 // machine events of one event
	reasonTooLong = "too_long"
	reasonBehind  = "overflow"
)

// errStreamEnd is how a stream ends that nobody has to be told about.
var errStreamEnd = errors.New("web: live: end of stream")

// stream is one client's live stream. It belongs to the goroutine of its request.
type stream struct {
	s      *Server
	w      http.ResponseWriter
	rc     *http.ResponseController
	device string
	series []string
	index  map[string]int // of series
	// keys and at are the cursor: the series in order, then the events.
	keys []cursorKey
	at   []int64

	begun   bool // the header is sent
	pending []ground.Trace
	values  int // in pending
	events  []ground.Event
	dirty   bool // the machine's state may have changed since it was sent
	// filled has the times that the last fill sent, per series: the tail may bring them again.
	filled   [][]int64
	filledAt time.Time
	out      []byte
}

func (s *Server) getLive(w http.ResponseWriter, r *http.Request, q *query) error {
	if s.o.Tail == nil {
		return newProblem(http.StatusNotImplemented, "this ground has no live stream")
	}
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		q.lastEventID = id
	}
	var have cursor
	if q.lastEventID != "" {
		var err error
		if have, err = parseID(q.lastEventID); err != nil {
			return badParameter("last_event_id", "%v: begin without one", err)
		}
	}
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", sseType)
		return nil
	}
	select {
	case s.live <- struct{}{}:
		defer func() { <-s.live }()
	default:
		return newProblem(http.StatusServiceUnavailable, "%d live streams are open already", s.o.MaxLive)
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	st := s.newStream(w, q)
	go func() { // ends with ctx
		select {
		case <-s.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := st.run(ctx, q, have)
	switch {
	case ctx.Err() != nil || errors.Is(err, errStreamEnd):
		return nil
	case st.begun:
		// The client comes back with its last id and misses nothing.
		s.log.WarnContext(ctx, "web: live stream ended", "device", q.device, "error", err)
		return nil
	}
	return err
}

func (s *Server) newStream(w http.ResponseWriter, q *query) *stream {
	n := len(q.series)
	st := &stream{
		s: s, w: w, rc: http.NewResponseController(w), device: q.device, series: q.series,
		index: make(map[string]int, n), keys: make([]cursorKey, 0, n+1), at: make([]int64, n+1),
		pending: make([]ground.Trace, n), filled: make([][]int64, n),
	}
	for i, name := range q.series {
		st.index[name] = i
		st.keys = append(st.keys, keyOf(name))
		st.pending[i].Series = name
	}
	st.keys = append(st.keys, eventsKey)
	return st
}

// run follows the tail until the client leaves. It watches before it asks the store, so that nothing falls between.
func (st *stream) run(ctx context.Context, q *query, have cursor) error {
	for first := true; ; first = false {
		err := st.follow(ctx, func(ctx context.Context) error {
			if !first {
				return nil
			}
			return st.begin(ctx, q, have)
		})
		if !errors.Is(err, errBehind) {
			return err
		}
		if err := st.sendGap(gapJSON{Reason: reasonBehind, Series: []string{}}); err != nil {
			return err
		}
		// A tail that turns watchers away closes at once: without a pause this would spin.
		pause := time.NewTimer(rewatchPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return errStreamEnd
		}
	}
}

var errBehind = errors.New("web: live: fell behind the tail")

// follow watches, begins, fills and then passes on the tail until it closes (errBehind) or something fails.
func (st *stream) follow(ctx context.Context, begin func(context.Context) error) error {
	watch, cancel := context.WithCancel(ctx)
	defer cancel()
	updates := st.s.o.Tail.Watch(watch, liveBuffer)
	if err := begin(ctx); err != nil {
		return err
	}
	if err := st.fill(ctx); err != nil {
		return err
	}
	st.dirty = true
	heartbeat := time.NewTicker(st.s.o.Heartbeat)
	defer heartbeat.Stop()
	state := time.NewTicker(machineEvery)
	defer state.Stop()
	if err := st.sendMachine(ctx); err != nil {
		return err
	}
	flush := time.NewTimer(0)
	armed := true
	defer flush.Stop()
	for {
		select {
		case <-ctx.Done():
			return errStreamEnd
		case u, open := <-updates:
			if !open {
				return errors.Join(st.flush(), errBehind)
			}
			st.take(u)
			if st.values >= maxBatch || len(st.events) >= batchEvents {
				if err := st.flush(); err != nil {
					return err
				}
			} else if !armed {
				flush.Reset(flushEvery)
				armed = true
			}
		case <-flush.C:
			armed = false
			if err := st.flush(); err != nil {
				return err
			}
		case <-state.C:
			if err := st.sendMachine(ctx); err != nil {
				return err
			}
		case <-heartbeat.C:
			if err := st.write([]byte(":\n\n")); err != nil {
				return err
			}
			if st.s.o.Now().Sub(st.filledAt) > overlapAge {
				clear(st.filled)
			}
		}
	}
}

// write sends b at once. A client that does not take it in time is dropped.
func (st *stream) write(b []byte) error {
	if err := writeWithin(st.rc, st.s.o.WriteTimeout); err != nil {
		return errStreamEnd
	}
	if _, err := st.w.Write(b); err != nil {
		return errStreamEnd
	}
	if err := st.rc.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return errStreamEnd
	}
	return nil
}

// send writes one event. With id it carries the cursor.
func (st *stream) send(event string, id bool, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	b := st.out[:0]
	b = append(append(append(b, "event: "...), event...), '\n')
	if id {
		b = append(appendID(append(b, "id: "...), st.keys, st.at), '\n')
	}
	b = append(append(append(b, "data: "...), data...), "\n\n"...)
	st.out = b
	return st.write(b)
}

type helloJSON struct {
	Now       millis   `json:"now_ms"`
	Device    string   `json:"device"`
	Series    []string `json:"series"`
	Resumed   bool     `json:"resumed"`
	Heartbeat float64  `json:"heartbeat_s"`
}

type gapJSON struct {
	Reason string   `json:"reason"`
	Series []string `json:"series"` // whose samples are missing
	Events bool     `json:"events"` // machine events are missing
	From   *millis  `json:"from_ms"`
	To     *millis  `json:"to_ms"`
}

type samplesJSON struct {
	Traces []liveTraceJSON `json:"traces"`
}

type liveTraceJSON struct {
	Series string  `json:"series"`
	Time   times   `json:"t_ms"`
	Values numbers `json:"v"`
}

type liveEventsJSON struct {
	Events []eventJSON `json:"events"`
}

func (st *stream) sendHello(resumed bool) error {
	h := st.w.Header()
	h.Set("Content-Type", sseType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	st.begun = true
	if err := st.write(strconv.AppendInt([]byte("retry: "), retryAfter.Milliseconds(), 10)); err != nil {
		return err
	}
	if err := st.write([]byte("\n\n")); err != nil {
		return err
	}
	series := st.series
	if series == nil {
		series = []string{}
	}
	return st.send("hello", true, helloJSON{
		Now: millis(st.s.now()), Device: st.device, Series: series, Resumed: resumed, Heartbeat: st.s.o.Heartbeat.Seconds(),
	})
}

func (st *stream) sendGap(g gapJSON) error { return st.send("gap", true, g) }

// sendMachine sends the machine's state if it may have changed.
func (st *stream) sendMachine(ctx context.Context) error {
	if !st.dirty {
		return nil
	}
	st.dirty = false
	ctx, cancel := context.WithTimeout(ctx, st.s.o.QueryTimeout)
	defer cancel()
	machines, err := st.s.o.Source.Machines(ctx)
	if err != nil {
		return err
	}
	m, err := findMachine(machines, st.device)
	if err != nil {
		return nil // removed meanwhile; a request for it tells
	}
	return st.send("machine", false, fullJSON(m, st.s.now()))
}

// take adds what u has for this client to what is pending.
func (st *stream) take(u ground.Update) {
	if u.Device != st.device {
		return
	}
	st.dirty = true
	for _, t := range u.Traces {
		if i, wanted := st.index[t.Series]; wanted {
			st.add(i, t)
		}
	}
	st.events = append(st.events, u.Events...)
}

func (st *stream) flush() error {
	if err := st.flushEvents(); err != nil || st.values == 0 {
		return err
	}
	var msg samplesJSON
	for i := range st.pending {
		p := &st.pending[i]
		if len(p.Time) == 0 {
			continue
		}
		msg.Traces = append(msg.Traces, liveTraceJSON{Series: p.Series, Time: p.Time, Values: p.Mean})
		for _, t := range p.Time {
			st.at[i] = max(st.at[i], t)
		}
	}
	err := st.send("samples", true, msg)
	for i := range st.pending {
		p := &st.pending[i]
		p.Time, p.Mean = p.Time[:0], p.Mean[:0]
	}
	st.values = 0
	return err
}

func (st *stream) flushEvents() error {
	if len(st.events) == 0 {
		return nil
	}
	last := &st.at[len(st.series)]
	for _, e := range st.events {
		*last = max(*last, e.Time)
	}
	err := st.send("events", true, liveEventsJSON{toEvents(st.events)})
	st.events = st.events[:0]
	return err
}
