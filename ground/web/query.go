package web

import (
	"fmt"
	"net/http"

	"github.com/fulmar-io/fulmar/ground"
)

func (s *Server) now() int64 { return s.o.Now().UnixNano() }

func (s *Server) getMachines(w http.ResponseWriter, r *http.Request, _ *query) error {
	machines, err := s.o.Source.Machines(r.Context())
	if err != nil {
		return err
	}
	list := make([]machineSummary, len(machines))
	for i := range machines {
		list[i] = summaryJSON(&machines[i])
	}
	return writeJSON(w, r, struct {
		Now      millis           `json:"now_ms"`
		Machines []machineSummary `json:"machines"`
	}{millis(s.now()), list})
}

func (s *Server) getMachine(w http.ResponseWriter, r *http.Request, q *query) error {
	machines, err := s.o.Source.Machines(r.Context())
	if err != nil {
		return err
	}
	m, err := findMachine(machines, q.device)
	if err != nil {
		return err
	}
	return writeJSON(w, r, fullJSON(m, s.now()))
}

func findMachine(machines []ground.Machine, device string) (*ground.Machine, error) {
	for i := range machines {
		if machines[i].Device == device {
			return &machines[i], nil
		}
	}
	return nil, fmt.Errorf("web: machine %q: %w", device, ground.ErrNotFound)
}

func (s *Server) getSeries(w http.ResponseWriter, r *http.Request, q *query) error {
	series, err := s.o.Source.Series(r.Context(), q.device)
	if err != nil {
		return err
	}
	list := make([]seriesJSON, len(series))
	for i := range series {
		list[i] = toSeries(series[i])
	}
	return writeJSON(w, r, struct {
		Device string       `json:"device"`
		Series []seriesJSON `json:"series"`
	}{q.device, list})
}

func (s *Server) getLatest(w http.ResponseWriter, r *http.Request, q *query) error {
	samples, err := s.o.Source.Latest(r.Context(), q.device, q.series)
	if err != nil {
		return err
	}
	list := make([]sampleJSON, len(samples))
	for i, v := range samples {
		list[i] = sampleJSON{Series: v.Series, Time: millis(v.Time), Value: value{v.Value}}
	}
	return writeJSON(w, r, struct {
		Device  string       `json:"device"`
		Now     millis       `json:"now_ms"`
		Samples []sampleJSON `json:"samples"`
	}{q.device, millis(s.now()), list})
}

func (s *Server) getRange(w http.ResponseWriter, r *http.Request, q *query) error {
	if n := len(q.series) * q.buckets; n > MaxPoints {
		return badParameter("buckets", "%d series of %d buckets are %d points, at most %d: ask for fewer of either",
			len(q.series), q.buckets, n, MaxPoints)
	}
	traces, err := s.o.Source.Range(r.Context(), ground.RangeQuery{
		Device: q.device, Series: q.series, From: q.from, To: q.to, Buckets: q.buckets,
	})
	if err != nil {
		return err
	}
	list := make([]traceJSON, len(traces))
	for i, t := range traces {
		list[i] = traceJSON{Series: t.Series, Time: t.Time, Mean: orEmpty(t.Mean), Min: t.Min, Max: t.Max, Count: t.Count}
		if t.Time == nil {
			list[i].Time = times{}
		}
	}
	return writeJSON(w, r, struct {
		Device  string      `json:"device"`
		From    millis      `json:"from_ms"`
		To      millis      `json:"to_ms"`
		Buckets int         `json:"buckets"`
		Traces  []traceJSON `json:"traces"`
	}{q.device, millis(q.from), millis(q.to), q.buckets, list})
}

func orEmpty(n numbers) numbers {
	if n == nil {
		return numbers{}
	}
	return n
}

func (s *Server) getEvents(w http.ResponseWriter, r *http.Request, q *query) error {
	events, err := s.o.Source.Events(r.Context(), ground.EventQuery{
		Device: q.device, From: q.from, To: endOrNone(q.to), Least: q.severity, Limit: q.limit,
	})
	if err != nil {
		return err
	}
	return writeJSON(w, r, struct {
		Device string      `json:"device"`
		Events []eventJSON `json:"events"`
	}{q.device, toEvents(events)})
}
