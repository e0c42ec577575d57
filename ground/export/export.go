package export

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/fulmar-io/fulmar/ground"
	"github.com/fulmar-io/fulmar/ground/store"
	"github.com/fulmar-io/fulmar/recording/mcap"
	"github.com/fulmar-io/fulmar/recording/mcap/records"
	"github.com/fulmar-io/fulmar/telemetry"
)

// The formats of Export.
const (
	CSV  = "csv"
	MCAP = "mcap"
)

// Exporter implements ground.Exporter over an index.
type Exporter struct{ index *store.Index }

// New returns an exporter of what an index knows.
func New(index *store.Index) *Exporter { return &Exporter{index: index} }

var _ ground.Exporter = (*Exporter)(nil)

// A sink is a file that is being written.
type sink interface {
	record(store.Stored) error
	// missing notes that records could not be read.
	missing(*store.UnreadError) error
	// end makes the file whole.
	end() error
}

// Export implements ground.Exporter. From is inclusive, to exclusive, 0 for no end. Nothing is written before format,
// device and series are known to be there; the error wraps ground.ErrNotFound if the latter are not. After any error the file is cut.
func (e *Exporter) Export(ctx context.Context, w io.Writer, format, device string, series []string, from, to int64) (ground.Exported, error) {
	if format != CSV && format != MCAP {
		return ground.Exported{}, fmt.Errorf("export: format %q: want %s or %s", format, CSV, MCAP)
	}
	if err := e.find(ctx, device, series); err != nil {
		return ground.Exported{}, fmt.Errorf("export: %w", err)
	}
	q := store.RecordsQuery{Device: device, From: from, To: to}
	var wanted map[string]bool
	if series != nil {
		wanted = make(map[string]bool, len(series))
		for _, s := range series {
			wanted[s] = true
		}
		q.Layout = layoutsOf(wanted)
	}
	var out sink
	var err error
	if format == CSV {
		out, err = newCSVWriter(w, wanted)
	} else {
		out, err = newMCAPWriter(w)
	}
	if err != nil {
		return ground.Exported{}, fmt.Errorf("export: %w", err)
	}
	done, err := e.write(ctx, out, q)
	if err != nil {
		return done, fmt.Errorf("export: %w", err)
	}
	return done, nil
}

func (e *Exporter) write(ctx context.Context, out sink, q store.RecordsQuery) (done ground.Exported, err error) {
	for r, err := range e.index.Records(ctx, q) {
		var unread *store.UnreadError
		switch {
		case errors.As(err, &unread):
			if done.Unread == 0 {
				done.Cause = err
			}
			done.Unread += unread.Count
			err = out.missing(unread)
		case err == nil:
			done.Records++
			err = out.record(r)
		}
		if errors.Is(err, mcap.ErrFull) {
			return done, errors.Join(err, out.end())
		}
		if err != nil {
			return done, err
		}
	}
	return done, out.end()
}

// find reports what is not there of the device and the series.
func (e *Exporter) find(ctx context.Context, device string, series []string) error {
	devices := []string{device}
	if device == "" {
		if len(series) == 0 {
			return nil
		}
		machines, err := e.index.Machines(ctx)
		if err != nil {
			return err
		}
		devices = devices[:0]
		for _, m := range machines {
			devices = append(devices, m.Device)
		}
	}
	known := make(map[string]bool)
	for _, d := range devices {
		list, err := e.index.Series(ctx, d)
		if err != nil {
			return err
		}
		for _, s := range list {
			known[s.Name] = true
		}
	}
	i := slices.IndexFunc(series, func(s string) bool { return !known[s] })
	switch {
	case i < 0:
		return nil
	case device == "":
		return fmt.Errorf("series %q of any machine: %w", series[i], ground.ErrNotFound)
	}
	return fmt.Errorf("series %q of machine %q: %w", series[i], device, ground.ErrNotFound)
}

// layoutsOf chooses the layouts that have one of the series. It remembers each answer, and is for one goroutine.
func layoutsOf(series map[string]bool) func(*telemetry.Layout) bool {
	known := make(map[*telemetry.Layout]bool)
	return func(l *telemetry.Layout) bool {
		if yes, have := known[l]; have {
			return yes
		}
		yes := false
		for f, field := range l.Fields {
			for e := range field.Elements() {
				yes = yes || series[l.SeriesName(f, e)]
			}
		}
		known[l] = yes
		return yes
	}
}

// mcapWriter is the sink of an MCAP file.
type mcapWriter struct{ w *records.Writer }

func newMCAPWriter(w io.Writer) (*mcapWriter, error) {
	rw, err := records.NewWriter(w, mcap.WriterOptions{Library: "fulmar export"})
	return &mcapWriter{w: rw}, err
}

func (m *mcapWriter) record(r store.Stored) error {
	return m.w.Write(records.Entry{Stream: r.Stream, Time: r.Time, Record: r.Record})
}

func (m *mcapWriter) missing(e *store.UnreadError) error {
	return m.w.WriteMetadata(mcap.Metadata{Name: "fulmar.missing", Values: map[string]string{
		"device": e.Stream.Device, "boot": e.Stream.Boot.String(), "class": e.Stream.Class.String(),
		"first": strconv.FormatUint(e.First, 10), "count": strconv.FormatUint(e.Count, 10), "reason": e.Cause.Error()}})
}

func (m *mcapWriter) end() error { return m.w.Close() }
