package desk_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/courier/desk"
	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/secure/identity"
	"github.com/fulmar-io/fulmar/secure/identity/identitytest"
	"github.com/fulmar-io/fulmar/secure/order"
	"github.com/fulmar-io/fulmar/telemetry"
)

// ground gives orders for one machine.
type ground struct {
	keys      *identity.Keyring
	process   [16]byte
	challenge order.Challenge
	number    uint64
	ids       uint16
}

func (g *ground) order(deadline time.Duration) order.Signed {
	g.number++
	g.ids++
	return order.Signed{Device: "rover", Challenge: g.challenge, Process: g.process, Number: g.number,
		Order: command.Order{ID: command.ID{byte(g.ids), byte(g.ids >> 8)}, Name: "drive/stop", By: "ada", Role: command.Operator, Deadline: deadline}}
}

// rig is a desk with its disk.
type rig struct {
	*testing.T
	disk *simdisk.Disk
	desk *desk.Desk
	keys *identity.Keyring
	now  time.Duration
}

func (r *rig) open(c order.Challenge) {
	r.Helper()
	d, err := desk.Open(desk.Options{Device: "rover", Disk: r.disk, Dir: "orders", Keys: r.keys, Wall: func() int64 { return 7 }})
	if err != nil {
		r.Fatal(err)
	}
	r.desk = d
	d.Use(c)
}

// give gives an order and returns the answer, synced if need be, and what is to be carried out.
func (r *rig) give(b []byte) (link.Receipt, []command.Order) {
	r.Helper()
	answer, err := r.desk.Order(r.now, b)
	if err != nil {
		r.Fatal(err)
	}
	if answer != nil {
		return *answer, nil
	}
	receipts, orders := r.sync()
	if len(receipts) != 1 {
		r.Fatalf("%d receipts", len(receipts))
	}
	return receipts[0], orders
}

func (r *rig) sync() ([]link.Receipt, []command.Order) {
	sync := r.desk.BeginSync()
	if sync == nil {
		return nil, nil
	}
	return r.desk.Synced(sync())
}

var first, second = order.Challenge{Session: [16]byte{1}, Nonce: [16]byte{1}}, order.Challenge{Session: [16]byte{2}, Nonce: [16]byte{2}}

func newRig(t *testing.T) (*rig, *ground, *identitytest.Fleet) {
	f := identitytest.New(t)
	r := &rig{T: t, disk: simdisk.New(), keys: f.Device("rover"), now: time.Minute}
	r.open(first)
	r.desk.Begin(telemetry.Boot{1})
	return r, &ground{keys: f.Ground(), process: [16]byte{1}, challenge: first}, f
}

// An order is answered and carried out once it is durable, and once, whatever comes again, and whenever its answer is lost.
func TestCarriedOutOnce(t *testing.T) {
	r, g, _ := newRig(t)
	s := g.order(2 * time.Minute)
	b := s.Append(nil, g.keys)
	for range 3 { // it is not durable yet
		if answer, err := r.desk.Order(r.now, b); answer != nil || err != nil {
			t.Fatalf("answered %+v, %v, before it was durable", answer, err)
		}
	}
	receipts, orders := r.sync()
	if len(receipts) != 1 || receipts[0].Code != link.Taken || len(orders) != 1 || orders[0].ID != s.Order.ID {
		t.Fatalf("%+v, %+v", receipts, orders)
	}
	again := func(where string) {
		t.Helper()
		if answer, orders := r.give(b); answer.Code != link.Taken || len(orders) != 0 {
			t.Errorf("%s: %+v, %+v", where, answer, orders)
		}
	}
	again("its answer was lost")
	r.disk.Kill()
	r.open(second) // of the courier half alone
	if unknown, orders := r.desk.Begin(telemetry.Boot{1}); len(unknown) != 0 || len(orders) != 1 {
		t.Fatalf("the boot goes on: %+v, %+v", unknown, orders)
	}
	again("after the courier half was killed")
	s.Challenge, s.Number = second, 1
	if answer, orders := r.give(s.Append(nil, g.keys)); answer.Code != link.Taken || len(orders) != 0 {
		t.Errorf("signed anew: %+v, %+v", answer, orders)
	}
	if err := r.desk.Ended(r.now, command.Outcome{ID: s.Order.ID, Name: s.Order.Name, State: command.Done}); err != nil {
		t.Fatal(err)
	}
	again("after it ended")
	r.sync()
	r.disk.Crash(rand.New(rand.NewPCG(1, 1)), simdisk.Lose)
	r.open(second)
	if unknown, orders := r.desk.Begin(telemetry.Boot{2}); len(unknown) != 0 || len(orders) != 0 {
		t.Fatalf("it had ended: %+v, %+v", unknown, orders)
	}
	again("after a power cut")
}

// An order whose boot has ended before its outcome is told as one of which it is not known.
func TestUnknownOutcomes(t *testing.T) {
	r, g, _ := newRig(t)
	s := g.order(2 * time.Minute)
	r.give(s.Append(nil, g.keys))
	r.disk.Crash(rand.New(rand.NewPCG(1, 1)), simdisk.Lose)
	r.open(second)
	unknown, orders := r.desk.Begin(telemetry.Boot{2})
	if len(orders) != 0 || len(unknown) != 1 || unknown[0].ID != s.Order.ID || unknown[0].State != command.Failed || !strings.Contains(unknown[0].Text, "may have been") {
		t.Fatalf("%+v, %+v", unknown, orders)
	}
	if err := r.desk.Ended(0, unknown[0]); err != nil {
		t.Fatal(err)
	}
	r.sync()
	r.open(second)
	if unknown, _ := r.desk.Begin(telemetry.Boot{3}); len(unknown) != 0 {
		t.Errorf("told twice: %+v", unknown)
	}
}

func TestRefused(t *testing.T) {
	r, g, f := newRig(t)
	refused := func(why string, s order.Signed, code link.ReceiptCode, word string) {
		t.Helper()
		answer, orders := r.give(s.Append(nil, g.keys))
		if answer.Code != code || !strings.Contains(answer.Text, word) || len(orders) != 0 || answer.ID != s.Order.ID {
			t.Errorf("%s: %+v, %+v", why, answer, orders)
		}
	}
	refused("late", g.order(r.now-1), link.NotAccepted, "too late")
	stale := g.order(time.Hour)
	stale.Challenge = second
	refused("of another session", stale, link.Stale, "another start")
	other := g.order(time.Hour)
	other.Number = 1
	refused("an earlier number", other, link.NotAccepted, "again")

	for why, b := range map[string][]byte{
		"for another machine": func() []byte { s := g.order(time.Hour); s.Device = "drone"; return s.Append(nil, g.keys) }(),
		"in the clear":        g.order(time.Hour).Append(nil, nil),
		"signed by a device":  g.order(time.Hour).Append(nil, f.Device("drone")),
		"nothing":             nil,
	} {
		answer, err := r.desk.Order(r.now, b)
		if answer != nil || !errors.Is(err, order.ErrForged) && !errors.Is(err, order.ErrMalformed) {
			t.Errorf("%s: %+v, %v", why, answer, err)
		}
	}

	// The disk takes nothing: it is said, and the order is not carried out later either.
	r.disk.Inject(simdisk.Fault{Ops: simdisk.OpWrite | simdisk.OpCreate, Err: syscall.ENOSPC})
	s := g.order(time.Hour)
	if answer, err := r.desk.Order(r.now, s.Append(nil, g.keys)); err == nil || answer == nil || answer.Code != link.NotAccepted || !strings.Contains(answer.Text, "journal") {
		t.Errorf("a full disk: %+v, %v", answer, err)
	}
	r.disk.Heal()
	if answer, orders := r.give(s.Append(nil, g.keys)); answer.Code != link.NotAccepted || len(orders) != 0 {
		t.Errorf("after it: %+v, %+v", answer, orders)
	}
}

// Whatever floods a machine with orders, it takes a few at once and holds a bounded number.
func TestFlood(t *testing.T) {
	r, g, _ := newRig(t)
	taken, refused := 0, 0
	for range 2000 {
		switch answer, orders := r.give(g.order(time.Hour).Append(nil, g.keys)); answer.Code {
		case link.Taken:
			taken += len(orders)
		case link.NotAccepted:
			if !strings.Contains(answer.Text, "too many commands") && !strings.Contains(answer.Text, "have not ended") {
				t.Fatalf("%+v", answer)
			}
			refused++
		}
		r.now += time.Millisecond
	}
	if taken < 40 || taken > 64 || taken+refused != 2000 || len(r.desk.Open()) != taken {
		t.Errorf("%d taken, %d refused, %d open", taken, refused, len(r.desk.Open()))
	}
}

// A sync that fails answers nothing; what follows it does.
func TestSyncThatFails(t *testing.T) {
	r, g, _ := newRig(t)
	s := g.order(time.Hour)
	if answer, err := r.desk.Order(r.now, s.Append(nil, g.keys)); answer != nil || err != nil {
		t.Fatal(answer, err)
	}
	r.disk.Inject(simdisk.Fault{Ops: simdisk.OpSync, Times: 1, Err: syscall.EIO})
	if receipts, orders := r.sync(); len(receipts)+len(orders) != 0 || !r.desk.Unsynced() {
		t.Fatalf("%+v, %+v", receipts, orders)
	}
	if receipts, orders := r.sync(); len(receipts) != 1 || len(orders) != 1 {
		t.Fatalf("%+v, %+v", receipts, orders)
	}
}

func TestJournal(t *testing.T) {
	r, g, _ := newRig(t)
	s := g.order(2 * time.Minute)
	r.give(s.Append(nil, g.keys))
	late := g.order(0)
	r.give(late.Append(nil, g.keys))
	if err := r.desk.Ended(r.now, command.Outcome{ID: s.Order.ID, Name: s.Order.Name, State: command.Failed, Text: "stuck"}); err != nil {
		t.Fatal(err)
	}
	var notes []desk.Note
	if err := desk.Read(r.disk, "orders", func(n desk.Note, err error) {
		if err != nil {
			t.Error(err)
		}
		notes = append(notes, n)
	}); err != nil {
		t.Fatal(err)
	}
	want := []struct {
		kind desk.Kind
		id   command.ID
		text string
	}{{desk.Took, s.Order.ID, ""}, {desk.Refused, late.Order.ID, "it came too late"}, {desk.Ended, s.Order.ID, "stuck"}}
	if len(notes) != len(want) {
		t.Fatalf("%+v", notes)
	}
	for i, w := range want {
		n := notes[i]
		if n.Kind != w.kind || n.Order.ID != w.id || n.Outcome.Text != w.text || n.Wall != 7 || n.Order.By != "ada" {
			t.Errorf("%d: %+v", i, n)
		}
		if (n.From == "") != (n.Kind == desk.Ended) || n.From != "" && !strings.Contains(n.From, "ground") {
			t.Errorf("%d is from %q", i, n.From)
		}
	}
}

// What is open outlives the trimming of the journal.
func TestTrimmedJournal(t *testing.T) {
	r, g, _ := newRig(t)
	s := g.order(100 * time.Hour)
	r.give(s.Append(nil, g.keys))
	big := strings.Repeat("x", 4000)
	for i := range 4000 {
		n := g.order(100 * time.Hour)
		n.Order.ID = command.ID{byte(i), byte(i >> 8), 1}
		n.Order.Arguments = []command.Argument{{Name: "x", Value: big}}
		if answer, _ := r.give(n.Append(nil, g.keys)); answer.Code != link.Taken {
			t.Fatalf("%+v", answer)
		}
		if err := r.desk.Ended(r.now, command.Outcome{ID: n.Order.ID, Name: n.Order.Name, State: command.Done}); err != nil {
			t.Fatal(err)
		}
		r.now += 100 * time.Millisecond
	}
	r.sync()
	if used := r.disk.Used(); used > 10<<20 {
		t.Errorf("the journal has %d bytes", used)
	}
	r.disk.Crash(rand.New(rand.NewPCG(1, 1)), simdisk.Lose)
	r.open(second)
	if unknown, _ := r.desk.Begin(telemetry.Boot{2}); len(unknown) != 1 || unknown[0].ID != s.Order.ID {
		t.Errorf("%+v", unknown)
	}
}
