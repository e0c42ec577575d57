package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"mime"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/fulmar-io/fulmar/ground"
	"github.com/fulmar-io/fulmar/ground/live"
	"github.com/fulmar-io/fulmar/ground/web"
)

const epoch = 1_767_225_600 * second // the double's first moment in tests

// newServer has ten minutes of data before epoch+600 s.
func newServer(t *testing.T, change func(*web.Options)) (*web.Server, *double) {
	t.Helper()
	hub := live.New(live.Options{})
	d := newDouble(hub, epoch, epoch+600*second)
	o := web.Options{Source: d, Exporter: d, Tail: hub, Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&o)
	}
	s, err := web.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s, d
}

func get(h http.Handler, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Host = "localhost"
	h.ServeHTTP(w, r)
	return w
}

func ms(ns int64) string {
	return strconv.FormatInt(ns/1_000_000, 10)
}

// schemas compiles the description's schemas.
func schemas(t *testing.T) func(name string, body []byte) error {
	t.Helper()
	b, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := yaml.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	j, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(j))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("openapi.json", parsed); err != nil {
		t.Fatal(err)
	}
	return func(name string, body []byte) error {
		sch, err := c.Compile("openapi.json#/components/schemas/" + name)
		if err != nil {
			return err
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
		if err != nil {
			return err
		}
		return sch.Validate(v)
	}
}

func TestAnswersAreAsDescribed(t *testing.T) {
	s, _ := newServer(t, nil)
	validate := schemas(t)
	from, to := ms(epoch), ms(epoch+600*second)
	for target, schema := range map[string]string{
		"machines":              "MachineList",
		"machines/rover":        "Machine",
		"machines/boat-2":       "Machine",
		"machines/drone-7":      "Machine",
		"machines/rover/series": "SeriesList",
		"machines/rover/latest?series=gnss.fix&series=gnss.mode&series=gnss.satellites&series=imu.accel%5B0%5D&series=thermal.motor%5B1%5D": "Latest",
		"machines/rover/range?series=imu.accel%5B0%5D&series=gnss.fix&from=" + from + "&to=" + to + "&buckets=100":                          "Range",
		"machines/rover/range?series=thermal.motor%5B1%5D&from=" + from + "&to=" + to:                                                       "Range",
		"machines/rover/range?series=gnss.fix&from=0&to=1":                                                                                  "Range",
		"machines/rover/events": "EventList",
		"machines/rover/events?severity=error&limit=1&from=" + from: "EventList",
		"machines/boat-2/events":                                    "EventList",
		"machines/none":                                             "Problem",
		"machines/rover/range":                                      "Problem",
		"nothing":                                                   "Problem",
	} {
		w := get(s.Handler(), "/api/v1/"+target)
		if err := validate(schema, w.Body.Bytes()); err != nil {
			t.Errorf("%s: %v\n%s", target, err, w.Body)
		}
		want := "application/json"
		if schema == "Problem" {
			want = "application/problem+json"
		}
		if got := w.Header().Get("Content-Type"); got != want || (w.Code == 200) != (schema != "Problem") {
			t.Errorf("%s: status %d of type %q", target, w.Code, got)
		}
	}
}

// What a range answers is what the source said: to the nanosecond and to the bit, and null for what is not a number.
func TestRangeIsExact(t *testing.T) {
	s, d := newServer(t, nil)
	w, _ := find("rover", "thermal.motor[1]")
	want := d.trace("rover", w, epoch, epoch+600*second)
	body := get(s.Handler(), "/api/v1/machines/rover/range?series=thermal.motor%5B1%5D&from="+ms(epoch)+"&to="+ms(epoch+600*second)).Body
	var got struct {
		Traces []struct {
			Time []json.Number `json:"t_ms"`
			Mean []*float64
			Min  []*float64
		}
	}
	if err := json.Unmarshal(body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	tr := got.Traces[0]
	if len(tr.Time) != len(want.Time) || len(want.Time) != 600 || tr.Min != nil {
		t.Fatalf("%d samples, want %d", len(tr.Time), len(want.Time))
	}
	nulls := 0
	for i, n := range tr.Time {
		if n.String() != ms(want.Time[i]) {
			t.Fatalf("sample %d at %s, want %d", i, n, want.Time[i])
		}
		switch v := want.Mean[i]; {
		case math.IsNaN(v) && tr.Mean[i] == nil:
			nulls++
		case math.IsNaN(v) || tr.Mean[i] == nil || *tr.Mean[i] != v:
			t.Fatalf("sample %d is %v, want %v", i, tr.Mean[i], v)
		}
	}
	if nulls == 0 {
		t.Fatal("the series has no value that is not a number: nothing was tested")
	}
}

func TestWhatIsNotUnderstoodIsRefused(t *testing.T) {
	s, _ := newServer(t, nil)
	many := strings.Repeat("&series=a.b", 65)
	for target, want := range map[string]struct {
		status    int
		parameter string
		detail    string
	}{
		"machines?x=1":                                                {400, "x", "want none"},
		"machines/Rover":                                              {400, "device", "a-z"},
		"machines/nobody/series":                                      {404, "", "nobody"},
		"machines/rover/latest":                                       {400, "series", "required"},
		"machines/rover/latest?series=":                               {400, "series", "layout.field"},
		"machines/rover/latest?series=%00":                            {400, "series", "layout.field"},
		"machines/rover/latest?series=a.b&series=a.b":                 {400, "series", "twice"},
		"machines/rover/latest?" + many:                               {400, "series", "at most 64"},
		"machines/rover/range?series=a.b&from=1&to=1":                 {400, "to", "after from"},
		"machines/rover/range?series=a.b&from=-1&to=1":                {400, "from", "milliseconds"},
		"machines/rover/range?series=a.b&from=1e3&to=1":               {400, "from", "milliseconds"},
		"machines/rover/range?series=a.b&from=0&to=1.1234567":         {400, "to", "6 decimals"},
		"machines/rover/range?series=a.b&from=0&to=999999999999999":   {400, "to", "milliseconds"},
		"machines/rover/range?series=a.b&from=0&to=1&buckets=0":       {400, "buckets", "1 to 10000"},
		"machines/rover/range?series=a.b&from=0&to=1&buckets=10001":   {400, "buckets", "1 to 10000"},
		"machines/rover/range?from=0&to=1&buckets=10000" + series(21): {400, "buckets", "at most 200000"},
		"machines/rover/events?severity=bad":                          {400, "severity", "critical"},
		"machines/rover/events?limit=1001":                            {400, "limit", "1000"},
		"machines/rover/events?limit=1&limit=2":                       {400, "limit", "at most 1"},
		"machines/rover/export?format=xls":                            {400, "format", "csv or mcap"},
		"machines/drone-7/export?format=csv&series=a.b":               {404, "", "a.b"},
		"live":                               {400, "device", "required"},
		"live?device=nobody":                 {404, "", "nobody"},
		"live?device=rover&series=no.such":   {404, "", "no.such"},
		"live?device=rover&last_event_id=xx": {400, "last_event_id", "begin without"},
		"machines/rover/latest?series=%zz":   {400, "", "query string"},
	} {
		w := get(s.Handler(), "/api/v1/"+target)
		var p struct {
			Status            int
			Detail, Parameter string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Errorf("%s: %v", target, err)
			continue
		}
		if w.Code != want.status || p.Status != want.status || p.Parameter != want.parameter || !strings.Contains(p.Detail, want.detail) {
			t.Errorf("%s: got %d %+v, want %+v", target, w.Code, p, want)
		}
	}
}

func series(n int) string {
	q := ""
	for i := range n {
		q += "&series=a.b" + strconv.Itoa(i)
	}
	return q
}

func TestStoreFailureIsToldWithoutItsInside(t *testing.T) {
	s, d := newServer(t, nil)
	d.fail = errors.New("disk at /secret is on fire")
	w := get(s.Handler(), "/api/v1/machines")
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	d.fail = context.DeadlineExceeded
	if w := get(s.Handler(), "/api/v1/machines"); w.Code != http.StatusGatewayTimeout {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestOnlyReading(t *testing.T) {
	s, _ := newServer(t, nil)
	for _, m := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		r := httptest.NewRequest(m, "/api/v1/machines", nil)
		r.Host = "localhost"
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d", m, w.Code)
		}
	}
	r := httptest.NewRequest(http.MethodHead, "/api/v1/machines", nil)
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	if w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Length") == "" {
		t.Errorf("HEAD: %d, %d bytes", w.Code, w.Body.Len())
	}
}

func TestHostAndOrigin(t *testing.T) {
	loop := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}
	lan := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 80}
	for _, c := range []struct {
		local        net.Addr
		host, origin string
		hosts        []string
		want         int
	}{
		{loop, "localhost:8080", "", nil, 200},
		{loop, "127.0.0.1", "", nil, 200},
		{loop, "[::1]:8080", "", nil, 200},
		{loop, "evil.example", "", nil, 421},
		{loop, "evil.example:8080", "", nil, 421},
		{loop, "192.0.2.7", "", nil, 421},
		{loop, "ground.example", "", []string{"ground.example"}, 200},
		{lan, "ground.lan", "", nil, 200},
		{lan, "ground.lan", "", []string{"other.lan"}, 421},
		{lan, "192.0.2.7:80", "", []string{"other.lan"}, 200},
		{loop, "localhost", "http://localhost", nil, 200},
		{loop, "localhost:80", "http://evil.example", nil, 403},
		{loop, "localhost:80", "http://localhost:81", nil, 403},
		{loop, "localhost:80", "null", nil, 403},
	} {
		s, _ := newServer(t, func(o *web.Options) { o.Hosts = c.hosts })
		r := httptest.NewRequest(http.MethodGet, "/api/v1/machines", nil)
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, c.local))
		r.Host = c.host
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%v host %s origin %s hosts %v: %d, want %d", c.local, c.host, c.origin, c.hosts, w.Code, c.want)
		}
	}
}

func TestPageIsServedSafely(t *testing.T) {
	s, _ := newServer(t, nil)
	w := get(s.Handler(), "/")
	csp := w.Header().Get("Content-Security-Policy")
	if w.Code != 200 || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	page := w.Body.String()
	if strings.Contains(page, "<style") || strings.Contains(page, "style=") || strings.Contains(page, "//") && strings.Contains(page, "http") {
		t.Errorf("the page has something inline or of another host:\n%s", page)
	}
	assets := 0
	for _, part := range strings.Split(page, `"`) {
		if !strings.HasPrefix(part, "assets/") {
			continue
		}
		assets++
		a := get(s.Handler(), "/"+part)
		if a.Code != 200 || !strings.Contains(a.Header().Get("Cache-Control"), "immutable") || a.Header().Get("ETag") == "" {
			t.Errorf("%s: %d %v", part, a.Code, a.Header())
		}
		r := httptest.NewRequest(http.MethodGet, "/"+part, nil)
		r.Header.Set("If-None-Match", a.Header().Get("ETag"))
		again := httptest.NewRecorder()
		s.Handler().ServeHTTP(again, r)
		if again.Code != http.StatusNotModified {
			t.Errorf("%s again: %d", part, again.Code)
		}
	}
	if assets != 3 {
		t.Errorf("%d assets, want script, style and icon", assets)
	}
	if w := get(s.Handler(), "/../doc.go"); w.Code == 200 {
		t.Error("a path out of the page was served")
	}
}

func TestExport(t *testing.T) {
	s, _ := newServer(t, nil)
	w := get(s.Handler(), "/api/v1/machines/rover/export?format=csv&series=gnss.satellites&from="+ms(epoch)+"&to="+ms(epoch+3*second))
	if w.Code != 200 || strings.Count(w.Body.String(), "\n") != 3 {
		t.Fatalf("%d %q", w.Code, w.Body)
	}
	_, p, err := mime.ParseMediaType(w.Header().Get("Content-Disposition"))
	if err != nil || p["filename"] != "rover-20260101T000000Z-20260101T000003Z.csv" {
		t.Errorf("%v %v", p, err)
	}
	if w := get(s.Handler(), "/api/v1/machines/rover/export?format=mcap"); !strings.HasPrefix(w.Body.String(), "\x89MCAP") {
		t.Errorf("%q", w.Body)
	}
}

type breaksOff struct{}

func (breaksOff) Export(_ context.Context, w io.Writer, _, _ string, _ []string, _, _ int64) (ground.Exported, error) {
	_, _ = io.WriteString(w, "half of it")
	return ground.Exported{}, errors.New("the other half is damaged")
}

// A client must not take half a file for a whole one.
func TestExportThatBreaksOffIsCut(t *testing.T) {
	s, _ := newServer(t, func(o *web.Options) { o.Exporter = breaksOff{} })
	srv := httptest.NewServer(s.Handler())
	defer srv.Close()
	res, err := http.Get(srv.URL + "/api/v1/machines/rover/export?format=csv")
	if err == nil {
		_, err = io.ReadAll(res.Body)
		_ = res.Body.Close()
	}
	if err == nil {
		t.Fatal("the transfer looks whole")
	}
}

// parseQuery meets what anybody sends. It must answer, and never with more than was asked for.
func FuzzQuery(f *testing.F) {
	hub := live.New(live.Options{})
	d := newDouble(hub, epoch, epoch+second)
	s, err := web.New(web.Options{Source: d, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("rover", "series=imu.accel%5B0%5D&from=1767225600000&to=1767225601000.5&buckets=3")
	f.Add("rover", "series=a&from=0.0000001&to=9223372036854775807&buckets=-0")
	f.Add("..", "from=%00&from=%00")
	f.Fuzz(func(t *testing.T, device, query string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL = &url.URL{Path: "/api/v1/machines/" + device + "/range", RawQuery: query}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Fatalf("%q %q: %d %s", device, query, w.Code, w.Body)
		}
	})
}

// A ground that takes anybody says so on its page, and another does not.
func TestThePageSaysThatItIsInsecure(t *testing.T) {
	for _, insecure := range []bool{false, true} {
		s, _ := newServer(t, func(o *web.Options) { o.Insecure = insecure })
		for _, path := range []string{"/", "/index.html"} {
			w := get(s.Handler(), path)
			if got := strings.Contains(w.Body.String(), "<body data-insecure>"); w.Code != http.StatusOK || got != insecure {
				t.Errorf("%s, insecure %t: status %d, said %t", path, insecure, w.Code, got)
			}
		}
		s.Close()
	}
}
