package web

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/ground"
	"github.com/fulmar-io/fulmar/secure/access"
)

// Defaults of Options.
const (
	DefaultMaxLive      = 64
	DefaultMaxQueries   = 16
	DefaultMaxExports   = 4
	DefaultQueryTimeout = 30 * time.Second
	DefaultWriteTimeout = 10 * time.Second
	DefaultHeartbeat    = 5 * time.Second
)

// Options say what a Server answers from and how much it takes on. Source is required.
type Options struct {
	Source   ground.Source
	Exporter ground.Exporter // nil: export answers 501
	Tail     ground.Tail     // nil: live answers 501
	Orders   Orders          // nil: commands answer 501
	Logger   *slog.Logger    // nil: slog.Default
	// Now is the ground's clock; nil means time.Now.
	Now func() time.Time
	// Hosts are names, besides localhost and addresses of loopback, under which a browser may reach this server over
	// loopback: that of a proxy on the same host. If it is not empty it is the list for every other interface as well.
	Hosts []string
	// Access lets people and programs in. Nil lets everybody do everything: for the bench.
	Access *access.Gate
	// Insecure has the page say, on top, that anybody can connect to this ground.
	Insecure bool
	// MaxLive is how many live streams may be open; each costs up to about 4 MB while it catches up.
	MaxLive int
	// MaxQueries is how many questions the store is asked at the same time; further ones wait.
	MaxQueries int
	MaxExports int
	// QueryTimeout is how long the store may take for one answer, waiting included.
	QueryTimeout time.Duration
	// WriteTimeout is how long a client may not read before it is dropped.
	WriteTimeout time.Duration
	// Heartbeat is how often a live stream says something although there is nothing to say.
	Heartbeat time.Duration
}

// Server answers HTTP. All its methods may be called concurrently.
type Server struct {
	o       Options
	log     *slog.Logger
	handler http.Handler
	live    chan struct{} // one element per open live stream
	queries chan struct{}
	exports chan struct{}
	closed  chan struct{}
	once    sync.Once
}

// New returns a server that has no goroutines and no listener of its own.
func New(o Options) (*Server, error) {
	if o.Source == nil {
		return nil, errors.New("web: new server: no source")
	}
	orDefault(&o.MaxLive, DefaultMaxLive)
	orDefault(&o.MaxQueries, DefaultMaxQueries)
	orDefault(&o.MaxExports, DefaultMaxExports)
	orDefault(&o.QueryTimeout, DefaultQueryTimeout)
	orDefault(&o.WriteTimeout, DefaultWriteTimeout)
	orDefault(&o.Heartbeat, DefaultHeartbeat)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	s := &Server{
		o: o, log: o.Logger, closed: make(chan struct{}),
		live: make(chan struct{}, o.MaxLive), queries: make(chan struct{}, o.MaxQueries), exports: make(chan struct{}, o.MaxExports),
	}
	page, err := newPage(o.Insecure)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	for path, methods := range s.byPath() {
		mux.Handle(apiPrefix+path, s.pick(methods))
	}
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, newProblem(http.StatusNotFound, "no such path: %sopenapi.yaml lists those there are", apiPrefix))
	})
	mux.Handle("/", page)
	s.handler = s.guard(mux)
	return s, nil
}

func orDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// Handler returns the API and the page. Everything is below "/".
func (s *Server) Handler() http.Handler { return s.handler }

// Close ends the live streams, so that http.Server.Shutdown does not wait for them: give it to RegisterOnShutdown. Other
// requests are not touched.
func (s *Server) Close() { s.once.Do(func() { close(s.closed) }) }

const apiPrefix = "/api/v1/"

// route is one path of the API. openapi.yaml describes each, and a test holds the two together.
type route struct {
	method string // default GET, with HEAD
	path   string
	params []param
	handle func(w http.ResponseWriter, r *http.Request, q *query) error
	role   command.Role // who may, at least. Default Viewer
	open   bool         // for everybody
	// streams marks an answer that takes as long as it takes: no deadline, and a limit of its own.
	streams bool
}

func (s *Server) routes() []route {
	return []route{
		{path: "session", handle: s.getSession},
		{path: "session", method: http.MethodPost, handle: s.postSession, open: true, streams: true},
		{path: "session", method: http.MethodDelete, handle: s.deleteSession},
		{path: "openapi.yaml", handle: serveOpenAPI, streams: true},
		{path: "machines", handle: s.getMachines},
		{path: "machines/{device}", handle: s.getMachine},
		{path: "machines/{device}/series", handle: s.getSeries},
		{path: "machines/{device}/latest", handle: s.getLatest, params: []param{paramSeriesNeed}},
		{path: "machines/{device}/range", handle: s.getRange, params: []param{paramSeriesNeed, paramFromNeed, paramToNeed, paramBuckets}},
		{path: "machines/{device}/events", handle: s.getEvents, params: []param{paramFrom, paramTo, paramSeverity, paramLimit}},
		{path: "machines/{device}/commands", handle: s.getCommands},
		{path: "machines/{device}/commands", method: http.MethodPost, handle: s.postCommand, role: command.Operator},
		{path: "orders/{id}", handle: s.getOrder, params: []param{paramState}, streams: true},
		{path: "machines/{device}/export", handle: s.getExport, params: []param{paramFormat, paramFrom, paramTo, paramSeries}, streams: true},
		{path: "live", handle: s.getLive, params: []param{paramDeviceNeed, paramSeries, paramFrom, paramLastEventID}, streams: true},
	}
}

// verb is the method by which a route is asked; HEAD is as GET.
func (rt route) verb() string { return cmp.Or(rt.method, http.MethodGet) }

// byPath returns the routes of each path by their methods.
func (s *Server) byPath() map[string]map[string]route {
	paths := make(map[string]map[string]route)
	for _, rt := range s.routes() {
		if paths[rt.path] == nil {
			paths[rt.path] = make(map[string]route)
		}
		paths[rt.path][rt.verb()] = rt
	}
	return paths
}

// pick serves a path by the method that is asked for.
func (s *Server) pick(methods map[string]route) http.Handler {
	allowed := slices.Sorted(maps.Keys(methods))
	if methods[http.MethodGet].path != "" {
		allowed = slices.Insert(allowed, 1, http.MethodHead)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		rt, ok := methods[method]
		if !ok {
			s.notAllowed(w, r, allowed)
			return
		}
		if err := s.serve(rt, w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

func (s *Server) notAllowed(w http.ResponseWriter, r *http.Request, allowed []string) {
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	s.fail(w, r, newProblem(http.StatusMethodNotAllowed, "%s: want %s", printable(r.Method), strings.Join(allowed, " or ")))
}

func (s *Server) serve(rt route, w http.ResponseWriter, r *http.Request) error {
	if err := s.permit(rt, w, r); err != nil {
		return err
	}
	q, err := parseQuery(r.URL.RawQuery, rt.params)
	if err != nil {
		return err
	}
	if strings.Contains(rt.path, "{device}") {
		if bad := setDevice(q, r.PathValue("device")); bad != nil {
			return bad
		}
	}
	if rt.streams {
		r, end := whilePermitted(r)
		defer end()
		return rt.handle(w, r, q)
	}
	if err := writeWithin(http.NewResponseController(w), s.o.QueryTimeout+s.o.WriteTimeout); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.o.QueryTimeout)
	defer cancel()
	select {
	case s.queries <- struct{}{}:
		defer func() { <-s.queries }()
	case <-ctx.Done():
		return newProblem(http.StatusServiceUnavailable, "%d questions are being answered already", s.o.MaxQueries)
	}
	return rt.handle(w, r.WithContext(ctx), q)
}

// writeWithin gives the client that long, from now, to take what is written.
func writeWithin(rc *http.ResponseController, d time.Duration) error {
	err := rc.SetWriteDeadline(time.Now().Add(d))
	if errors.Is(err, http.ErrNotSupported) {
		return nil // a test's recorder; the net/http server has deadlines
	}
	return err
}

// The page is one script and one style sheet of its own. Nothing else runs, and nothing frames it.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// guard sets the headers that every answer has and refuses what no honest browser would send.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentSecurityPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		if r.Method != http.MethodGet && r.Method != http.MethodHead && !strings.HasPrefix(r.URL.Path, apiPrefix) {
			s.notAllowed(w, r, []string{http.MethodGet, http.MethodHead})
			return
		}
		if !s.hostAllowed(r) {
			s.fail(w, r, newProblem(http.StatusMisdirectedRequest,
				"host %q is not a name of this ground: add it to hosts in its settings if it should be", printable(r.Host)))
			return
		}
		if o := r.Header.Get("Origin"); o != "" && !sameOrigin(o, r.Host) {
			s.fail(w, r, newProblem(http.StatusForbidden, "requests from pages of another origin are refused"))
			return
		}
		next.ServeHTTP(w, s.identify(r))
	})
}

// hostAllowed defends against DNS rebinding: a page of evil.example whose name was made to point at 127.0.0.1 is, for
// the browser, of the same origin as this server; only the Host header tells.
func (s *Server) hostAllowed(r *http.Request) bool {
	name := hostname(r.Host)
	if slices.ContainsFunc(s.o.Hosts, func(h string) bool { return strings.EqualFold(h, name) }) {
		return true
	}
	ip, err := netip.ParseAddr(name)
	if strings.EqualFold(name, "localhost") || err == nil && ip.IsLoopback() {
		return true
	}
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if local == nil {
		return len(s.o.Hosts) == 0
	}
	at, aerr := netip.ParseAddrPort(local.String())
	if aerr == nil && at.Addr().Unmap().IsLoopback() {
		return false
	}
	// An address cannot be rebound. A name can, but on a network a ground has names that it does not know itself.
	return err == nil || len(s.o.Hosts) == 0
}

func hostname(hostport string) string {
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		return h
	}
	return strings.Trim(hostport, "[]")
}

func sameOrigin(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, host)
}
