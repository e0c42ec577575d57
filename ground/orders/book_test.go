package orders_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/courier/desk"
	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/ground/orders"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/secure/identity"
	"github.com/fulmar-io/fulmar/secure/identity/identitytest"
	"github.com/fulmar-io/fulmar/secure/order"
	"github.com/fulmar-io/fulmar/telemetry"
)

// world is a book, a desk, and what is between them, in virtual time.
type world struct {
	t    testing.TB
	rng  *rand.Rand
	loss int // of 100
	now  time.Duration
	due  []event

	groundKeys, roverKeys *identity.Keyring
	groundDisk, roverDisk *simdisk.Disk
	book                  *orders.Book
	desk                  *desk.Desk
	boot                  byte
	starts                byte
	bookLife, deskLife    int

	carried map[command.ID]int
	at      map[command.ID]time.Duration // when it was carried out
	inBoot  map[command.ID]bool
	changed map[command.ID][]command.State
}

type event struct {
	at time.Duration
	f  func()
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// The machine's clock is another than the ground's, by minutes.
const ahead = 7 * time.Minute

func (w *world) time() orders.Time { return orders.Time{Mono: w.now, Wall: epoch.Add(w.now)} }

func newWorld(t testing.TB, seed uint64, fleet *identitytest.Fleet, loss int) *world {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 1)), loss: loss, groundDisk: simdisk.New(), roverDisk: simdisk.New(),
		carried: make(map[command.ID]int), at: make(map[command.ID]time.Duration), changed: make(map[command.ID][]command.State)}
	if fleet != nil {
		w.groundKeys, w.roverKeys = fleet.Ground(), fleet.Device("rover")
	}
	w.startBook()
	w.startDesk(true)
	return w
}

func (w *world) startBook() {
	w.t.Helper()
	w.bookLife++
	b, err := orders.Open(w.time(), orders.Options{Disk: w.groundDisk, Keys: w.groundKeys})
	if err != nil {
		w.t.Fatal(err)
	}
	w.book = b
	b.Declare("rover", telemetry.Boot{1}, command.Declaration{Name: "drive/goto", Risk: command.Caution, Role: command.Operator,
		Arguments: []byte(`{"type":"object","properties":{"x":{"type":"number"}},"required":["x"]}`)})
}

// startDesk starts the machine's courier process, or the machine.
func (w *world) startDesk(machine bool) {
	w.t.Helper()
	w.deskLife++
	w.starts++
	d, err := desk.Open(desk.Options{Device: "rover", Disk: w.roverDisk, Dir: "orders", Keys: w.roverKeys})
	if err != nil {
		w.t.Fatal(err)
	}
	w.desk = d
	d.Use(order.Challenge{Nonce: [16]byte{w.starts}})
	if machine {
		w.boot++
		w.inBoot = make(map[command.ID]bool)
	}
	unknown, again := d.Begin(telemetry.Boot{w.boot})
	for _, o := range unknown {
		w.published(o)
	}
	for _, o := range again {
		w.carry(o)
	}
}

func (w *world) after(d time.Duration, f func()) { w.due = append(w.due, event{w.now + d, f}) }

func (w *world) someTime() time.Duration { return time.Duration(w.rng.IntN(300)) * time.Millisecond }

// over brings a message over the link: perhaps late, twice, or not at all.
func (w *world) over(f func()) {
	for range 1 + w.rng.IntN(5)/4 {
		if w.rng.IntN(100) >= w.loss {
			w.after(w.someTime(), f)
		}
	}
}

// perform does what the book wants.
func (w *world) perform() {
	if sync := w.book.BeginSync(); sync != nil {
		life := w.bookLife
		err := sync()
		w.after(time.Duration(w.rng.IntN(30))*time.Millisecond, func() {
			if life == w.bookLife {
				w.book.Synced(w.time(), err)
			}
		})
	}
	for _, e := range w.book.Effects() {
		switch e := e.(type) {
		case orders.Say:
			w.over(func() { w.toMachine(e.Message) })
		case orders.Changed:
			w.changed[e.Entry.ID] = append(w.changed[e.Entry.ID], e.Entry.State)
		}
	}
}

func (w *world) toMachine(m link.Message) {
	switch m := m.(type) {
	case link.Hail:
		c := w.desk.Hail(w.now + ahead)
		w.over(func() { w.book.Clock(w.time(), "rover", c) })
	case link.Order:
		answer, err := w.desk.Order(w.now+ahead, m.Encoded)
		if err != nil {
			w.t.Errorf("an order of the ground's: %v", err)
		}
		if answer != nil {
			w.answer(*answer)
		}
		w.syncDesk()
	}
}

func (w *world) syncDesk() {
	if sync := w.desk.BeginSync(); sync != nil {
		life := w.deskLife
		err := sync()
		w.after(time.Duration(w.rng.IntN(30))*time.Millisecond, func() {
			if life != w.deskLife {
				return
			}
			receipts, list := w.desk.Synced(err)
			for _, r := range receipts {
				w.answer(r)
			}
			for _, o := range list {
				w.carry(o)
			}
		})
	}
}

func (w *world) answer(r link.Receipt) {
	w.over(func() { w.book.Receipt(w.time(), "rover", r) })
}

// carry is what the components do: what they had in this boot is nothing to them.
func (w *world) carry(o command.Order) {
	if w.inBoot[o.ID] {
		return
	}
	w.inBoot[o.ID] = true
	if w.now+ahead > o.Deadline {
		w.published(command.Outcome{ID: o.ID, Name: o.Name, State: command.Failed, Text: "it came too late"})
		return
	}
	w.carried[o.ID]++
	w.at[o.ID] = w.now
	boot := w.boot
	w.after(w.someTime(), func() {
		if boot == w.boot {
			w.published(command.Outcome{ID: o.ID, Name: o.Name, State: command.Done})
		}
	})
}

// published is a record's way: it arrives, at some time, once.
func (w *world) published(o command.Outcome) {
	if err := w.desk.Ended(w.now, o); err != nil {
		w.t.Fatal(err)
	}
	w.syncDesk()
	var arrive func()
	arrive = func() {
		if w.rng.IntN(2) == 0 {
			w.after(w.someTime(), arrive)
			return
		}
		w.book.Outcome(w.time(), "rover", o)
	}
	w.after(w.someTime(), arrive)
}

// pass lets time pass.
func (w *world) pass(d time.Duration) {
	for end := w.now + d; w.now < end; w.now += 10 * time.Millisecond {
		due := w.due
		w.due = nil
		for _, e := range due {
			if e.at <= w.now {
				e.f()
			} else {
				w.due = append(w.due, e)
			}
		}
		w.book.Tick(w.time())
		w.perform()
	}
}

func (w *world) request() orders.Request {
	return orders.Request{Device: "rover", Name: "drive/goto", By: "ada", Role: command.Operator, Arguments: []command.Argument{{Name: "x", Value: "1"}}}
}

func (w *world) give(r orders.Request) orders.Entry {
	w.t.Helper()
	e, err := w.book.Give(w.time(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

func TestStates(t *testing.T) {
	w := newWorld(t, 1, identitytest.New(t), 0)
	e := w.give(w.request())
	if e.State != command.Queued || e.Until.Sub(e.Given) != orders.DefaultWithin {
		t.Fatalf("%+v", e)
	}
	w.pass(5 * time.Second)
	got, _ := w.book.Get(e.ID)
	want := []command.State{command.Queued, command.Sent, command.Accepted, command.Done}
	if got.State != command.Done || fmt.Sprint(w.changed[e.ID]) != fmt.Sprint(want) || w.carried[e.ID] != 1 {
		t.Errorf("%+v, through %v, carried out %d times", got, w.changed[e.ID], w.carried[e.ID])
	}
	if _, more := w.book.Wake(); more {
		t.Error("it wants to be called without an order")
	}
}

// Over whatever link, with restarts of either end at any moment, an order is carried out at most once, and what the book says is so.
func TestSeeds(t *testing.T) {
	fleet := identitytest.New(t)
	done, lost := 0, 0
	for seed := range uint64(150) {
		keys := fleet
		if seed%3 != 0 { // the signature takes most of the time
			keys = nil
		}
		w := newWorld(t, seed, keys, int(seed%7)*10)
		var given []orders.Entry
		for range 12 {
			for range w.rng.IntN(4) {
				r := w.request()
				r.Within = time.Duration(1+w.rng.IntN(20)) * time.Second
				e := w.give(r)
				w.changed[e.ID] = nil
				given = append(given, e)
			}
			w.perform()
			w.pass(w.someTime() * 10)
			switch w.rng.IntN(6) {
			case 0:
				w.groundDisk.Kill()
				w.startBook()
			case 1:
				w.roverDisk.Kill()
				w.startDesk(false)
			case 2:
				w.roverDisk.Crash(w.rng, simdisk.Mode(w.rng.IntN(simdisk.Modes)))
				w.startDesk(true)
			}
		}
		w.pass(3 * time.Minute)
		for _, e := range given {
			got, ok := w.book.Get(e.ID)
			carried := w.carried[e.ID]
			switch {
			case !ok, !got.State.Ended(), carried > 1, got.State == command.Done && carried != 1:
				t.Errorf("seed %d: %+v, carried out %d times", seed, got, carried)
			case epoch.Add(w.at[e.ID]).After(e.Until):
				t.Errorf("seed %d: carried out at %s, %+v", seed, epoch.Add(w.at[e.ID]), got)
			case got.State == command.Failed && carried == 1 && !strings.Contains(got.Text, "may have been"):
				t.Errorf("seed %d: failed (%s) and was carried out", seed, got.Text)
			case got.State == command.Done:
				done++
			default:
				lost++
			}
		}
	}
	if done < 1000 || lost < 100 {
		t.Errorf("%d done and %d failed: that is no trial", done, lost)
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	w := newWorld(t, 1, nil, 100)
	for what, c := range map[string]struct {
		change func(*orders.Request)
		err    error
		word   string
	}{
		"another machine":  {func(r *orders.Request) { r.Device = "drone" }, orders.ErrUnknown, ""},
		"another command":  {func(r *orders.Request) { r.Name = "drive/jump" }, orders.ErrUnknown, ""},
		"a viewer":         {func(r *orders.Request) { r.Role = command.Viewer }, orders.ErrRole, "operator"},
		"no argument":      {func(r *orders.Request) { r.Arguments = nil }, command.ErrInvalid, `"x" is missing`},
		"another argument": {func(r *orders.Request) { r.Arguments[0].Name = "xx" }, command.ErrInvalid, "did you mean x?"},
		"no name":          {func(r *orders.Request) { r.Name = "" }, command.ErrInvalid, ""},
		"a year":           {func(r *orders.Request) { r.Within = 365 * 24 * time.Hour }, command.ErrInvalid, "24h"},
	} {
		r := w.request()
		c.change(&r)
		if _, err := w.book.Give(w.time(), r); !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: %v", what, err)
		}
	}
	var err error
	n := 0
	for ; err == nil; n++ {
		_, err = w.book.Give(w.time(), w.request())
	}
	if !errors.Is(err, orders.ErrFull) || n < 20 || n > 100 {
		t.Errorf("after %d: %v", n, err)
	}
	w.pass(time.Minute)
	if _, err := w.book.Give(w.time(), w.request()); err != nil {
		t.Errorf("when they have expired: %v", err)
	}
}

// Nothing is sent before it is durable, and a disk that fails is told to who gave the order.
func TestDiskThatFails(t *testing.T) {
	w := newWorld(t, 1, nil, 0)
	w.groundDisk.Inject(simdisk.Fault{Ops: simdisk.OpSync, Err: syscall.EIO})
	e := w.give(w.request())
	w.pass(2 * time.Second)
	if got, _ := w.book.Get(e.ID); got.State != command.Queued {
		t.Errorf("%+v", got)
	}
	w.groundDisk.Heal()
	w.pass(5 * time.Second)
	if got, _ := w.book.Get(e.ID); got.State != command.Done {
		t.Errorf("%+v", got)
	}
	w.groundDisk.Inject(simdisk.Fault{Ops: simdisk.OpWrite, Err: syscall.ENOSPC})
	if _, err := w.book.Give(w.time(), w.request()); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%v", err)
	}
}

// The answer of another machine, or to another order, changes nothing.
func TestForeignAnswers(t *testing.T) {
	w := newWorld(t, 1, nil, 100)
	e := w.give(w.request())
	w.pass(time.Second)
	w.book.Declare("drone", telemetry.Boot{1})
	w.book.Receipt(w.time(), "drone", link.Receipt{ID: e.ID, Code: link.Taken})
	w.book.Outcome(w.time(), "drone", command.Outcome{ID: e.ID, State: command.Done})
	w.book.Receipt(w.time(), "rover", link.Receipt{ID: command.ID{9}, Code: link.Taken})
	w.book.Clock(w.time(), "nobody", link.Clock{})
	if got, _ := w.book.Get(e.ID); got.State != command.Queued {
		t.Errorf("%+v", got)
	}
}

// A machine's later boot declares anew; what an earlier one had declared comes too late.
func TestDeclarations(t *testing.T) {
	w := newWorld(t, 1, nil, 0)
	d := func(name string) command.Declaration {
		return command.Declaration{Name: name, Risk: command.Safe, Role: command.Operator, Arguments: []byte(`{}`)}
	}
	w.book.Declare("rover", telemetry.Boot{3}, d("a/b"), d("a/c"))
	w.book.Declare("rover", telemetry.Boot{2}, d("x/y"))
	if got := w.book.Declared("rover"); len(got) != 2 || got[0].Name != "a/b" || got[1].Name != "a/c" {
		t.Errorf("%+v", got)
	}
}
