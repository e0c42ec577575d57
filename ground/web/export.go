package web

import (
	"math"
	"net/http"
	"time"
)

// endOrNone turns the end that was not given into what package ground writes for it.
func endOrNone(to int64) int64 {
	if to == math.MaxInt64 {
		return 0
	}
	return to
}

func (s *Server) getExport(w http.ResponseWriter, r *http.Request, q *query) error {
	if s.o.Exporter == nil {
		return newProblem(http.StatusNotImplemented, "this ground does not export")
	}
	select {
	case s.exports <- struct{}{}:
		defer func() { <-s.exports }()
	default:
		return newProblem(http.StatusServiceUnavailable, "%d exports are being written already", s.o.MaxExports)
	}
	contentType := "text/csv; charset=utf-8"
	if q.format == "mcap" {
		contentType = "application/octet-stream" // MCAP has no registered type
	}
	out := &attachment{w: w, rc: http.NewResponseController(w), timeout: s.o.WriteTimeout, contentType: contentType, name: exportName(q)}
	if r.Method == http.MethodHead {
		out.header()
		return nil
	}
	done, err := s.o.Exporter.Export(r.Context(), out, q.format, q.device, q.series, q.from, q.exportEnd())
	if done.Unread > 0 {
		s.log.ErrorContext(r.Context(), "web: records could not be read for an export; its file says which", "device", q.device, "records", done.Unread,
			"error", done.Cause)
	}
	if err != nil && out.begun {
		if out.err == nil { // it is not the client who left
			s.log.ErrorContext(r.Context(), "web: export broke off", "device", q.device, "format", q.format, "error", err)
		}
		// The status is sent. Only a broken transfer tells the client that the file is not whole.
		panic(http.ErrAbortHandler)
	}
	if err == nil && !out.begun {
		out.header()
	}
	return err
}

// exportEnd is the end for ground.Exporter, where only 0, 0 means everything.
func (q *query) exportEnd() int64 {
	if q.to == math.MaxInt64 && q.from == 0 {
		return 0
	}
	return q.to
}

func exportName(q *query) string {
	const layout = "20060102T150405Z"
	name := q.device
	if q.from != 0 {
		name += "-" + time.Unix(0, q.from).UTC().Format(layout)
	}
	if q.to != math.MaxInt64 {
		name += "-" + time.Unix(0, q.to).UTC().Format(layout)
	}
	return name + "." + q.format
}

// attachment is a response that begins with its first byte, so that an export that fails at once is still a problem+json,
// and that gives up on a client who does not read.
type attachment struct {
	w                 http.ResponseWriter
	rc                *http.ResponseController
	timeout           time.Duration
	contentType, name string
	begun             bool
	err               error // of writing
}

func (a *attachment) header() {
	a.begun = true
	h := a.w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("Content-Disposition", `attachment; filename="`+a.name+`"`)
	h.Set("Cache-Control", "no-store")
}

// Write implements io.Writer.
func (a *attachment) Write(p []byte) (int, error) {
	if !a.begun {
		a.header()
	}
	if err := writeWithin(a.rc, a.timeout); err != nil {
		a.err = err
		return 0, err
	}
	n, err := a.w.Write(p)
	if err != nil {
		a.err = err
	}
	return n, err
}
