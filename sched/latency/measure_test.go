package latency_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/sched/latency"
)

func TestEachLoopIsMeasured(t *testing.T) {
	for _, loop := range latency.Loops {
		t.Run(loop, func(t *testing.T) {
			m, err := latency.Measure(t.Context(), loop, 2*time.Millisecond, 50, true)
			missing := errors.Is(err, exec.ErrNotFound) && os.Getenv("FULMAR_REQUIRE_TOOLS") != "1"
			if missing || errors.Is(err, syscall.EPERM) {
				t.Skip(err)
			}
			if err != nil || len(m.Late) != 50 || m.Skipped < 0 {
				t.Fatalf("%d of 50 releases, %d skipped, %v", len(m.Late), m.Skipped, err)
			}
			d := latency.Sort(m.Late)
			if d.Quantile(0) < 0 || d.Quantile(0.5) > time.Second || d.Quantile(0.5) > d.Quantile(1) {
				t.Errorf("%s to %s to %s", d.Quantile(0), d.Quantile(0.5), d.Quantile(1))
			}
		})
	}
}

func TestWhatCannotBeMeasured(t *testing.T) {
	for name, measure := range map[string]func() (latency.Measured, error){
		"another loop": func() (latency.Measured, error) {
			return latency.Measure(t.Context(), "spin", time.Millisecond, 1, true)
		},
		"a period of 0": func() (latency.Measured, error) { return latency.Measure(t.Context(), latency.Ticker, 0, 1, true) },
		"no release": func() (latency.Measured, error) {
			return latency.Measure(t.Context(), latency.Ticker, time.Millisecond, 0, true)
		},
		"too many to keep": func() (latency.Measured, error) {
			return latency.Measure(t.Context(), latency.Ticker, time.Millisecond, 1e9, true)
		},
		"interrupted": func() (latency.Measured, error) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			return latency.Measure(ctx, latency.Ticker, time.Hour, 1, true)
		},
	} {
		if m, err := measure(); err == nil {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

func TestQuantiles(t *testing.T) {
	d := latency.Sort([]time.Duration{4, 1, 3, 2})
	for q, want := range map[float64]time.Duration{0: 1, 0.25: 1, 0.5: 2, 0.51: 3, 0.99: 4, 1: 4} {
		if got := d.Quantile(q); got != want {
			t.Errorf("quantile %v is %d, want %d", q, got, want)
		}
	}
	if latency.Sort(nil).Quantile(0.5) != 0 {
		t.Error("nothing has a median")
	}
}

// The drawing is well-formed, and its curves fall from the left to the right.
func TestDrawing(t *testing.T) {
	var d []time.Duration
	for i := range 1000 {
		d = append(d, time.Duration(1+i*i)*time.Microsecond)
	}
	var svg bytes.Buffer
	panels := []latency.Panel{{Title: "idle", Curves: []latency.Curve{{Name: "sleep", Late: latency.Sort(d)}, {Name: "none"}}}, {Title: "load"}, {Title: "more"}}
	if err := latency.WriteSVG(&svg, panels); err != nil {
		t.Fatal(err)
	}
	lines := 0
	for dec := xml.NewDecoder(&svg); ; {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local != "polyline" {
			continue
		}
		lines++
		for _, a := range start.Attr {
			if points := strings.Fields(a.Value); a.Name.Local == "points" && lines == 1 && (len(points) < 50 || points[0] >= points[len(points)-1]) {
				t.Errorf("points %v", points)
			}
		}
	}
	if lines != 2 {
		t.Errorf("%d curves", lines)
	}
}
