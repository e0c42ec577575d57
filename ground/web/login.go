package web

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/secure/access"
	"github.com/fulmar-io/fulmar/secure/admission"
)

// person is who a request is from, and what that one may do.
type person struct {
	name   string
	role   command.Role
	done   <-chan struct{} // closed when that is true no more; nil for never
	cookie string          // the session's secret, where it came in a cookie
}

type personKey struct{}

// atBench is who a request is from where nobody logs in.
var atBench = person{name: "anybody at the bench", role: command.Admin}

// personOf returns who a request is from.
func personOf(r *http.Request) (person, bool) {
	p, ok := r.Context().Value(personKey{}).(person)
	return p, ok
}

// Names of the cookie with a session's secret. The first one a browser takes over TLS alone, and only for this host.
const secureCookie, plainCookie = "__Host-fulmar", "fulmar"

func cookieName(r *http.Request) string {
	if r.TLS != nil {
		return secureCookie
	}
	return plainCookie
}

// identify returns the request with who it is from, if that is known.
func (s *Server) identify(r *http.Request) *http.Request {
	p := atBench
	if g := s.o.Access; g != nil {
		var grant access.Grant
		var secret string
		err := access.ErrNoGrant
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			grant, err = g.Token(token)
		} else if c, cerr := r.Cookie(cookieName(r)); cerr == nil {
			secret = c.Value
			grant, err = g.Session(secret)
		}
		if err != nil {
			return r
		}
		p = person{name: grant.Name, role: grant.Role, done: grant.Done(), cookie: secret}
	}
	admission.Known(r.Context())
	return r.WithContext(context.WithValue(r.Context(), personKey{}, p))
}

// permit says why a request may not have what a route gives; nil if it may. What a browser sends along by itself counts for reading alone, unless
// it says that a page of this ground asks.
func (s *Server) permit(rt route, w http.ResponseWriter, r *http.Request) error {
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	site := r.Header.Get("Sec-Fetch-Site")
	if !reads && site != "" && site != "same-origin" && site != "none" {
		return newProblem(http.StatusForbidden, "requests from pages of another origin are refused")
	}
	if rt.open {
		return nil
	}
	p, ok := personOf(r)
	if !ok {
		w.Header().Set("WWW-Authenticate", "Bearer")
		bad := newProblem(http.StatusUnauthorized, "this ground is for who has signed in")
		if s.o.Access.Empty() {
			bad.Detail, bad.Hint = "this ground has no accounts yet", noAccounts
		}
		return bad
	}
	if !reads && p.cookie != "" && site != "same-origin" && r.Header.Get("Origin") == "" {
		return newProblem(http.StatusForbidden, "with a session's cookie, changes are taken from a page of this ground alone: a program has a token")
	}
	need := rt.role
	if need == "" {
		need = command.Viewer
	}
	if !p.role.Allows(need) {
		return newProblem(http.StatusForbidden, "it needs the role %s, and %s has the role %s", need, p.name, p.role)
	}
	return nil
}

const noAccounts = "make one where the ground runs: fulmar users add NAME --role admin --data FOLDER"

// whilePermitted ends a request's context when its person is not let in any more.
func whilePermitted(r *http.Request) (*http.Request, context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.Context())
	if p, ok := personOf(r); ok && p.done != nil {
		go func() {
			select {
			case <-p.done:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	return r.WithContext(ctx), cancel
}

// sessionJSON is who has signed in.
type sessionJSON struct {
	Name  string       `json:"name"`
	Role  command.Role `json:"role"`
	Login bool         `json:"login"` // whether one signs in here at all
}

func (s *Server) getSession(w http.ResponseWriter, r *http.Request, _ *query) error {
	p, _ := personOf(r)
	return writeJSON(w, r, sessionJSON{Name: p.name, Role: p.role, Login: s.o.Access != nil})
}

// signInRequest has a name and a password, or a link's secret.
type signInRequest struct {
	Name     string `json:"name"`
	Password string `json:"password"`
	Link     string `json:"link"`
}

func (s *Server) postSession(w http.ResponseWriter, r *http.Request, _ *query) error {
	g := s.o.Access
	if g == nil {
		return newProblem(http.StatusNotImplemented, "nobody signs in here: this ground is for the bench")
	}
	var body signInRequest
	if err := readBody(w, r, &body); err != nil {
		return err
	}
	var secret string
	var grant access.Grant
	var err error
	if body.Link != "" {
		secret, grant, err = g.SignInByLink(body.Link)
	} else {
		secret, grant, err = g.SignIn(r.Context(), body.Name, body.Password, addressOf(r))
	}
	if err != nil {
		return notSignedIn(w, err, body.Link != "")
	}
	if c, err := r.Cookie(cookieName(r)); err == nil {
		g.SignOut(c.Value) // one of before
	}
	s.setCookie(w, r, secret, int(access.SessionLife.Seconds()))
	return writeJSON(w, r, sessionJSON{Name: grant.Name, Role: grant.Role, Login: true})
}

func (s *Server) setCookie(w http.ResponseWriter, r *http.Request, secret string, age int) {
	http.SetCookie(w, &http.Cookie{Name: cookieName(r), Value: secret, Path: "/", MaxAge: age, HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode})
}

// notSignedIn is why somebody was not let in, for that one.
func notSignedIn(w http.ResponseWriter, err error, link bool) error {
	var wait *access.WaitError
	var damaged *access.DamagedError
	switch {
	case errors.As(err, &wait):
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.After.Seconds()))))
		return newProblem(http.StatusTooManyRequests, "%v", wait)
	case errors.Is(err, access.ErrNobody):
		p := newProblem(http.StatusForbidden, "this ground has no accounts yet")
		p.Hint = noAccounts
		return p
	case errors.As(err, &damaged):
		p := newProblem(http.StatusServiceUnavailable, "the ground's accounts cannot be read: nobody is let in")
		p.Hint = "the ground's log says why"
		return p
	case errors.Is(err, access.ErrBusy):
		return newProblem(http.StatusServiceUnavailable, "%v", err)
	case errors.Is(err, access.ErrRefused) && link:
		return newProblem(http.StatusUnauthorized, "the link has been used, or has expired")
	case errors.Is(err, access.ErrRefused):
		return newProblem(http.StatusUnauthorized, "%v", err)
	}
	return err
}

func (s *Server) deleteSession(w http.ResponseWriter, r *http.Request, _ *query) error {
	if p, ok := personOf(r); ok && p.cookie != "" {
		s.o.Access.SignOut(p.cookie)
	}
	s.setCookie(w, r, "", -1)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// addressOf is where a request comes from, as the connection says. What a header says of it anybody may write.
func addressOf(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr()
}
