package seal

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/internal/extent"
	"github.com/fulmar-io/fulmar/secure/identity/identitytest"
)

// pair is what must never come twice: under one key, a counter is one nonce.
type pair struct {
	key     [keySize]byte
	counter uint64
}

// used are the pairs that were sealed with, by whoever sealed.
type used struct {
	t     *testing.T
	pairs map[pair]bool
}

// sealed notes what a sealer has just sealed, as it stands in the message.
func (u *used) sealed(what string, key, message []byte, header int) {
	u.t.Helper()
	p := pair{key: [keySize]byte(key)}
	for _, b := range message[header-8 : header] {
		p.counter = p.counter<<8 | uint64(b)
	}
	if u.pairs[p] {
		u.t.Fatalf("%s: counter %d comes twice under one key", what, p.counter)
	}
	u.pairs[p] = true
}

// Whatever is started again, a machine's process, the ground's, or the connection between them, and however much each of them
// says in its life: no key is used with a counter that it was used with before.
func TestNoKeyAndCounterComeTwice(t *testing.T) {
	first, end := extent.Of(t, 200)
	f := identitytest.New(t)
	keys, ground := f.Device("rover"), f.Ground()
	u := &used{t: t, pairs: make(map[pair]bool)}
	var s *Session
	var g *Sessions
	var kept [][]byte
	for restart := first; restart < end; restart++ {
		rng := rand.New(rand.NewPCG(restart, 5))
		var err error
		if s == nil || rng.IntN(3) != 0 {
			if s, err = Begin(keys, time.Unix(0, 0)); err != nil { // at the same time as ever: the clock is not what makes it new
				t.Fatal(err)
			}
			kept = append(kept[max(0, len(kept)-DefaultSessions):], s.Opening())
		}
		if g == nil || rng.IntN(3) != 0 {
			if g, err = NewSessions(ground, 0); err != nil {
				t.Fatal(err)
			}
			for _, opening := range kept[:len(kept)-1] {
				if err := g.Restore(opening); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range 1 + rng.IntN(3) { // connections
			if _, err := g.Accept("rover", s.Opening()); err != nil {
				t.Fatal(err)
			}
			talk(t, u, s, g, []int{0, 1, 10, 1500}[rng.IntN(4)])
		}
	}
	extent.Covered(t, end-first, "restarts")
	t.Logf("%d pairs of a key and a counter", len(u.pairs))
}

// talk has both ends say n things each.
func talk(t *testing.T, u *used, s *Session, g *Sessions, n int) {
	t.Helper()
	for range n {
		up, err := s.Seal(nil, []byte("a frame"))
		if err != nil {
			t.Fatal(err)
		}
		u.sealed("up", s.secrets.up, up, upHeader)
		if _, fresh, err := g.Open("rover", up); err != nil || !fresh {
			t.Fatalf("fresh %t, %v", fresh, err)
		}
		down, err := g.Seal(nil, "rover", []byte("an acknowledgement"))
		if err != nil {
			t.Fatal(err)
		}
		key, err := s.secrets.downKey(ID(down[2+idSize:]))
		if err != nil {
			t.Fatal(err)
		}
		u.sealed("down", key, down, downHeader)
		if _, _, err := s.Open(down); err != nil {
			t.Fatal(err)
		}
	}
}
