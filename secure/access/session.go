package access

import (
	"time"
)

// How long a session lasts.
const (
	SessionIdle = 12 * time.Hour     // without a request
	SessionLife = 7 * 24 * time.Hour // in all
	linkLife    = 10 * time.Minute

	maxSessions     = 1024
	maxPerAccount   = 16
	maxLinks        = 64
	sessionSecrets  = 2 * secretBytes // more than a secret is long in text
	sessionInterval = time.Second     // how precisely its last use is known
)

// session is somebody who has signed in.
type session struct {
	name    string
	role    Role
	epoch   string // of the account
	account bool   // it is one's; otherwise it came by a link
	begun   time.Time
	used    time.Time
	done    chan struct{}
}

// holds reports whether the accounts still let it in.
func (s *session) holds(b *Book) bool {
	if b == nil {
		return false
	}
	a := b.account(s.name)
	return a != nil && a.Epoch == s.epoch && a.Role == s.role
}

func (s *session) grant() Grant { return Grant{Name: s.name, Role: s.role, done: s.done} }

func (s *session) expired(now time.Time) bool {
	return now.Sub(s.begun) >= SessionLife || now.Sub(s.used) >= SessionIdle
}

// begin begins a session; those that were used least recently go where there are too many. Locked.
func (g *Gate) begin(s *session) (secret string, grant Grant, err error) {
	if secret, err = randomText(g.o.Accounts.Random, secretBytes); err != nil {
		return "", Grant{}, err
	}
	now := g.o.Accounts.Now()
	s.begun, s.used, s.done = now, now, make(chan struct{})
	g.makeRoom(func(o *session) bool { return o.account == s.account && o.name == s.name }, maxPerAccount)
	g.makeRoom(func(*session) bool { return true }, maxSessions)
	g.sessions[hashSecret(secret)] = s
	return secret, s.grant(), nil
}

// makeRoom ends the sessions that were used least recently, of some, until there are fewer than most.
func (g *Gate) makeRoom(of func(*session) bool, most int) {
	for {
		n := 0
		var oldest digest
		var at time.Time
		for id, s := range g.sessions {
			if !of(s) {
				continue
			}
			if n++; n == 1 || s.used.Before(at) {
				oldest, at = id, s.used
			}
		}
		if n < most {
			return
		}
		g.end(oldest)
	}
}

// end ends a session. Locked.
func (g *Gate) end(id digest) {
	if s := g.sessions[id]; s != nil {
		close(s.done)
		delete(g.sessions, id)
	}
}

// Session returns whose session a secret is of. Its error is ErrNoGrant.
func (g *Gate) Session(secret string) (Grant, error) {
	if secret == "" || len(secret) > sessionSecrets {
		return Grant{}, ErrNoGrant
	}
	id := hashSecret(secret)
	g.mu.Lock()
	defer g.mu.Unlock()
	s, now := g.sessions[id], g.o.Accounts.Now()
	if s == nil {
		return Grant{}, ErrNoGrant
	}
	if s.expired(now) {
		g.end(id)
		return Grant{}, ErrNoGrant
	}
	if now.Sub(s.used) >= sessionInterval {
		s.used = now
	}
	return s.grant(), nil
}

// SignOut ends a session.
func (g *Gate) SignOut(secret string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.end(hashSecret(secret))
}

// Sessions returns how many there are.
func (g *Gate) Sessions() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.sessions)
}

// signInLink lets in whoever has its secret, once.
type signInLink struct {
	name  string
	role  Role
	until time.Time
}

// NewLink returns a secret that lets somebody in once, within ten minutes, without an account: for who has started the ground.
func (g *Gate) NewLink(name string, role Role) (string, error) {
	secret, err := randomText(g.o.Accounts.Random, secretBytes)
	if err != nil {
		return "", err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.links) >= maxLinks {
		clear(g.links)
	}
	g.links[hashSecret(secret)] = signInLink{name: name, role: role, until: g.o.Accounts.Now().Add(linkLife)}
	return secret, nil
}

// SignInByLink lets in who has a link's secret. Its error is ErrRefused.
func (g *Gate) SignInByLink(secret string) (session string, grant Grant, err error) {
	if len(secret) > sessionSecrets {
		return "", Grant{}, ErrRefused
	}
	id := hashSecret(secret)
	g.mu.Lock()
	defer g.mu.Unlock()
	l, ok := g.links[id]
	delete(g.links, id)
	if !ok || !g.o.Accounts.Now().Before(l.until) {
		return "", Grant{}, ErrRefused
	}
	return g.begin(l.session())
}

func (l signInLink) session() *session { return &session{name: l.name, role: l.role} }

// sweep ends what has expired, and reports whether something is to be told of tokens.
func (g *Gate) sweep() (uses bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.o.Accounts.Now()
	for id, s := range g.sessions {
		if s.expired(now) {
			g.end(id)
		}
	}
	for id, l := range g.links {
		if !now.Before(l.until) {
			delete(g.links, id)
		}
	}
	for id, u := range g.tokens {
		if t := g.book.token(id); t == nil || t.Expired(now) {
			close(u.done)
			delete(g.tokens, id)
			continue
		}
		uses = uses || !u.at.IsZero()
	}
	return uses
}
