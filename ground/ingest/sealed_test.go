package ingest_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/ground/ingest"
	"github.com/fulmar-io/fulmar/ground/store"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/secure/identity"
	"github.com/fulmar-io/fulmar/secure/identity/identitytest"
	"github.com/fulmar-io/fulmar/secure/seal"
)

// sealedRig is a ground that opens what is sealed, on a disk in memory.
type sealedRig struct {
	*ingest.Intake
	t       *testing.T
	disk    *simdisk.Disk
	keys    *identity.Keyring
	replies [][]byte
	drops   []ingest.Dropped
}

func newSealedRig(t *testing.T, keys *identity.Keyring) *sealedRig {
	t.Helper()
	r := &sealedRig{t: t, disk: simdisk.New(), keys: keys}
	r.start()
	return r
}

func (r *sealedRig) start() {
	r.t.Helper()
	var err error
	r.Intake, err = ingest.OpenIntake(r.disk, "frames", ingest.Options{Keys: r.keys}, store.FramesOptions{MinFree: 1})
	if err != nil {
		r.t.Fatal(err)
	}
}

// take hands a message in, syncs unless told otherwise, and collects what comes of it.
func (r *sealedRig) take(device string, message []byte, sync bool) {
	r.t.Helper()
	r.replies, r.drops = nil, nil
	if err := r.Message(1, device, slices.Clone(message)); err != nil {
		r.t.Fatal(err)
	}
	r.collect(sync)
}

func (r *sealedRig) collect(sync bool) {
	for effects := r.Effects(); len(effects) > 0; effects = r.Effects() {
		for _, e := range effects {
			switch e := e.(type) {
			case ingest.Reply:
				r.replies = append(r.replies, e.Wire)
			case ingest.Dropped:
				r.drops = append(r.drops, e)
			case ingest.Sync:
				if sync {
					r.Synced(r.Sync())
				}
			}
		}
	}
}

// dropped checks why the last message was dropped, and that nothing was said about it.
func (r *sealedRig) dropped(what string, why ingest.Why, err error) {
	r.t.Helper()
	if len(r.drops) != 1 || r.drops[0].Why != why || err != nil && !errors.Is(r.drops[0].Err, err) || len(r.replies) > 0 {
		r.t.Errorf("%s: %+v, %d replies", what, r.drops, len(r.replies))
	}
}

func beginSession(t *testing.T, k *identity.Keyring) *seal.Session {
	t.Helper()
	s, err := seal.Begin(k, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sealedFrame(t *testing.T, s *seal.Session, first uint64) []byte {
	t.Helper()
	b, err := s.Seal(nil, link.Append(nil, link.Frame{Data: frameOf(t, stream, first, 10, 0)}))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// said opens the replies.
func said(t *testing.T, s *seal.Session, replies [][]byte) (list []link.Message) {
	t.Helper()
	for _, b := range replies {
		content, _, err := s.Open(b)
		if err != nil {
			t.Fatal(err)
		}
		m, err := link.Parse(content)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, m)
	}
	return list
}

func prefixOf(t *testing.T, list []link.Message) uint64 {
	t.Helper()
	if len(list) != 1 {
		t.Fatalf("%+v", list)
	}
	a, ok := list[0].(link.Ack)
	if !ok {
		t.Fatalf("%+v", list)
	}
	return a.Prefix
}

// What is sealed in a session that was opened is stored and acknowledged; what comes again is acknowledged and stored once, whatever
// became of the ground in between.
func TestSealedFrames(t *testing.T) {
	f := identitytest.New(t)
	rover := f.Device("rover")
	r := newSealedRig(t, f.Ground())
	s := beginSession(t, rover)
	m := sealedFrame(t, s, 0)

	r.take("rover", m, true)
	if len(r.replies) != 1 || !s.IsUnknown(r.replies[0]) {
		t.Fatalf("before the opening: %x", r.replies)
	}
	r.take("rover", s.Opening(), true)
	r.take("rover", m, true)
	if p := prefixOf(t, said(t, s, r.replies)); p != 10 {
		t.Errorf("prefix %d", p)
	}
	for i := range 3 { // on the link that it came over, and after starts of the ground
		r.take("rover", m, true)
		if p := prefixOf(t, said(t, s, r.replies)); p != 10 {
			t.Errorf("again, prefix %d", p)
		}
		r.take("rover", sealedFrame(t, s, 0), true) // the machine did not hear it
		if p := prefixOf(t, said(t, s, r.replies)); p != 10 {
			t.Errorf("sent again, prefix %d", p)
		}
		if n := r.Frames().Next() - r.Frames().First(); n != 1 || r.Counters().Duplicates != 2 {
			t.Errorf("%d frames are stored, %+v", n, r.Counters())
		}
		r.disk.Crash(rand.New(rand.NewPCG(uint64(i), 1)), simdisk.Mode(i%simdisk.Modes))
		r.start()
	}
	r.take("rover", sealedFrame(t, s, 10), true)
	if p := prefixOf(t, said(t, s, r.replies)); p != 20 {
		t.Errorf("prefix %d", p)
	}
}

// Nothing that is not by its device gets in, and nothing is said about it.
func TestNothingElseGetsIn(t *testing.T) {
	f, other := identitytest.New(t), identitytest.New(t)
	rover, boat, stranger := f.Device("rover"), f.Device("boat"), other.Device("rover")
	ground := f.Ground()
	r := newSealedRig(t, ground)
	s, of := beginSession(t, rover), beginSession(t, boat)
	r.take("rover", s.Opening(), true)
	r.take("boat", of.Opening(), true)

	r.take("rover", link.Append(nil, link.Frame{Data: frameOf(t, stream, 0, 10, 0)}), true)
	r.dropped("in the clear", ingest.Forged, nil)
	r.take("rover", beginSession(t, stranger).Opening(), true)
	r.dropped("an opening of another authority", ingest.Forged, identity.ErrUntrusted)
	r.take("rover", sealedFrame(t, of, 0), true)
	r.dropped("sealed by the boat", ingest.Forged, seal.ErrForeign)
	m := sealedFrame(t, s, 0)
	m[40] ^= 1
	r.take("rover", m, true)
	r.dropped("changed on its way", ingest.Forged, seal.ErrForged)
	if c := r.Counters(); c.Forged != 4 || c.Stored != 0 {
		t.Errorf("%+v", c)
	}
	// The boat's frame may not be the rover's, sealed or not.
	r.take("boat", sealedFrame(t, of, 0), true)
	if list := said(t, of, r.replies); len(list) != 1 || list[0].(link.Refuse).Code != link.CodeDevice {
		t.Errorf("the boat sends the rover's frame: %+v", list)
	}
	f.Revoke("rover", ground)
	r.take("rover", sealedFrame(t, s, 20), true)
	r.dropped("revoked", ingest.Forged, identity.ErrRevoked)
}

// Who repeats what he has seen has nothing stored again, even where the ground has forgotten that it was.
func TestRepeatsAreNotStored(t *testing.T) {
	f := identitytest.New(t)
	r := &sealedRig{t: t, disk: simdisk.New()}
	var err error
	r.Intake, err = ingest.OpenIntake(r.disk, "frames", ingest.Options{Keys: f.Ground(), Boots: 1}, store.FramesOptions{MinFree: 1})
	if err != nil {
		t.Fatal(err)
	}
	s := beginSession(t, f.Device("rover"))
	r.take("rover", s.Opening(), true)
	m := sealedFrame(t, s, 0)
	r.take("rover", m, true)
	later := stream
	later.Boot[0]++
	b, err := s.Seal(nil, link.Append(nil, link.Frame{Data: frameOf(t, later, 0, 1, 0)}))
	if err != nil {
		t.Fatal(err)
	}
	r.take("rover", b, true)
	r.take("rover", m, true)
	r.dropped("a message of a boot that was forgotten", ingest.Repeated, nil)
	if n := r.Counters().Stored; n != 2 {
		t.Errorf("%d frames were stored", n)
	}
}

// An opening is durable before anything that depends on it is acknowledged.
func TestOpeningsAreDurable(t *testing.T) {
	f := identitytest.New(t)
	r := newSealedRig(t, f.Ground())
	s := beginSession(t, f.Device("rover"))
	r.take("rover", s.Opening(), false)
	r.take("rover", sealedFrame(t, s, 0), false)
	if len(r.replies) > 0 {
		t.Fatal("acknowledged before it is durable")
	}
	r.disk.Crash(rand.New(rand.NewPCG(1, 1)), 0)
	r.start()
	r.take("rover", sealedFrame(t, s, 0), true)
	if len(r.replies) != 1 || !s.IsUnknown(r.replies[0]) {
		t.Errorf("a power cut before Sync: %d replies", len(r.replies))
	}
	r.take("rover", s.Opening(), true)
	r.take("rover", sealedFrame(t, s, 0), true)
	if p := prefixOf(t, said(t, s, r.replies)); p != 10 {
		t.Errorf("prefix %d", p)
	}
}

// A machine hears of what is to be trusted, when it changes and when it comes back, and the sessions it has go on.
func TestTrustIsSpread(t *testing.T) {
	f := identitytest.New(t)
	rover, ground := f.Device("rover"), f.Ground()
	r := newSealedRig(t, ground)
	s := beginSession(t, rover)
	r.take("rover", s.Opening(), true)
	learn := func(what string) {
		t.Helper()
		list := said(t, s, r.replies)
		if len(list) != 1 {
			t.Fatalf("%s: %+v", what, list)
		}
		if err := rover.Learn(list[0].(link.Trust).Encoded); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	if err := f.Authority.RotateSealing(); err != nil {
		t.Fatal(err)
	}
	f.Tell(ground)
	r.replies = nil
	r.Trusted()
	r.collect(true)
	learn("it changed")
	if k, _ := rover.Trust().Sealing(); k.ID == s.Key() {
		t.Error("the rover does not know of the new key")
	}
	f.Device("another") // which changes nothing that is trusted
	r.replies = nil
	s = beginSession(t, f.Identity(identity.Device, "rover"))
	r.take("rover", s.Opening(), true)
	if len(r.drops) != 1 { // sealed to a key that this ground does not have: Tell copies no keys
		t.Fatalf("%+v", r.drops)
	}
	if err := f.Authority.Equip(f.Dir(identity.Ground, "ground"), ground.Self().Subject, identity.Terms{}); err != nil {
		t.Fatal(err)
	}
	if _, err := ground.Reload(); err != nil {
		t.Fatal(err)
	}
	r.take("rover", s.Opening(), true)
	if len(r.drops)+len(r.replies) > 0 {
		t.Errorf("%+v, %d replies", r.drops, len(r.replies))
	}
	f.Revoke("another", ground)
	s = beginSession(t, rover)
	r.take("rover", s.Opening(), true)
	learn("it comes back")
}

// A device that opens sessions without end has so many taken, and is no trouble for another; one that is known is taken always.
func TestOpeningsHaveARate(t *testing.T) {
	f := identitytest.New(t)
	r := newSealedRig(t, f.Ground())
	rover, boat := f.Device("rover"), f.Device("boat")
	first := beginSession(t, rover)
	open := func(now int64, device string, s *seal.Session) bool {
		r.drops = nil
		if err := r.Message(now, device, slices.Clone(s.Opening())); err != nil {
			t.Fatal(err)
		}
		r.collect(true)
		if len(r.drops) > 0 && r.drops[0].Why != ingest.OverQuota {
			t.Fatalf("%+v", r.drops)
		}
		return len(r.drops) == 0
	}
	const now = int64(1e18)
	taken := 0
	if open(now, "rover", first) {
		taken++
	}
	for range 40 {
		if open(now, "rover", beginSession(t, rover)) {
			taken++
		}
	}
	if taken != 20 {
		t.Errorf("%d sessions at once", taken)
	}
	if !open(now, "boat", beginSession(t, boat)) {
		t.Error("another device may not open one")
	}
	last := beginSession(t, rover)
	if open(now+1e9, "rover", last) || !open(now+3e9, "rover", last) || !open(now+3e9, "rover", last) {
		t.Error("after three seconds one more is taken, and then known")
	}
}
