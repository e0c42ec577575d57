package web_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/ground"
	"github.com/fulmar-io/fulmar/ground/live"
	"github.com/fulmar-io/fulmar/ground/web"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// reader is a client of the live stream.
type reader struct {
	t      *testing.T
	body   io.ReadCloser
	lines  *bufio.Scanner
	lastID string
	check  func(name string, body []byte) error
}

type frame struct {
	event, id string
	data      []byte
}

func open(t *testing.T, base, query, lastID string) *reader {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/api/v1/live?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(res.Body)
		t.Fatalf("%d %s", res.StatusCode, b)
	}
	sc := bufio.NewScanner(res.Body)
	sc.Buffer(nil, 16<<20)
	r := &reader{t: t, body: res.Body, lines: sc, lastID: lastID, check: schemas(t)}
	t.Cleanup(r.cut)
	return r
}

func (r *reader) cut() { _ = r.body.Close() }

// next returns the next event, or false at the stream's end. Each is held against the description.
func (r *reader) next() (frame, bool) {
	r.t.Helper()
	var f frame
	for r.lines.Scan() {
		field, v, _ := strings.Cut(r.lines.Text(), ": ")
		switch field {
		case "event":
			f.event = v
		case "id":
			f.id, r.lastID = v, v
		case "data":
			f.data = []byte(v)
		case "":
			if f.event == "" {
				continue
			}
			name := map[string]string{"hello": "LiveHello", "samples": "LiveSamples", "events": "LiveEvents", "machine": "Machine", "gap": "LiveGap"}[f.event]
			if err := r.check(name, f.data); err != nil {
				r.t.Fatalf("%s: %v\n%s", f.event, err, f.data)
			}
			return f, true
		}
	}
	return f, false
}

func (r *reader) until(event string) frame {
	r.t.Helper()
	for {
		f, ok := r.next()
		if !ok {
			r.t.Fatalf("the stream ended before %q: %v", event, r.lines.Err())
		}
		if f.event == event {
			return f
		}
	}
}

// samples adds what f brings to got, as nanoseconds.
func samples(t *testing.T, f frame, got map[string][]int64) {
	t.Helper()
	var m struct {
		Traces []struct {
			Series string
			Time   []json.Number `json:"t_ms"`
			V      []*float64
		}
	}
	if err := json.Unmarshal(f.data, &m); err != nil {
		t.Fatal(err)
	}
	for _, tr := range m.Traces {
		if len(tr.Time) != len(tr.V) {
			t.Fatalf("%s: %d times, %d values", tr.Series, len(tr.Time), len(tr.V))
		}
		for _, n := range tr.Time {
			whole, frac, _ := strings.Cut(n.String(), ".")
			ns := whole + (frac + "000000")[:6]
			var v int64
			if err := json.Unmarshal([]byte(ns), &v); err != nil {
				t.Fatal(err)
			}
			got[tr.Series] = append(got[tr.Series], v)
		}
	}
}

// racing commits something new each time that the store is asked: between the watch and the answer, where a stream could
// lose or repeat it.
type racing struct {
	*double
	step int64
}

func (r *racing) Latest(ctx context.Context, device string, series []string) ([]ground.Sample, error) {
	r.advance(r.now() + r.step)
	s, err := r.double.Latest(ctx, device, series)
	r.advance(r.now() + r.step)
	return s, err
}

func (r *racing) Range(ctx context.Context, q ground.RangeQuery) ([]ground.Trace, error) {
	r.advance(r.now() + r.step)
	tr, err := r.double.Range(ctx, q)
	r.advance(r.now() + r.step)
	return tr, err
}

func (d *double) now() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.until
}

func TestLiveResumesWithoutHoleOrDuplicate(t *testing.T) {
	hub := live.New(live.Options{})
	d := newDouble(hub, epoch, epoch+600*second)
	s, err := web.New(web.Options{Source: &racing{double: d, step: 170_000_000}, Tail: hub})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s.Handler())
	defer srv.Close()
	defer s.Close()
	watched := []string{"imu.accel[0]", "drive/left.speed", "battery.voltage", "gnss.satellites"}
	query := "device=rover&from=" + ms(epoch+590*second)
	for _, n := range watched {
		query += "&series=" + strings.NewReplacer("[", "%5B", "]", "%5D").Replace(n)
	}
	got := map[string][]int64{}
	lastID := ""
	for range 12 {
		open(t, srv.URL, query, lastID).cut() // one that was of no use
		r := open(t, srv.URL, query, lastID)
		for filled := false; !filled; {
			f, ok := r.next()
			if !ok {
				t.Fatal("the stream ended")
			}
			if f.event == "samples" {
				samples(t, f, got)
			}
			filled = f.event == "machine" // it follows the fill
		}
		// What the tail has from before the fill comes before this.
		d.advance(d.now() + 700_000_000)
		w, _ := find("rover", "imu.accel[0]")
		_, b := d.span("rover", w, 0, d.now())
		last, _, _ := d.sample("rover", w, b-1)
		for len(got["imu.accel[0]"]) == 0 || slices.Max(got["imu.accel[0]"]) < last {
			samples(t, r.until("samples"), got)
		}
		lastID = r.lastID
		r.cut()
		d.advance(d.now() + 3*second) // while nobody watches
	}
	// Whatever the slower series still lack comes with one more stream.
	for _, n := range watched {
		w, _ := find("rover", n)
		end := slices.Max(got[n]) + 1
		want := d.trace("rover", w, epoch+590*second, end).Time
		if !slices.Equal(got[n], want) {
			t.Errorf("%s: %d samples, want %d: %s", n, len(got[n]), len(want), firstDifference(got[n], want))
		}
	}
}

func firstDifference(got, want []int64) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return "the first other one is " + ms(got[i]) + ", want " + ms(want[i])
		}
	}
	return "one is the beginning of the other"
}

func TestLiveTellsWhatIsTooLong(t *testing.T) {
	s, d := newServer(t, nil)
	srv := httptest.NewServer(s.Handler())
	defer srv.Close()
	defer s.Close()
	// 30,000 samples of imu are missed, 600 of gnss.
	r := open(t, srv.URL, "device=rover&series=imu.accel%5B0%5D&series=gnss.satellites&from="+ms(epoch), "")
	got := map[string][]int64{}
	var gap struct {
		Reason string
		Series []string
		From   json.Number `json:"from_ms"`
		To     json.Number `json:"to_ms"`
	}
	for gap.Reason == "" || len(got["gnss.satellites"]) == 0 {
		f, ok := r.next()
		if !ok {
			t.Fatal("the stream ended")
		}
		switch f.event {
		case "samples":
			samples(t, f, got)
		case "gap":
			if err := json.Unmarshal(f.data, &gap); err != nil {
				t.Fatal(err)
			}
		}
	}
	if gap.Reason != "too_long" || !slices.Equal(gap.Series, []string{"imu.accel[0]"}) || gap.From.String() != ms(epoch) {
		t.Errorf("gap %+v", gap)
	}
	if len(got["gnss.satellites"]) != 600 || len(got["imu.accel[0]"]) != 0 {
		t.Errorf("%d of gnss, %d of imu", len(got["gnss.satellites"]), len(got["imu.accel[0]"]))
	}
	d.advance(d.now() + second)
	for len(got["imu.accel[0]"]) < 50 {
		samples(t, r.until("samples"), got)
	}
}

// choking overflows its watcher while the stream is busy with the machine's state, once.
type choking struct {
	*double
	done bool
}

func (c *choking) Machines(ctx context.Context) ([]ground.Machine, error) {
	if !c.done {
		c.done = true
		for range 400 {
			c.advance(c.now() + 20_000_000)
		}
	}
	return c.double.Machines(ctx)
}

func TestLiveTellsAnOverflowAndCatchesUp(t *testing.T) {
	hub := live.New(live.Options{})
	d := newDouble(hub, epoch, epoch+600*second)
	s, err := web.New(web.Options{Source: &choking{double: d}, Tail: hub})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s.Handler())
	defer srv.Close()
	defer s.Close()
	r := open(t, srv.URL, "device=rover&series=imu.accel%5B0%5D&from="+ms(epoch+600*second), "")
	got := map[string][]int64{}
	told := false
	for len(got["imu.accel[0]"]) < 400 {
		f, ok := r.next()
		if !ok {
			t.Fatal("the stream ended")
		}
		if f.event == "gap" {
			told = strings.Contains(string(f.data), `"overflow"`)
		}
		if f.event == "samples" {
			samples(t, f, got)
		}
	}
	w, _ := find("rover", "imu.accel[0]")
	if want := d.trace("rover", w, epoch+600*second, d.now()).Time; !told || !slices.Equal(got["imu.accel[0]"], want) {
		t.Errorf("told %v; %d samples, want %d: %s", told, len(got["imu.accel[0]"]), len(want), firstDifference(got["imu.accel[0]"], want))
	}
	if hub.Stats().Overflows == 0 {
		t.Error("nothing overflowed: nothing was tested")
	}
}

func TestLiveBringsEvents(t *testing.T) {
	s, d := newServer(t, nil)
	srv := httptest.NewServer(s.Handler())
	defer srv.Close()
	defer s.Close()
	r := open(t, srv.URL, "device=rover", "")
	r.until("machine")
	d.happen(ground.Event{Component: "drive", Time: epoch + 601*second, Severity: packet.Error, Text: "while watched"})
	for !strings.Contains(string(r.until("events").data), "while watched") {
	}
	id := r.lastID
	r.cut()
	d.happen(ground.Event{Component: "drive", Time: epoch + 602*second, Severity: packet.Error, Text: "while cut"})
	r = open(t, srv.URL, "device=rover", id)
	if f := r.until("events"); !strings.Contains(string(f.data), "while cut") {
		t.Errorf("%s", f.data)
	}
}

func TestLiveDropsWhoDoesNotRead(t *testing.T) {
	hub := live.New(live.Options{})
	d := newDouble(hub, epoch, epoch+600*second)
	s, err := web.New(web.Options{Source: d, Tail: hub, WriteTimeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		s.Handler().ServeHTTP(w, r)
	}))
	defer srv.Close()
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := io.WriteString(c, "GET /api/v1/live?device=rover HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	waves := ground.Update{Device: "rover", Events: make([]ground.Event, 500)}
	for i := range waves.Events {
		waves.Events[i] = ground.Event{Severity: packet.Info, Text: strings.Repeat("x", 4000)}
	}
	for {
		select {
		case <-ended:
			if n := hub.Stats().Watchers; n != 0 {
				t.Errorf("%d watchers are left", n)
			}
			return
		default:
			hub.Publish(waves)
		}
	}
}

func TestLiveIsLimitedAndEnds(t *testing.T) {
	s, _ := newServer(t, func(o *web.Options) { o.MaxLive = 1; o.Heartbeat = 10 * time.Millisecond })
	srv := httptest.NewServer(s.Handler())
	defer srv.Close()
	r := open(t, srv.URL, "device=rover", "")
	r.until("machine")
	res, err := http.Get(srv.URL + "/api/v1/live?device=rover")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("a second stream: %d", res.StatusCode)
	}
	for r.lines.Scan() && r.lines.Text() != ":" {
	}
	if r.lines.Text() != ":" {
		t.Error("no heartbeat")
	}
	s.Close()
	for {
		if _, ok := r.next(); !ok {
			break
		}
	}
}
