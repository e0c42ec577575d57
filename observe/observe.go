package observe

import (
	"fmt"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Options of a Window.
type Options struct {
	// Ready returns why the process cannot do its work now, or nil. It must return at once. Nil: it always can.
	Ready func() error
	// Profiles serves /debug/pprof. They show much and cost something: off by default.
	Profiles bool
}

// Window serves /metrics, /healthz (the process answers), /readyz (it can do its work) and, if asked for, /debug/pprof.
type Window struct {
	registry *prometheus.Registry
	mux      *http.ServeMux
}

// Paths are what a Window serves, as patterns of http.ServeMux.
func Paths() []string { return []string{"/metrics", "/healthz", "/readyz", "/debug/"} }

// New returns a window on the Go runtime and the process. What else is measured is registered by and by.
func New(o Options) *Window {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{Timeout: 10 * time.Second, MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if o.Ready != nil {
			if err := o.Ready(); err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
		}
		fmt.Fprintln(w, "ok")
	})
	if o.Profiles {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	return &Window{registry: registry, mux: mux}
}

// Register adds what else the process measures. It may be called at any time.
func (w *Window) Register(c prometheus.Collector) error {
	if err := w.registry.Register(c); err != nil {
		return fmt.Errorf("observe: %w", err)
	}
	return nil
}

// ServeHTTP implements http.Handler.
func (w *Window) ServeHTTP(rw http.ResponseWriter, r *http.Request) { w.mux.ServeHTTP(rw, r) }
