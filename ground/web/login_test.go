package web

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/ground"
	"github.com/fulmar-io/fulmar/ground/live"
	"github.com/fulmar-io/fulmar/ground/orders"
	"github.com/fulmar-io/fulmar/secure/access"
)

const rightPassword = "correct horse battery"

// emptySource has one machine, of which nothing is known.
type emptySource struct{}

func (emptySource) Machines(context.Context) ([]ground.Machine, error) {
	return []ground.Machine{{Device: "rover"}}, nil
}
func (emptySource) Series(context.Context, string) ([]ground.Series, error) { return nil, nil }
func (emptySource) Latest(context.Context, string, []string) ([]ground.Sample, error) {
	return nil, nil
}
func (emptySource) Range(context.Context, ground.RangeQuery) ([]ground.Trace, error) { return nil, nil }
func (emptySource) Events(context.Context, ground.EventQuery) ([]ground.Event, error) {
	return nil, nil
}

// someOrders takes everything, and remembers by whom it was given.
type someOrders struct{ given []orders.Request }

func (o *someOrders) Give(_ context.Context, r orders.Request) (orders.Entry, error) {
	o.given = append(o.given, r)
	return orders.Entry{ID: command.ID{1}, Device: r.Device, Name: r.Name, Arguments: r.Arguments, By: r.By, State: command.Queued}, nil
}

func (o *someOrders) Order(_ context.Context, id command.ID, _ command.State) (orders.Entry, error) {
	return orders.Entry{ID: id, Device: "rover", State: command.Done}, nil
}
func (o *someOrders) Orders(context.Context, string, int) ([]orders.Entry, error) { return nil, nil }
func (o *someOrders) Declared(context.Context, string) ([]command.Declaration, error) {
	return nil, nil
}

// guarded is a server that people sign in to, with an account and a token for each role.
type guarded struct {
	*testing.T
	server   *Server
	gate     *access.Gate
	accounts access.Accounts
	orders   *someOrders
	tokens   map[command.Role]string
}

func newGuarded(t *testing.T) *guarded {
	g := &guarded{T: t, orders: new(someOrders), tokens: make(map[command.Role]string)}
	g.accounts = access.Accounts{Path: filepath.Join(t.TempDir(), access.FileName), Now: time.Now, Random: rand.Reader,
		Cost: access.Cost{MemoryKiB: 64, Passes: 1, Threads: 1}}
	for _, r := range command.Roles() {
		token, err := g.accounts.AddToken("of-"+string(r), r, time.Time{})
		if err = errors.Join(err, g.accounts.Add(string(r), r, rightPassword)); err != nil {
			t.Fatal(err)
		}
		g.tokens[r] = token
	}
	var err error
	if g.gate, err = access.Open(access.Options{Accounts: g.accounts, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	g.server, err = New(Options{Source: emptySource{}, Tail: live.New(live.Options{}), Orders: g.orders, Access: g.gate, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// ask asks the server; headers are name and value in turn.
func (g *guarded) ask(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	ctx, cancel := context.WithTimeout(g.Context(), 300*time.Millisecond) // of a stream
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
	r.Host = "localhost"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	g.server.Handler().ServeHTTP(w, r)
	return w
}

// signIn returns the cookie of a session.
func (g *guarded) signIn(name string) *http.Cookie {
	g.Helper()
	w := g.ask(http.MethodPost, "/api/v1/session", fmt.Sprintf(`{"name":%q,"password":%q}`, name, rightPassword))
	if w.Code != http.StatusOK || len(w.Result().Cookies()) != 1 {
		g.Fatalf("%d, %s", w.Code, w.Body)
	}
	return w.Result().Cookies()[0]
}

// Every route that is described wants somebody who has signed in, and what changes something wants an operator.
func TestEveryRouteWantsARole(t *testing.T) {
	g := newGuarded(t)
	n := 0
	for path, verbs := range readDescription(t).Paths {
		for verb := range verbs {
			n++
			method := strings.ToUpper(verb)
			target := strings.NewReplacer("{device}", "rover", "{id}", strings.Repeat("0", 32)).Replace(path)
			switch path {
			case "/api/v1/live":
				target += "?device=rover"
			case "/api/v1/machines/{device}/latest", "/api/v1/machines/{device}/range":
				target += "?series=a.b&from=0&to=1"
			}
			if strings.HasSuffix(path, "/latest") {
				target = strings.TrimSuffix(target, "&from=0&to=1")
			}
			body := ""
			if method == http.MethodPost {
				body = `{"name":"drive/halt"}`
			}
			least := command.Viewer
			if method == http.MethodPost {
				least = command.Operator
			}
			open := path == "/api/v1/session" && method == http.MethodPost
			for _, headers := range [][]string{nil, {"Authorization", "Bearer fulmar_x"}, {"Authorization", "Basic YTpi"}, {"Cookie", "fulmar=x"}} {
				if w := g.ask(method, target, body, headers...); !open && (w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") != "Bearer") {
					t.Errorf("%s %s for nobody (%v): %d", method, path, headers, w.Code)
				}
			}
			for _, role := range command.Roles() {
				if open {
					continue
				}
				w := g.ask(method, target, body, "Authorization", "Bearer "+g.tokens[role])
				if ok := w.Code != http.StatusForbidden && w.Code != http.StatusUnauthorized; ok != role.Allows(least) {
					t.Errorf("%s %s for %s: %d, %s", method, path, role, w.Code, w.Body)
				}
			}
		}
	}
	if n < 12 {
		t.Errorf("only %d routes", n)
	}
	if len(g.orders.given) != 2 || g.orders.given[0].By != "of-operator" || g.orders.given[0].Role != command.Operator {
		t.Errorf("%+v", g.orders.given)
	}
	if w := g.ask(http.MethodGet, "/", ""); w.Code != http.StatusOK {
		t.Errorf("the page, which shows where to sign in: %d", w.Code)
	}
}

func TestCookies(t *testing.T) {
	g := newGuarded(t)
	c := g.signIn("viewer")
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || c.Secure || c.Name != plainCookie || c.MaxAge <= 0 {
		t.Errorf("%+v", c)
	}
	if w := g.ask(http.MethodGet, "/api/v1/session", "", "Cookie", c.Name+"="+c.Value); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"viewer"`) {
		t.Errorf("%d, %s", w.Code, w.Body)
	}
	// A session that somebody has put into the browser is not the one that signing in begins.
	w := g.ask(http.MethodPost, "/api/v1/session", fmt.Sprintf(`{"name":"admin","password":%q}`, rightPassword), "Cookie", c.Name+"="+c.Value)
	if next := w.Result().Cookies()[0]; next.Value == c.Value {
		t.Error("the session is the one of before")
	}
	if w := g.ask(http.MethodGet, "/api/v1/session", "", "Cookie", c.Name+"="+c.Value); w.Code != http.StatusUnauthorized {
		t.Errorf("the one of before: %d", w.Code)
	}
	c = g.signIn("viewer")
	w = g.ask(http.MethodDelete, "/api/v1/session", "", "Cookie", c.Name+"="+c.Value, "Sec-Fetch-Site", "same-origin")
	if w.Code != http.StatusNoContent || w.Result().Cookies()[0].MaxAge >= 0 {
		t.Errorf("%d, %+v", w.Code, w.Result().Cookies())
	}
	if w := g.ask(http.MethodGet, "/api/v1/session", "", "Cookie", c.Name+"="+c.Value); w.Code != http.StatusUnauthorized {
		t.Errorf("signed out: %d", w.Code)
	}
	r := httptest.NewRequest(http.MethodPost, "https://localhost/api/v1/session", strings.NewReader(fmt.Sprintf(`{"name":"viewer","password":%q}`, rightPassword)))
	r.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	g.server.Handler().ServeHTTP(rec, r)
	if c := rec.Result().Cookies()[0]; !c.Secure || c.Name != secureCookie {
		t.Errorf("over TLS: %+v", c)
	}
}

// What another page has a browser send changes nothing, whatever the browser tells of it.
func TestForgedRequests(t *testing.T) {
	g := newGuarded(t)
	c := g.signIn("admin")
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch} {
		for _, origin := range []string{"", "http://localhost", "http://evil.example", "null", "http://localhost.evil.example"} {
			for _, site := range []string{"", "same-origin", "same-site", "cross-site", "none"} {
				headers := []string{"Cookie", c.Name + "=" + c.Value}
				if origin != "" {
					headers = append(headers, "Origin", origin)
				}
				if site != "" {
					headers = append(headers, "Sec-Fetch-Site", site)
				}
				g.orders.given = nil
				w := g.ask(method, "/api/v1/machines/rover/commands", `{"name":"drive/halt"}`, headers...)
				own := origin == "http://localhost" && (site == "" || site == "same-origin" || site == "none") || origin == "" && site == "same-origin"
				if took := len(g.orders.given) == 1; took != (own && method == http.MethodPost) || took != (w.Code == http.StatusAccepted) {
					t.Errorf("%s, Origin %q, Sec-Fetch-Site %q: %d, taken %t", method, origin, site, w.Code, took)
				}
			}
		}
	}
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""} {
		g.orders.given = nil
		w := g.ask(http.MethodPost, "/api/v1/machines/rover/commands", `{"name":"drive/halt"}`, "Cookie", c.Name+"="+c.Value, "Sec-Fetch-Site", "same-origin", "Content-Type", kind)
		if w.Code != http.StatusUnsupportedMediaType || len(g.orders.given) > 0 {
			t.Errorf("a form (%s): %d", kind, w.Code)
		}
	}
}

func TestSignInThatFails(t *testing.T) {
	g := newGuarded(t)
	for what, c := range map[string]struct {
		body string
		code int
	}{
		"wrong password": {`{"name":"admin","password":"wrong"}`, http.StatusUnauthorized},
		"nobody":         {`{"name":"eve","password":"wrong"}`, http.StatusUnauthorized},
		"a used link":    {`{"link":"xyz"}`, http.StatusUnauthorized},
		"no JSON":        {`name=admin`, http.StatusBadRequest},
		"more":           {`{"name":"admin","password":"x","admin":true}`, http.StatusBadRequest},
		"large":          {`{"name":"` + strings.Repeat("x", 100<<10) + `"}`, http.StatusRequestEntityTooLarge},
	} {
		if w := g.ask(http.MethodPost, "/api/v1/session", c.body); w.Code != c.code || len(w.Result().Cookies()) > 0 {
			t.Errorf("%s: %d, %s", what, w.Code, w.Body)
		}
	}
	var w *httptest.ResponseRecorder
	for range 20 {
		w = g.ask(http.MethodPost, "/api/v1/session", `{"name":"admin","password":"wrong"}`)
	}
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	if err := os.WriteFile(g.accounts.Path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	g.gate.Reload()
	if w := g.ask(http.MethodPost, "/api/v1/session", `{"name":"admin","password":"wrong"}`); w.Code != http.StatusServiceUnavailable {
		t.Errorf("damaged accounts: %d, %s", w.Code, w.Body)
	}
}

// A stream ends when who watches is not let in any more.
func TestStreamsOfWhoHasToGo(t *testing.T) {
	g := newGuarded(t)
	h := httptest.NewServer(g.server.Handler())
	defer h.Close()
	open := func(name, value string) *bufio.Reader {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.URL+"/api/v1/live?device=rover", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(name, value)
		answer, err := http.DefaultClient.Do(r)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatal(answer, err)
		}
		t.Cleanup(func() { _ = answer.Body.Close() })
		lines := bufio.NewReader(answer.Body)
		if _, err := lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		return lines
	}
	c := g.signIn("viewer")
	byCookie, byToken := open("Cookie", c.Name+"="+c.Value), open("Authorization", "Bearer "+g.tokens[command.Viewer])
	if err := errors.Join(g.accounts.RemoveToken("of-viewer"), g.accounts.SetPassword("viewer", rightPassword+"2")); err != nil {
		t.Fatal(err)
	}
	g.gate.Reload()
	ended := make(chan error, 2)
	for _, lines := range []*bufio.Reader{byCookie, byToken} {
		go func() {
			for {
				if _, err := lines.ReadString('\n'); err != nil {
					ended <- err
					return
				}
			}
		}()
	}
	for range 2 {
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			t.Fatal("a stream goes on")
		}
	}
}

func TestBenchAndNobody(t *testing.T) {
	s, err := New(Options{Source: emptySource{}, Orders: new(someOrders), Insecure: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	g := &guarded{T: t, server: s}
	var who sessionJSON
	w := g.ask(http.MethodGet, "/api/v1/session", "")
	if err := json.Unmarshal(w.Body.Bytes(), &who); err != nil || who.Login || who.Role != command.Admin {
		t.Errorf("%s, %v", w.Body, err)
	}
	g = newGuarded(t)
	if err := os.Remove(g.accounts.Path); err != nil {
		t.Fatal(err)
	}
	g.gate.Reload()
	for _, w := range []*httptest.ResponseRecorder{g.ask(http.MethodGet, "/api/v1/session", ""), g.ask(http.MethodPost, "/api/v1/session", `{"name":"a","password":"b"}`)} {
		if !strings.Contains(w.Body.String(), "fulmar users add") {
			t.Errorf("without accounts: %d, %s", w.Code, w.Body)
		}
	}
}
