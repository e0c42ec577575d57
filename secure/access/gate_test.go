package access_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/secure/access"
)

const password = "correct horse battery"

var (
	home  = netip.MustParseAddr("192.0.2.1")
	cheap = access.Cost{MemoryKiB: 64, Passes: 1, Threads: 1}
)

// rig is a gate with a clock of its own.
type rig struct {
	*testing.T
	mu       sync.Mutex
	now      time.Time
	accounts access.Accounts
	gate     *access.Gate
	log      *bytes.Buffer
}

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

func newRig(t *testing.T) *rig {
	r := &rig{T: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), log: new(bytes.Buffer)}
	r.accounts = access.Accounts{Path: filepath.Join(t.TempDir(), access.FileName), Now: r.clock, Random: rand.Reader, Cost: cheap}
	if err := errors.Join(r.accounts.Add("ada", access.Operator, password), r.accounts.Add("bob", access.Admin, password+"2")); err != nil {
		t.Fatal(err)
	}
	r.open()
	return r
}

func (r *rig) open() {
	r.Helper()
	g, err := access.Open(access.Options{Accounts: r.accounts, Logger: slog.New(slog.NewTextHandler(r.log, nil))})
	if err != nil {
		r.Fatal(err)
	}
	r.gate = g
}

func (r *rig) signIn(name, pass string, from netip.Addr) (string, access.Grant, error) {
	return r.gate.SignIn(r.Context(), name, pass, from)
}

func (r *rig) ada() (string, access.Grant) {
	r.Helper()
	secret, grant, err := r.signIn("ada", password, home)
	if err != nil {
		r.Fatal(err)
	}
	return secret, grant
}

func over(g access.Grant) bool {
	select {
	case <-g.Done():
		return true
	default:
		return false
	}
}

func TestSignIn(t *testing.T) {
	r := newRig(t)
	secret, grant := r.ada()
	if grant.Name != "ada" || grant.Role != access.Operator || len(secret) < 40 {
		t.Errorf("%q, %+v", secret, grant)
	}
	if got, err := r.gate.Session(secret); err != nil || got.Name != "ada" {
		t.Errorf("%+v, %v", got, err)
	}
	if other, _ := r.ada(); other == secret {
		t.Error("two sessions have one secret")
	}
	for _, c := range [][2]string{{"ada", password + "2"}, {"eve", password}, {"ada", ""}, {"", ""}, {"ada", strings.Repeat("x", 2000)}, {password, "x"}} {
		before := r.gate.Hashed()
		if _, _, err := r.signIn(c[0], c[1], home); !errors.Is(err, access.ErrRefused) {
			t.Errorf("%q: %v", c, err)
		}
		if n := r.gate.Hashed() - before; n != 1 { // or the time it takes would tell who has an account
			t.Errorf("%q: %d hashes were computed", c, n)
		}
	}
	if log := r.log.String(); strings.Contains(log, password) || strings.Contains(log, secret) {
		t.Errorf("a secret is in the log:\n%s", log)
	}
	for _, s := range []string{"", "x", secret + "x", strings.Repeat("x", 1000)} {
		if _, err := r.gate.Session(s); !errors.Is(err, access.ErrNoGrant) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestNobodyYet(t *testing.T) {
	r := &rig{T: t, now: time.Now(), log: new(bytes.Buffer)}
	r.accounts = access.Accounts{Path: filepath.Join(t.TempDir(), access.FileName), Now: r.clock, Random: rand.Reader, Cost: cheap}
	r.open()
	if _, _, err := r.signIn("ada", password, home); !errors.Is(err, access.ErrNobody) || !r.gate.Empty() {
		t.Errorf("%v", err)
	}
}

// One address has a few attempts; it can neither guess for long nor keep the owner out.
func TestAttemptsFromOneAddress(t *testing.T) {
	r := newRig(t)
	r.ada() // home is known from here on
	guesses := func(from netip.Addr, name string, n int) (refused, waits int) {
		for range n {
			_, _, err := r.signIn(name, "wrong password", from)
			var wait *access.WaitError
			switch {
			case errors.Is(err, access.ErrRefused):
				refused++
			case errors.As(err, &wait) && wait.After > 0 && wait.After <= time.Minute:
				waits++
			default:
				t.Fatalf("%v", err)
			}
		}
		return refused, waits
	}
	evil := netip.MustParseAddr("198.51.100.7")
	if refused, waits := guesses(evil, "ada", 1000); refused > 10 || waits < 990 {
		t.Errorf("%d guesses, %d were to wait", refused, waits)
	}
	if _, _, err := r.signIn("bob", password+"2", netip.MustParseAddr("192.0.2.9")); err != nil {
		t.Errorf("another, from another address: %v", err)
	}
	r.ada()
	r.pass(time.Hour)
	refused := 0
	for range 3600 {
		n, _ := guesses(evil, "ada", 1)
		refused += n
		r.pass(time.Second)
	}
	if refused > 400 {
		t.Errorf("%d guesses in an hour", refused)
	}
	// Of IPv6 a network counts, whose owner has 2⁶⁴ addresses.
	refused = 0
	for i := range 200 {
		n, _ := guesses(netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i+1)), "bob", 1)
		refused += n
	}
	if refused > 10 {
		t.Errorf("%d guesses from one network", refused)
	}
}

// Many addresses share what an account allows; whoever has signed in from an address before still does.
func TestAttemptsFromManyAddresses(t *testing.T) {
	r := newRig(t)
	r.ada()
	refused := 0
	for i := range 2000 {
		_, _, err := r.signIn("ada", "wrong password", netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}))
		if errors.Is(err, access.ErrRefused) {
			refused++
		}
	}
	if refused > 60 {
		t.Errorf("%d guesses", refused)
	}
	r.ada()
	var wait *access.WaitError
	if _, _, err := r.signIn("ada", password, netip.MustParseAddr("203.0.113.1")); !errors.As(err, &wait) {
		t.Errorf("from a new address, under attack: %v", err)
	}
	r.pass(time.Minute)
	if _, _, err := r.signIn("ada", password, netip.MustParseAddr("203.0.113.1")); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}

// A session ends by itself, and at once when its account is another.
func TestSessionsEnd(t *testing.T) {
	r := newRig(t)
	for what, end := range map[string]func(secret string){
		"sign out":       func(s string) { r.gate.SignOut(s) },
		"idle":           func(string) { r.pass(access.SessionIdle) },
		"another role":   func(string) { mustDo(t, r.accounts.SetRole("ada", access.Viewer)); r.gate.Reload() },
		"another passwd": func(string) { mustDo(t, r.accounts.SetPassword("ada", password)); r.gate.Reload() },
		"removed":        func(string) { mustDo(t, r.accounts.Remove("ada")); r.gate.Reload() },
		"damaged file":   func(string) { mustDo(t, os.WriteFile(r.accounts.Path, []byte("{"), 0o600)); r.gate.Reload() },
		"removed, added": func(string) {
			mustDo(t, r.accounts.Remove("ada"), r.accounts.Add("ada", access.Operator, password))
			r.gate.Reload()
		},
		"after its week": func(s string) {
			for range 24 {
				r.pass(access.SessionIdle - time.Hour)
				_, _ = r.gate.Session(s)
			}
		},
	} {
		r = newRig(t)
		secret, grant := r.ada()
		other, _, err := r.signIn("bob", password+"2", home)
		mustDo(t, err)
		if over(grant) {
			t.Fatalf("%s: it is over before", what)
		}
		end(secret)
		_, err = r.gate.Session(secret)
		if !errors.Is(err, access.ErrNoGrant) || !over(grant) {
			t.Errorf("%s: %v, over %t", what, err, over(grant))
		}
		if _, err := r.gate.Session(other); err != nil && what != "idle" && what != "after its week" && what != "damaged file" {
			t.Errorf("%s: the other's: %v", what, err)
		}
	}
}

func mustDo(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func TestSessionsAreFew(t *testing.T) {
	r := newRig(t)
	_, first := r.ada()
	for range 40 {
		r.pass(2 * time.Second)
		r.ada()
	}
	if n := r.gate.Sessions(); n > 16 || !over(first) {
		t.Errorf("%d sessions; the first is over: %t", n, over(first))
	}
}

func TestTokens(t *testing.T) {
	r := newRig(t)
	secret, err := r.accounts.AddToken("ci", access.Viewer, r.now.Add(time.Hour))
	mustDo(t, err)
	r.gate.Reload()
	grant, err := r.gate.Token(secret)
	if err != nil || grant.Role != access.Viewer || grant.Name != "ci" || !strings.HasPrefix(secret, access.TokenPrefix) {
		t.Fatalf("%+v, %v", grant, err)
	}
	if b, err := os.ReadFile(r.accounts.Path); err != nil || bytes.Contains(b, []byte(secret)) || bytes.Contains(b, []byte(password)) {
		t.Errorf("a secret is in the file, %v", err)
	}
	if _, err := r.gate.Token(secret[:len(secret)-1]); !errors.Is(err, access.ErrNoGrant) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.gate.Run(ctx) // at its end it tells of the use
	book, err := r.accounts.Read()
	if err != nil || book.Tokens[0].Used == nil {
		t.Errorf("%+v, %v", book.Tokens, err)
	}
	mustDo(t, r.accounts.RemoveToken("ci"))
	r.gate.Reload()
	if _, err := r.gate.Token(secret); !errors.Is(err, access.ErrNoGrant) || !over(grant) {
		t.Errorf("removed: %v, over %t", err, over(grant))
	}
	secret, err = r.accounts.AddToken("ci", access.Viewer, r.now.Add(time.Hour))
	mustDo(t, err)
	r.gate.Reload()
	if _, err := r.gate.Token(secret); err != nil {
		t.Fatal(err)
	}
	r.pass(time.Hour)
	if _, err := r.gate.Token(secret); !errors.Is(err, access.ErrNoGrant) {
		t.Errorf("expired: %v", err)
	}
}

func TestLinks(t *testing.T) {
	r := newRig(t)
	secret, err := r.gate.NewLink("demo", access.Admin)
	mustDo(t, err)
	session, grant, err := r.gate.SignInByLink(secret)
	if err != nil || grant.Role != access.Admin {
		t.Fatalf("%+v, %v", grant, err)
	}
	if _, _, err := r.gate.SignInByLink(secret); !errors.Is(err, access.ErrRefused) {
		t.Errorf("a second time: %v", err)
	}
	r.gate.Reload()
	if _, err := r.gate.Session(session); err != nil {
		t.Errorf("%v", err)
	}
	late, err := r.gate.NewLink("demo", access.Admin)
	mustDo(t, err)
	r.pass(10 * time.Minute)
	if _, _, err := r.gate.SignInByLink(late); !errors.Is(err, access.ErrRefused) {
		t.Errorf("ten minutes later: %v", err)
	}
}

// A file that cannot be read lets nobody in, and says so once; when it can be again, everything goes on.
func TestDamagedFile(t *testing.T) {
	r := newRig(t)
	good, err := os.ReadFile(r.accounts.Path)
	mustDo(t, err)
	for what, b := range map[string][]byte{
		"cut":          good[:len(good)/2],
		"empty":        {},
		"a later form": bytes.Replace(good, []byte(`"version": 1`), []byte(`"version": 2`), 1),
		"another role": bytes.Replace(good, []byte(`"operator"`), []byte(`"root"`), 1),
		"an addition":  bytes.Replace(good, []byte(`"version": 1`), []byte(`"version": 1, "open": true`), 1),
		"two of them":  append(bytes.Clone(good), good...),
	} {
		mustDo(t, os.WriteFile(r.accounts.Path, b, 0o600))
		r.gate.Reload()
		var damaged *access.DamagedError
		if _, _, err := r.signIn("ada", password, home); !errors.As(err, &damaged) || r.gate.Damage() == nil || r.gate.Empty() {
			t.Errorf("%s: %v", what, err)
		}
		if err := r.accounts.Add("eve", access.Admin, password); !errors.As(err, &damaged) {
			t.Errorf("%s: add: %v", what, err)
		}
	}
	if runtime.GOOS != "windows" {
		mustDo(t, os.WriteFile(r.accounts.Path, good, 0o600), os.Chmod(r.accounts.Path, 0o644))
		r.gate.Reload()
		if err := r.gate.Damage(); err == nil || !strings.Contains(err.Error(), "0644") {
			t.Errorf("readable for others: %v", err)
		}
	}
	mustDo(t, os.Chmod(r.accounts.Path, 0o600), os.WriteFile(r.accounts.Path, good, 0o600))
	r.gate.Reload()
	r.ada()
}

// A hash of weaker parameters is renewed when its password comes by.
func TestHashesAreRenewed(t *testing.T) {
	r := newRig(t)
	r.accounts.Cost = access.Cost{MemoryKiB: 128, Passes: 2, Threads: 1}
	r.open()
	_, grant := r.ada()
	book, err := r.accounts.Read()
	mustDo(t, err)
	if !strings.Contains(book.Accounts[0].Password, "m=128,t=2") || over(grant) {
		t.Errorf("%s, over %t", book.Accounts[0].Password, over(grant))
	}
	r.ada()
}

// A change by another process counts within a second.
func TestAnotherProcess(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan struct{})
	go func() { defer close(ran); r.gate.Run(ctx) }()
	_, grant := r.ada()
	mustDo(t, r.accounts.SetRole("ada", access.Viewer))
	begun := time.Now()
	select {
	case <-grant.Done():
		if d := time.Since(begun); d > 5*time.Second {
			t.Errorf("it took %s", d)
		}
	case <-time.After(20 * time.Second):
		t.Error("the session goes on")
	}
	cancel()
	<-ran
}

func TestAccounts(t *testing.T) {
	r := newRig(t)
	for what, err := range map[string]error{
		"twice":     r.accounts.Add("ada", access.Viewer, password),
		"short":     r.accounts.Add("eve", access.Viewer, "too short"),
		"name":      r.accounts.Add("E ve", access.Viewer, password),
		"nobody":    r.accounts.SetRole("eve", access.Viewer),
		"role":      r.accounts.Add("eve", "root", password),
		"not there": r.accounts.RemoveToken("ci"),
	} {
		if err == nil || strings.Contains(err.Error(), password) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if info, err := os.Stat(r.accounts.Path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func FuzzParseBook(f *testing.F) {
	f.Add([]byte(`{"version":1,"accounts":[{"name":"ada","role":"viewer","password":"$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","epoch":"x","created":"2026-01-01T00:00:00Z","changed":"2026-01-01T00:00:00Z"}],"tokens":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		book, err := access.ParseBook(b)
		if err != nil {
			return
		}
		again, err := json.Marshal(book)
		if err == nil {
			_, err = access.ParseBook(again)
		}
		if err != nil {
			t.Errorf("%s: %v", b, err)
		}
	})
}
