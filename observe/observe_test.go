package observe_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fulmar-io/fulmar/observe"
)

func get(h http.Handler, path string) (int, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestHealthAndReadiness(t *testing.T) {
	var why error
	w := observe.New(observe.Options{Ready: func() error { return why }})
	if code, _ := get(w, "/readyz"); code != http.StatusOK {
		t.Errorf("ready: %d", code)
	}
	why = errors.New("the disk is full")
	if code, body := get(w, "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "the disk is full") {
		t.Errorf("not ready: %d %s", code, body)
	}
	if code, _ := get(w, "/healthz"); code != http.StatusOK {
		t.Errorf("a process that is not ready is alive: %d", code)
	}
}

func TestProfilesAreServedOnlyOnRequest(t *testing.T) {
	if code, _ := get(observe.New(observe.Options{}), "/debug/pprof/"); code != http.StatusNotFound {
		t.Errorf("without: %d", code)
	}
	if code, _ := get(observe.New(observe.Options{Profiles: true}), "/debug/pprof/"); code != http.StatusOK {
		t.Errorf("with: %d", code)
	}
}

func TestACollectorIsRegisteredOnce(t *testing.T) {
	w := observe.New(observe.Options{})
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "fulmar_test_total", Help: "A test."})
	if err := w.Register(c); err != nil {
		t.Fatal(err)
	}
	if err := w.Register(c); err == nil {
		t.Error("twice")
	}
	if code, body := get(w, "/metrics"); code != http.StatusOK || !strings.Contains(body, "fulmar_test_total 0") {
		t.Errorf("metrics: %d %s", code, body)
	}
}

func ExampleNew() {
	window := observe.New(observe.Options{})
	mux := http.NewServeMux()
	for _, path := range observe.Paths() {
		mux.Handle(path, window)
	}
	code, body := get(mux, "/healthz")
	fmt.Print(code, " ", body)
	// Output: 200 ok
}
