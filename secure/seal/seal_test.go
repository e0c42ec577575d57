package seal_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/secure/identity"
	"github.com/fulmar-io/fulmar/secure/identity/identitytest"
	"github.com/fulmar-io/fulmar/secure/seal"
)

func sessions(t testing.TB, k *identity.Keyring) *seal.Sessions {
	t.Helper()
	s, err := seal.NewSessions(k, 0)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func begin(t testing.TB, k *identity.Keyring) *seal.Session {
	s, err := seal.Begin(k, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sealed(t testing.TB, s *seal.Session, content string) []byte {
	b, err := s.Seal(nil, []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// accept has the ground know a session.
func accept(t testing.TB, g *seal.Sessions, device string, s *seal.Session) {
	t.Helper()
	if isNew, err := g.Accept(device, s.Opening()); err != nil || !isNew {
		t.Fatalf("new %t, %v", isNew, err)
	}
}

// What one end seals the other opens, up and down, once as new.
func TestThereAndBack(t *testing.T) {
	f := identitytest.New(t)
	rover := f.Device("rover")
	ground := f.Ground()
	s, g := begin(t, rover), sessions(t, ground)
	m := sealed(t, s, "a frame")
	if _, _, err := g.Open("rover", m); !errors.Is(err, seal.ErrUnknown) || !s.IsUnknown(seal.UnknownReply(m)) {
		t.Errorf("before its opening: %v", err)
	}
	if _, err := g.Seal(nil, "rover", nil); !errors.Is(err, seal.ErrNoSession) {
		t.Errorf("before its opening: %v", err)
	}
	accept(t, g, "rover", s)
	if isNew, err := g.Accept("rover", s.Opening()); isNew || err != nil {
		t.Errorf("opened twice: %t, %v", isNew, err)
	}
	for i, want := range []bool{true, false} {
		content, fresh, err := g.Open("rover", m)
		if err != nil || string(content) != "a frame" || fresh != want {
			t.Errorf("time %d: %q, %t, %v", i, content, fresh, err)
		}
	}
	down, err := g.Seal(nil, "rover", []byte("an acknowledgement"))
	if err != nil {
		t.Fatal(err)
	}
	if b, earlier, err := s.Open(down); err != nil || earlier || string(b) != "an acknowledgement" {
		t.Errorf("%q, %v", b, err)
	}
	if _, _, err := s.Open(down); !errors.Is(err, seal.ErrReplayed) {
		t.Errorf("again: %v", err)
	}
	if n := len(down) - len("an acknowledgement"); n != seal.Overhead {
		t.Errorf("overhead of %d", n)
	}
}

// No bit of anything can be another, and nothing can be shortened.
func TestForgeries(t *testing.T) {
	f := identitytest.New(t)
	rover := f.Device("rover")
	ground := f.Ground()
	s, g := begin(t, rover), sessions(t, ground)
	accept(t, g, "rover", s)
	up := sealed(t, s, "a frame")
	down, err := g.Seal(nil, "rover", []byte("an acknowledgement"))
	if err != nil {
		t.Fatal(err)
	}
	taken := 0
	forge := func(m []byte, try func([]byte) error) {
		for i := range len(m) * 8 {
			b := bytes.Clone(m)
			b[i/8] ^= 1 << (i % 8)
			if try(b) == nil {
				taken++
				t.Errorf("bit %d of %d is another, and it is taken", i, len(m)*8)
			}
		}
		for n := range m {
			if try(m[:n]) == nil {
				taken++
				t.Errorf("%d bytes of %d are taken", n, len(m))
			}
		}
	}
	forge(up, func(b []byte) error { _, _, err := g.Open("rover", b); return err })
	forge(down, func(b []byte) error { _, _, err := s.Open(b); return err })
	forge(begin(t, rover).Opening(), func(b []byte) error { _, err := g.Accept("rover", b); return err })
	if _, _, err := g.Open("rover", up); err != nil {
		t.Errorf("the true one: %v", err)
	}
	t.Logf("%d of %d forgeries taken", taken, 9*(len(up)+len(down)+len(s.Opening())))
}

// Who has an identity is not thereby another, and a ground is only who has the key.
func TestImpostors(t *testing.T) {
	f, other := identitytest.New(t), identitytest.New(t)
	rover := f.Device("rover")
	boat := f.Device("boat")
	ground := f.Ground()
	stranger := other.Device("rover")
	g := sessions(t, ground)
	if _, err := g.Accept("rover", begin(t, boat).Opening()); !errors.Is(err, seal.ErrForeign) {
		t.Errorf("the boat over the rover's link: %v", err)
	}
	if _, err := g.Accept("rover", begin(t, stranger).Opening()); !errors.Is(err, identity.ErrUntrusted) {
		t.Errorf("of another authority: %v", err)
	}
	if _, err := g.Accept("ground", begin(t, ground).Opening()); !errors.Is(err, identity.ErrRole) {
		t.Errorf("a ground that sends frames: %v", err)
	}
	s, of := begin(t, rover), begin(t, boat)
	accept(t, g, "rover", s)
	accept(t, g, "boat", of)
	if _, _, err := g.Open("boat", sealed(t, s, "x")); !errors.Is(err, seal.ErrForeign) {
		t.Errorf("the rover's frame over the boat's link: %v", err)
	}
	if _, err := g.Accept("boat", s.Opening()); !errors.Is(err, seal.ErrForeign) {
		t.Errorf("the rover's opening over the boat's link: %v", err)
	}
	toBoat, err := g.Seal(nil, "boat", []byte("forget it"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Open(toBoat); !errors.Is(err, seal.ErrUnknown) {
		t.Errorf("what is for the boat: %v", err)
	}
	copy(toBoat[2:], s.Opening()) // as if it were for the rover's session
	id := s.ID()
	copy(toBoat[2:], id[:])
	if _, _, err := s.Open(toBoat); !errors.Is(err, seal.ErrForged) {
		t.Errorf("what is for the boat, renamed: %v", err)
	}
	// A broker that knows the opening cannot answer for the ground.
	broker := f.Identity(identity.Broker, "broker")
	if _, err := sessions(t, broker).Accept("rover", s.Opening()); !errors.Is(err, seal.ErrKey) {
		t.Errorf("a broker opens a session: %v", err)
	}
}

// A device that was revoked is refused in the sessions that it has, at once.
func TestRevokedWithinASession(t *testing.T) {
	f := identitytest.New(t)
	rover := f.Device("rover")
	ground := f.Ground()
	s, g := begin(t, rover), sessions(t, ground)
	accept(t, g, "rover", s)
	f.Revoke("rover", ground)
	if _, _, err := g.Open("rover", sealed(t, s, "x")); !errors.Is(err, identity.ErrRevoked) {
		t.Errorf("a frame: %v", err)
	}
	if _, err := g.Seal(nil, "rover", nil); !errors.Is(err, identity.ErrRevoked) {
		t.Errorf("an answer: %v", err)
	}
	if _, err := g.Accept("rover", begin(t, rover).Opening()); !errors.Is(err, identity.ErrRevoked) {
		t.Errorf("another session: %v", err)
	}
	if err := sessions(t, ground).Restore(s.Opening()); !errors.Is(err, identity.ErrRevoked) {
		t.Errorf("after a start of the ground: %v", err)
	}
}

// After a start of either end, what was sealed before can be opened, each under a key of its own: no key and counter come twice.
func TestStartsOfEitherEnd(t *testing.T) {
	f := identitytest.New(t)
	rover := f.Device("rover")
	ground := f.Ground()
	const starts = 50
	// With the same content, key and counter, the same is sealed: whatever comes twice shows that a pair did.
	ups, downs := make(map[string]bool), make(map[string]bool)
	var kept [][]byte
	s := begin(t, rover)
	for i := range starts {
		g := sessions(t, ground)
		for _, o := range kept {
			if err := g.Restore(o); err != nil {
				t.Fatal(err)
			}
		}
		if i%2 == 0 {
			s = begin(t, rover)
			accept(t, g, "rover", s)
			kept = append(kept, s.Opening())
		}
		for range 3 {
			m := sealed(t, s, "the same")
			if _, _, err := g.Open("rover", m); err != nil {
				t.Fatal(err)
			}
			d, err := g.Seal(nil, "rover", []byte("the same"))
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := s.Open(d); err != nil {
				t.Fatalf("start %d: %v", i, err)
			}
			ups[string(m[26:])], downs[string(d[42:])] = true, true
		}
	}
	if len(ups) != 3*starts || len(downs) != 3*starts {
		t.Errorf("%d and %d of %d are different", len(ups), len(downs), 3*starts)
	}
}

// What a ground has said in an earlier session is understood, by the same device, and by nobody who only has its disk.
func TestEarlierSessions(t *testing.T) {
	f := identitytest.New(t)
	rover := f.Device("rover")
	g := sessions(t, f.Ground())
	first := begin(t, rover)
	accept(t, g, "rover", first)
	said, err := g.Seal(nil, "rover", []byte("have it"))
	if err != nil {
		t.Fatal(err)
	}
	kept, err := first.Keep()
	if err != nil || len(kept) > seal.MaxKept {
		t.Fatal(len(kept), err)
	}
	s := begin(t, rover)
	if _, _, err := s.Open(said); !errors.Is(err, seal.ErrUnknown) {
		t.Errorf("before it is recalled: %v", err)
	}
	if err := begin(t, f.Device("boat")).Recall(kept); !errors.Is(err, seal.ErrForged) {
		t.Errorf("another device recalls it: %v", err)
	}
	for i := range kept {
		b := bytes.Clone(kept)
		b[i] ^= 1
		if s.Recall(b) == nil {
			t.Fatalf("byte %d is another, and it is recalled", i)
		}
	}
	if err := s.Recall(kept); err != nil {
		t.Fatal(err)
	}
	if b, earlier, err := s.Open(said); err != nil || !earlier || string(b) != "have it" {
		t.Errorf("%q, %t, %v", b, earlier, err)
	}
	if _, _, err := s.Open(said); !errors.Is(err, seal.ErrReplayed) {
		t.Errorf("again: %v", err)
	}
	for range 20 { // they are bounded, and the last ones count
		other := begin(t, rover)
		k, err := other.Keep()
		if err == nil {
			err = s.Recall(k)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := s.Open(said); !errors.Is(err, seal.ErrUnknown) {
		t.Errorf("long ago: %v", err)
	}
}

// The sessions of a device that are known are bounded, and the ones in use stay.
func TestSessionsAreBounded(t *testing.T) {
	f := identitytest.New(t)
	rover := f.Device("rover")
	boat := f.Device("boat")
	ground := f.Ground()
	g := sessions(t, ground)
	of := begin(t, boat)
	accept(t, g, "boat", of)
	first := begin(t, rover)
	accept(t, g, "rover", first)
	old := sealed(t, first, "old")
	if _, _, err := g.Open("rover", old); err != nil {
		t.Fatal(err)
	}
	second := begin(t, rover)
	accept(t, g, "rover", second)
	// Who repeats what is old does not have the ground answer in an old session.
	if _, fresh, err := g.Open("rover", old); fresh || err != nil {
		t.Fatal(fresh, err)
	}
	if d, err := g.Seal(nil, "rover", nil); err != nil {
		t.Fatal(err)
	} else if _, _, err := second.Open(d); err != nil {
		t.Errorf("an answer in the session that is in use: %v", err)
	}
	for range 3 * seal.DefaultSessions {
		accept(t, g, "rover", begin(t, rover))
		if _, _, err := g.Open("rover", sealed(t, second, "in use")); err != nil {
			t.Fatalf("the session in use was forgotten: %v", err)
		}
	}
	if _, _, err := g.Open("rover", old); !errors.Is(err, seal.ErrUnknown) {
		t.Errorf("the first one: %v", err)
	}
	if _, _, err := g.Open("boat", sealed(t, of, "x")); err != nil {
		t.Errorf("another device's: %v", err)
	}
	if n := g.Count(); n != seal.DefaultSessions+1 {
		t.Errorf("%d are known", n)
	}
}

// Whatever the order, each counter is new once, and none that is older than the window.
func TestRepeats(t *testing.T) {
	f := identitytest.New(t)
	rover := f.Device("rover")
	ground := f.Ground()
	rapid.Check(t, func(rt *rapid.T) {
		s, g := begin(t, rover), sessions(t, ground)
		if _, err := g.Accept("rover", s.Opening()); err != nil {
			rt.Fatal(err)
		}
		const window = 4096
		var messages [][]byte
		seen, highest := make(map[int]bool), 0
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			for range rapid.SampledFrom([]int{0, 1, 2, 63, 64, 65, 1000, window - 1, window, window + 1}).Draw(rt, "more") {
				messages = append(messages, sealed(t, s, "x"))
			}
			if len(messages) == 0 {
				continue
			}
			i := len(messages) - 1 - rapid.SampledFrom([]int{0, 1, 2, 64, window - 1, window, window + 1, 2 * window}).Draw(rt, "back")
			if i < 0 {
				continue
			}
			_, fresh, err := g.Open("rover", messages[i])
			if want := !seen[i] && i+window > highest; err != nil || fresh != want {
				rt.Fatalf("counter %d, highest %d: fresh %t, want %t, %v", i, highest, fresh, want, err)
			}
			seen[i], highest = true, max(highest, i)
		}
	})
}

func FuzzMessages(f *testing.F) {
	fl := identitytest.New(f)
	rover := fl.Device("rover")
	ground := fl.Ground()
	s, g := begin(f, rover), sessions(f, ground)
	accept(f, g, "rover", s)
	down, err := g.Seal(nil, "rover", []byte("x"))
	if err != nil {
		f.Fatal(err)
	}
	own := [][]byte{s.Opening(), sealed(f, s, "x"), down}
	for _, m := range own {
		f.Add(m)
	}
	f.Add([]byte{2, 4})
	f.Add([]byte{2, 1, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, up := 0, false
		for _, m := range own {
			up = up || bytes.Equal(m, b)
		}
		_, _, openErr := s.Open(b)
		_, _, sealErr := g.Open("rover", b)
		isNew, _ := g.Accept("rover", b)
		if !up && (openErr == nil || sealErr == nil || isNew) {
			t.Errorf("%x was taken", b)
		}
		s.IsUnknown(b)
	})
}

func BenchmarkSeal(b *testing.B) {
	fl := identitytest.New(b)
	rover := fl.Device("rover")
	ground := fl.Ground()
	for _, size := range []int{1 << 10, 16 << 10, 256 << 10} {
		content := make([]byte, size)
		b.Run(fmt.Sprintf("seal/%d", size), func(b *testing.B) {
			s := begin(b, rover)
			b.SetBytes(int64(size))
			var buf []byte
			for b.Loop() {
				buf, _ = s.Seal(buf[:0], content)
			}
		})
		b.Run(fmt.Sprintf("open/%d", size), func(b *testing.B) {
			s, g := begin(b, rover), sessions(b, ground)
			accept(b, g, "rover", s)
			m, _ := s.Seal(nil, content)
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, _, err := g.Open("rover", m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("begin", func(b *testing.B) {
		for b.Loop() {
			begin(b, rover)
		}
	})
	b.Run("accept", func(b *testing.B) {
		g := sessions(b, ground)
		for b.Loop() {
			b.StopTimer()
			s := begin(b, rover)
			b.StartTimer()
			if _, err := g.Accept("rover", s.Opening()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
