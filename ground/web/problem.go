package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/fulmar-io/fulmar/ground"
)

// problem is an error as RFC 9457 has it. It is also a Go error: handlers return it.
type problem struct {
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Parameter string `json:"parameter,omitempty"` // the one that is wrong
	Hint      string `json:"hint,omitempty"`      // what to do about it
}

func (p *problem) Error() string { return fmt.Sprintf("web: %d: %s", p.Status, p.Detail) }

func newProblem(status int, format string, args ...any) *problem {
	return &problem{Title: http.StatusText(status), Status: status, Detail: fmt.Sprintf(format, args...)}
}

func badParameter(name, format string, args ...any) *problem {
	p := newProblem(http.StatusBadRequest, "%s", name+": "+fmt.Sprintf(format, args...))
	p.Parameter = name
	return p
}

// asProblem says what a client may know of err, and whether it is ours to log.
func asProblem(err error) (p *problem, log bool) {
	switch {
	case errors.As(err, &p):
		return p, p.Status >= http.StatusInternalServerError
	case errors.Is(err, ground.ErrNotFound):
		return newProblem(http.StatusNotFound, "%v", err), false
	case errors.Is(err, context.DeadlineExceeded):
		return newProblem(http.StatusGatewayTimeout, "the store did not answer in time: ask for less"), true
	case errors.Is(err, ground.ErrDamaged):
		p := newProblem(http.StatusInternalServerError, "the ground's index is damaged")
		p.Hint = "stop the ground and run fulmar inspect --reindex on its data folder: the index is built again from the frames"
		return p, true
	}
	return newProblem(http.StatusInternalServerError, "the store failed: the ground's log has the cause"), true
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		return // nobody is there to read it
	}
	p, log := asProblem(err)
	if log {
		args := []any{"path", r.URL.Path, "status", p.Status, "error", err}
		if p.Hint != "" {
			args = append(args, "hint", p.Hint)
		}
		s.log.ErrorContext(r.Context(), "web: request failed", args...)
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if p.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "5")
	}
	w.WriteHeader(p.Status)
	if r.Method == http.MethodHead {
		return
	}
	// The status is sent; an error now means that the client has left.
	_ = json.NewEncoder(w).Encode(p)
}
