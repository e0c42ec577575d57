package ingest_test

import (
	"bytes"
	"crypto/sha256"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/ground/ingest"
	"github.com/fulmar-io/fulmar/ground/store"
	"github.com/fulmar-io/fulmar/internal/extent"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/secure/identity"
	"github.com/fulmar-io/fulmar/secure/identity/identitytest"
	"github.com/fulmar-io/fulmar/secure/seal"
	"github.com/fulmar-io/fulmar/seglog"
	"github.com/fulmar-io/fulmar/telemetry"
)

// onTheWay is somebody between the machines and the ground. He has seen all that the rover said, owns a drone of the same fleet, and has a
// fleet of his own.
type onTheWay struct {
	t      *testing.T
	rng    *rand.Rand
	ground *ingest.Intake
	disk   *simdisk.Disk
	keys   *identity.Keyring
	now    time.Duration

	rover    *identity.Keyring
	session  *seal.Session // the rover's, now
	drone    *seal.Session
	stranger *seal.Session // of another fleet's rover
	asGround *seal.Session // opened with a ground's identity
	next     uint64        // of the rover's records

	frames   [][]byte // what the rover said and the ground has
	dropped  [][]byte // what the ground has seen and had no room for then
	answers  [][]byte // about orders
	openings [][]byte

	// ledger and kept are what the ground must have in the end and nothing else, kept outside of all that is tested: hashes of the frames
	// and of the openings.
	ledger, kept map[[32]byte]bool
}

func newOnTheWay(t *testing.T, seed uint64) *onTheWay {
	f, other := identitytest.New(t), identitytest.New(t)
	a := &onTheWay{t: t, rng: rand.New(rand.NewPCG(seed, 11)), disk: simdisk.New(), keys: f.Ground(), rover: f.Device("rover"), now: time.Hour,
		ledger: make(map[[32]byte]bool), kept: make(map[[32]byte]bool)}
	a.drone, a.stranger, a.asGround = beginSession(t, f.Device("drone")), beginSession(t, other.Device("rover")), beginSession(t, a.keys)
	var err error
	o := ingest.Options{Keys: a.keys, Quota: ingest.Quota{FramesPerSecond: 100, Burst: time.Second}}
	if a.ground, err = ingest.OpenIntake(a.disk, "frames", o, store.FramesOptions{MinFree: 1}); err != nil {
		t.Fatal(err)
	}
	a.opens("drone", a.drone)
	a.session = beginSession(t, a.rover)
	a.opens("rover", a.session)
	a.speak()
	return a
}

// came is what came of a message.
type came struct {
	written          bool // something was written to the disk
	stored, answered int
	said             int // replies other than that a session is not known
	why              ingest.Why
}

// took reports that the ground acted upon a message.
func (c came) took() bool { return c.written || c.stored > 0 || c.answered > 0 }

// give hands a message to the ground, a while after the one before.
func (a *onTheWay) give(after time.Duration, device string, message []byte) (c came) {
	a.t.Helper()
	a.now += after
	_ = a.ground.Message(int64(a.now), device, slices.Clone(message)) // an error says that it was none
	for effects := a.ground.Effects(); len(effects) > 0; effects = a.ground.Effects() {
		for _, e := range effects {
			switch e := e.(type) {
			case ingest.Reply:
				if seal.KindOf(e.Wire) != seal.Unknown {
					c.said++
				}
			case ingest.Dropped:
				c.why = e.Why
			case ingest.Sync:
				c.written = true
				a.ground.Synced(a.ground.Sync())
			case ingest.Committed:
				c.stored++
			case ingest.Answered:
				c.answered++
			}
		}
	}
	return c
}

func (a *onTheWay) opens(device string, s *seal.Session) {
	a.t.Helper()
	if c := a.give(0, device, s.Opening()); !c.written {
		a.t.Fatalf("the opening of the %s: %+v", device, c)
	}
	a.openings = append(a.openings, s.Opening())
	a.kept[sha256.Sum256(s.Opening())] = true
}

func (a *onTheWay) seals(s *seal.Session, m link.Message) []byte {
	a.t.Helper()
	b, err := s.Seal(nil, link.Append(nil, m))
	if err != nil {
		a.t.Fatal(err)
	}
	return b
}

// speak has the rover say something of its own: a frame, an answer, and now and then so much that the ground has no room for it.
func (a *onTheWay) speak() {
	a.t.Helper()
	data := frameOf(a.t, stream, a.next, 10, 0)
	m := a.seals(a.session, link.Frame{Data: data})
	if c := a.give(time.Second, "rover", m); c.stored != 1 {
		a.t.Fatalf("the rover's own frame: %+v", c)
	}
	a.frames, a.next = append(a.frames, m), a.next+10
	a.ledger[sha256.Sum256(data)] = true
	m = a.seals(a.session, link.Clock{At: a.now})
	if c := a.give(0, "rover", m); c.answered != 1 {
		a.t.Fatalf("the rover's own answer: %+v", c)
	}
	a.answers = append(a.answers, m)
	if a.rng.IntN(4) > 0 {
		return
	}
	far := stream
	far.Boot = telemetry.Boot{9}                    // in numbers of their own: nothing of it is ever stored
	for c := (came{}); c.why != ingest.OverQuota; { // what is known already uses it up as well
		c = a.give(0, "rover", a.frames[0])
	}
	m = a.seals(a.session, link.Frame{Data: frameOf(a.t, far, 10*uint64(len(a.dropped)), 10, 0)})
	if c := a.give(0, "rover", m); c.why != ingest.OverQuota {
		a.t.Fatalf("beyond the quota: %+v", c)
	}
	a.dropped = append(a.dropped, m)
}

func (a *onTheWay) any(list [][]byte) []byte { return list[a.rng.IntN(len(list))] }

// change is a message in which something is another.
func (a *onTheWay) change(m []byte) []byte {
	b := slices.Clone(m)
	switch a.rng.IntN(4) {
	case 0:
		return b[:a.rng.IntN(len(b))]
	case 1:
		return append(b, byte(a.rng.Uint32()))
	case 2: // a part of another one
		from := a.any([][]byte{a.any(a.frames), a.any(a.openings), a.drone.Opening(), a.stranger.Opening()})
		at := a.rng.IntN(min(len(b), len(from)))
		copy(b[at:min(len(b), at+1+a.rng.IntN(64))], from[at:])
	}
	for bytes.Equal(b, m) {
		for range 1 + a.rng.IntN(3) {
			b[a.rng.IntN(len(b))] ^= 1 << a.rng.IntN(8)
		}
	}
	return b
}

// forge makes a message that is not what its device said, and says by whom it is to come. quiet is that nothing may be answered.
func (a *onTheWay) forge() (what, device string, m []byte, quiet bool) {
	lie := link.Frame{Data: frameOf(a.t, stream, a.next+10*a.rng.Uint64N(100), 10, 1)}
	switch a.rng.IntN(10) {
	case 0:
		return "a changed frame", "rover", a.change(a.any(a.frames)), true
	case 1:
		return "a changed opening", "rover", a.change(a.any(a.openings)), true
	case 2:
		return "a changed answer", "rover", a.change(a.any(a.answers)), true
	case 3:
		return "a frame in the clear", "rover", link.Append(nil, lie), true
	case 4:
		return "a frame in the drone's session", "rover", a.seals(a.drone, lie), true
	case 5:
		return "a rover's frame over the drone's link", "drone", a.seals(a.drone, lie), false // it is told that it may not
	case 6:
		m := a.seals(a.stranger, lie)
		id := a.session.ID()
		copy(m[2:], id[:])
		return "a frame of another fleet's under the session's name", "rover", m, true
	case 7:
		return "an opening of another fleet's", "rover", a.stranger.Opening(), true
	case 8:
		return "an opening of the drone's over the rover's link", "rover", a.drone.Opening(), true
	}
	return "an opening of a ground's", "rover", a.asGround.Opening(), true
}

// repeat chooses what was said before.
func (a *onTheWay) repeat() (what string, m []byte) {
	switch a.rng.IntN(4) {
	case 0:
		return "a frame", a.any(a.frames)
	case 1:
		return "an answer", a.any(a.answers)
	case 2:
		if len(a.dropped) > 0 {
			return "a frame that there was no room for", a.any(a.dropped)
		}
	}
	return "an opening", a.openings[1+a.rng.IntN(len(a.openings)-1)]
}

// Whatever somebody on the way changes, makes up, or repeats: the ground acts upon nothing of it, and has in the end what the rover
// said, each frame once.
func TestNothingForgedOrReplayedIsAccepted(t *testing.T) {
	first, end := extent.Of(t, 6000)
	const life = 2000 // messages to one ground
	var forged, replayed uint64
	for at := first; at < end; at += life {
		a := newOnTheWay(t, at)
		for i := at; i < min(end, at+life); i++ {
			switch {
			case i%100 == 99:
				a.speak()
			case i%500 == 250: // the rover starts again
				a.session = beginSession(t, a.rover)
				a.opens("rover", a.session)
			}
			if a.rng.IntN(2) == 0 {
				what, m := a.repeat()
				if c := a.give(20*time.Millisecond, "rover", m); c.took() {
					t.Fatalf("message %d: %s was taken again: %+v", i, what, c)
				}
				replayed++
				continue
			}
			what, device, m, quiet := a.forge()
			if c := a.give(20*time.Millisecond, device, m); c.took() || quiet && c.said > 0 {
				t.Fatalf("message %d: %s was taken: %+v", i, what, c)
			}
			forged++
		}
		a.audit()
	}
	extent.Covered(t, forged+replayed, "forged or replayed frames and openings")
	t.Logf("%d forged, %d replayed, 0 accepted", forged, replayed)
}

// audit reads the ground's disk, and compares it with the ledger.
func (a *onTheWay) audit() {
	a.t.Helper()
	frames := a.ground.Frames()
	for i := frames.First(); i < frames.Next(); i++ {
		_, data, err := frames.Read(i)
		if sum := sha256.Sum256(data); err != nil || !a.ledger[sum] {
			a.t.Fatalf("frame %d is none of the rover's, or is there twice: %v", i, err)
		}
		delete(a.ledger, sha256.Sum256(data))
	}
	if len(a.ledger) > 0 {
		a.t.Fatalf("%d of the rover's frames are missing", len(a.ledger))
	}
	if err := a.ground.Close(); err != nil {
		a.t.Fatal(err)
	}
	log, err := seglog.Open(a.disk, "frames-sessions", seglog.Options{ReadOnly: true, MaxRecord: seal.MaxOpening})
	if err != nil {
		a.t.Fatal(err)
	}
	for i := log.First(); i < log.Next(); i++ {
		b, err := log.ReadAt(i, nil)
		if sum := sha256.Sum256(b); err != nil || !a.kept[sum] {
			a.t.Fatalf("opening %d is nobody's, or is there twice: %v", i, err)
		}
		delete(a.kept, sha256.Sum256(b))
	}
	if len(a.kept) > 0 {
		a.t.Fatalf("%d openings are missing", len(a.kept))
	}
}
