package access

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/fulmar-io/fulmar/secure/admission"
)

// Why somebody is not let in.
var (
	ErrRefused  = errors.New("the name or the password is wrong") // or the link has been used or has expired
	ErrBusy     = errors.New("too many are signing in at this moment")
	ErrNobody   = errors.New("there are no accounts yet")
	ErrNoGrant  = errors.New("not signed in") // no such session or token, or not any more
	errNotBegun = errors.New("access: no path of accounts, clock or randomness")
)

// WaitError says that there were too many attempts, and when the next may be made.
type WaitError struct{ After time.Duration }

// Error implements error.
func (e *WaitError) Error() string {
	return fmt.Sprintf("too many attempts: the next may be made in %s", e.After.Round(time.Second))
}

// Options of a Gate.
type Options struct {
	Accounts Accounts // Path, Now and Random are needed
	Logger   *slog.Logger
	// Hashes is how many passwords are computed at once. Default 2.
	Hashes int
	// HashWait is how long an attempt may wait for its turn. Default 5 s.
	HashWait time.Duration
}

// Grant is somebody who was let in.
type Grant struct {
	Name string
	Role Role
	done <-chan struct{}
}

// Done is closed when the grant counts no more.
func (g Grant) Done() <-chan struct{} { return g.done }

// Gate lets people and programs in. Its methods may be called from any goroutine.
type Gate struct {
	o      Options
	hasher hasher
	dummy  phc // what the password of an unknown name is compared with

	mu        sync.Mutex // guards what is below
	book      *Book      // nil while the file cannot be read
	damage    error
	stamp     stamp
	sessions  map[digest]*session
	tokens    map[digest]*used
	links     map[digest]signInLink
	addresses *limiter
	names     *limiter
	known     map[string][]string // addresses from which an account has signed in
}

// used is a token in use.
type used struct {
	done chan struct{}
	at   time.Time // last use; zero if that is in the file
}

// stamp is how a change of the file is noticed.
type stamp struct {
	mod  time.Time
	size int64
}

// Open reads the accounts. A file that cannot be read is no error: nobody is let in until it can; Damage says so.
func Open(o Options) (*Gate, error) {
	if o.Accounts.Path == "" || o.Accounts.Now == nil || o.Accounts.Random == nil {
		return nil, errNotBegun
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	g := &Gate{o: o, hasher: hasher{slots: make(chan struct{}, cmp.Or(o.Hashes, 2)), wait: cmp.Or(o.HashWait, 5*time.Second)},
		sessions: make(map[digest]*session), tokens: make(map[digest]*used), links: make(map[digest]signInLink), known: make(map[string][]string)}
	key := make([]byte, 32)
	if _, err := io.ReadFull(o.Accounts.Random, key); err != nil {
		return nil, fmt.Errorf("access: %w", err)
	}
	g.addresses, g.names = newLimiter(key, addressBurst, addressRecover), newLimiter(key, accountBurst, accountRecover)
	g.dummy = phc{cost: g.cost(), salt: make([]byte, saltBytes), tag: make([]byte, tagBytes)}
	g.Reload()
	return g, nil
}

func (g *Gate) cost() Cost {
	if g.o.Accounts.Cost == (Cost{}) {
		return DefaultCost
	}
	return g.o.Accounts.Cost
}

// Damage says why nobody is let in by the accounts' file; nil if it can be read.
func (g *Gate) Damage() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.damage
}

// Empty reports whether there are neither accounts nor tokens.
func (g *Gate) Empty() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.book != nil && len(g.book.Accounts)+len(g.book.Tokens) == 0
}

// pollPeriod is how often Run looks whether the file is another.
const pollPeriod = 500 * time.Millisecond

// Run watches the file and forgets what has expired, until ctx ends.
func (g *Gate) Run(ctx context.Context) {
	tick := time.NewTicker(pollPeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			g.tellUse()
			return
		case <-tick.C:
		}
		if g.changed() {
			g.Reload()
		}
		if g.sweep() {
			g.tellUse()
		}
	}
}

func (g *Gate) changed() bool {
	info, err := os.Stat(g.o.Accounts.Path)
	now := stamp{}
	if err == nil {
		now = stamp{mod: info.ModTime(), size: info.Size()}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return now != g.stamp || err != nil && !errors.Is(err, fs.ErrNotExist)
}

// Reload reads the file, and ends what it lets in no more.
func (g *Gate) Reload() {
	now := stamp{}
	if info, err := os.Stat(g.o.Accounts.Path); err == nil { // before it is read: a change meanwhile is seen next time
		now = stamp{mod: info.ModTime(), size: info.Size()}
	}
	book, err := g.o.Accounts.Read()
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil && (g.damage == nil || g.damage.Error() != err.Error()) {
		g.o.Logger.Error("nobody is let in: the accounts cannot be read", "error", err)
	}
	if err == nil && g.damage != nil {
		g.o.Logger.Info("the accounts can be read again")
	}
	g.stamp, g.book, g.damage = now, book, err
	for id, s := range g.sessions {
		if s.account && !s.holds(book) {
			g.end(id)
		}
	}
	for id, u := range g.tokens {
		if t := book.token(id); t == nil || t.Expired(g.o.Accounts.Now()) {
			close(u.done)
			delete(g.tokens, id)
		}
	}
}

// token returns the token with a secret's hash; nil if there is none.
func (b *Book) token(id digest) *Token {
	if b == nil {
		return nil
	}
	h := id.hex()
	for i := range b.Tokens {
		if b.Tokens[i].Hash == h { // of a secret that nobody can choose: how long it takes says nothing
			return &b.Tokens[i]
		}
	}
	return nil
}

// Token lets a program in. Its error is ErrNoGrant.
func (g *Gate) Token(secret string) (Grant, error) {
	if !strings.HasPrefix(secret, TokenPrefix) || len(secret) > 128 {
		return Grant{}, ErrNoGrant
	}
	id := hashSecret(secret)
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.book.token(id)
	now := g.o.Accounts.Now()
	if t == nil || t.Expired(now) {
		return Grant{}, ErrNoGrant
	}
	u := g.tokens[id]
	if u == nil {
		u = &used{done: make(chan struct{})}
		g.tokens[id] = u
	}
	if t.Used == nil || now.Sub(*t.Used) >= usePrecision {
		u.at = now
	}
	return Grant{Name: t.Name, Role: t.Role, done: u.done}, nil
}

// usePrecision is how precisely the file tells when a token was used last.
const usePrecision = 10 * time.Minute

// tellUse writes into the file when tokens were used.
func (g *Gate) tellUse() {
	g.mu.Lock()
	uses := make(map[digest]time.Time)
	for id, u := range g.tokens {
		if !u.at.IsZero() {
			uses[id], u.at = u.at, time.Time{}
		}
	}
	g.mu.Unlock()
	if len(uses) == 0 {
		return
	}
	err := g.o.Accounts.change(func(b *Book) error {
		for id, at := range uses {
			if t := b.token(id); t != nil {
				at = at.UTC()
				t.Used = &at
			}
		}
		return nil
	})
	if err != nil {
		g.o.Logger.Warn("when tokens were used last cannot be written", "error", err)
	}
	g.Reload()
}

// SignIn lets a person in, who comes from an address, and returns the secret of the session. Its error is ErrRefused, ErrBusy, ErrNobody, a
// *WaitError or a *DamagedError.
func (g *Gate) SignIn(ctx context.Context, name, password string, from netip.Addr) (secret string, grant Grant, err error) {
	address := admission.Network(from).String()
	g.mu.Lock()
	book, damage := g.book, g.damage
	switch {
	case damage != nil:
		g.mu.Unlock()
		return "", Grant{}, damage
	case len(book.Accounts) == 0:
		g.mu.Unlock()
		return "", Grant{}, ErrNobody
	}
	wait, refund := g.attempt(name, address, g.o.Accounts.Now())
	g.mu.Unlock()
	if wait > 0 {
		return "", Grant{}, &WaitError{After: wait}
	}
	account := book.account(name)
	hash := g.dummy
	if account != nil {
		if hash, err = parsePHC(account.Password); err != nil {
			return "", Grant{}, err // not reached: the file was checked
		}
	}
	if len(password) > MaxPasswordBytes {
		password, account = "", nil
	}
	right := false
	if err := g.hasher.do(ctx, func() { right = hash.matches(password) }); err != nil {
		return "", Grant{}, err
	}
	if account == nil || !right {
		g.o.Logger.Warn("somebody was not let in", "name", printable(name), "from", from.String())
		return "", Grant{}, ErrRefused
	}
	if hash.cost.weakerThan(g.cost()) {
		g.strengthen(ctx, *account, password)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := g.book.account(name); now == nil || now.Epoch != account.Epoch { // it was changed meanwhile
		return "", Grant{}, ErrRefused
	}
	refund()
	g.remember(name, address)
	g.o.Logger.Info("signed in", "name", name, "role", string(account.Role), "from", from.String())
	return g.begin(&session{name: name, role: account.Role, epoch: account.Epoch, account: true})
}

func printable(name string) string {
	if ValidateName(name) != nil {
		return "(no name)" // it may be a password in the wrong field
	}
	return name
}

// strengthen hashes a password that is right anew. That it fails costs nothing: it is tried again at the next login.
func (g *Gate) strengthen(ctx context.Context, a Account, password string) {
	var p phc
	err := errors.Join(g.hasher.do(ctx, func() {
		h, err := hashPassword(g.o.Accounts.Random, g.cost(), password)
		if err == nil {
			p = h
		}
	}))
	if err != nil || p.tag == nil {
		return
	}
	err = g.o.Accounts.change(func(b *Book) error {
		if now := b.account(a.Name); now != nil && bytes.Equal([]byte(now.Password), []byte(a.Password)) {
			now.Password = p.String()
		}
		return nil
	})
	if err != nil {
		g.o.Logger.Warn("a password's hash cannot be renewed", "name", a.Name, "error", err)
		return
	}
	g.Reload()
}
