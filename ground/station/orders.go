package station

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/ground"
	"github.com/fulmar-io/fulmar/ground/ingest"
	"github.com/fulmar-io/fulmar/ground/orders"
	"github.com/fulmar-io/fulmar/ground/store"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/telemetry"
)

// errands is what a station does with orders. All but what is said otherwise is the loop's.
type errands struct {
	book    *orders.Book
	begun   time.Time // with its monotonic part
	syncing bool
	watch   map[command.ID][]chan orders.Entry // who waits for a change
}

// tickPeriod is how often the book is asked whether something is due.
const tickPeriod = 200 * time.Millisecond

// openOrders opens the book and tells it what the index has of it.
func (s *Station) openOrders(ctx context.Context) (err error) {
	s.errands = errands{begun: time.Now(), watch: make(map[command.ID][]chan orders.Entry)}
	if s.errands.book, err = orders.Open(s.time(), orders.Options{Disk: s.o.Disk, Keys: s.o.Ingest.Keys}); err != nil {
		return err
	}
	known := func(l *telemetry.Layout) bool {
		return l.ID() == command.DeclarationLayout.ID() || l.ID() == command.OutcomeLayout.ID()
	}
	for stored, err := range s.index.Records(ctx, store.RecordsQuery{Layout: known}) {
		var unread *store.UnreadError
		switch {
		case errors.As(err, &unread):
			continue // told by the index
		case err != nil:
			return errors.Join(err, s.errands.book.Close())
		}
		s.hear(store.HeardOf(stored))
	}
	s.index.Heard = func(h store.Heard) {
		select {
		case s.events <- func() { s.hear(h) }:
		case <-s.ended:
		}
	}
	return nil
}

func (s *Station) time() orders.Time {
	return orders.Time{Mono: time.Since(s.errands.begun), Wall: s.o.Wall()}
}

// hear tells the book what a machine's records say.
func (s *Station) hear(h store.Heard) {
	s.errands.book.Declare(h.Stream.Device, h.Stream.Boot, h.Declared...)
	for _, o := range h.Outcomes {
		s.errands.book.Outcome(s.time(), h.Stream.Device, o)
	}
}

// answered tells the book what a machine answers.
func (s *Station) answered(e ingest.Answered) {
	switch m := e.Message.(type) {
	case link.Clock:
		s.errands.book.Clock(s.time(), e.Device, m)
	case link.Receipt:
		s.errands.book.Receipt(s.time(), e.Device, m)
	}
}

// performOrders does what the book wants done.
func (s *Station) performOrders(ctx context.Context) {
	b := s.errands.book
	if !s.errands.syncing {
		if sync := b.BeginSync(); sync != nil {
			s.errands.syncing = true
			s.wg.Add(1)
			go func() { defer s.wg.Done(); s.syncOrders(ctx, sync) }()
		}
	}
	for _, e := range b.Effects() {
		switch e := e.(type) {
		case orders.Say:
			s.intake.Say(e.Device, e.Message)
		case orders.Changed:
			x := e.Entry
			s.o.Logger.Info("command", "device", x.Device, "name", x.Name, "by", x.By, "state", string(x.State), "id", x.ID.String(), "text", x.Text)
			for _, c := range s.errands.watch[x.ID] {
				c <- x // has room
			}
			delete(s.errands.watch, x.ID)
		}
	}
}

func (s *Station) syncOrders(ctx context.Context, sync func() error) {
	err := sync()
	if err != nil {
		s.o.Logger.Error("orders cannot be made durable; none goes out until they are", "error", err)
		t := time.NewTimer(syncRetry)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	select {
	case s.events <- func() { s.errands.syncing = false; s.errands.book.Synced(s.time(), err) }:
	case <-ctx.Done():
	}
}

// ErrEnded is what is returned when the station does not run any more.
var ErrEnded = errors.New("station: it has ended")

// ask has the loop do something and waits until it has.
func ask[T any](ctx context.Context, s *Station, f func() T) (T, error) {
	answer := make(chan T, 1)
	var none T
	select {
	case s.events <- func() { answer <- f() }:
	case <-s.ended:
		return none, ErrEnded
	case <-ctx.Done():
		return none, ctx.Err()
	}
	select {
	case v := <-answer:
		return v, nil
	case <-s.ended:
		return none, ErrEnded
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// given is an entry with who tells of its next change.
type given struct {
	entry orders.Entry
	next  chan orders.Entry
	err   error
}

// watch returns what tells of the next change of an entry.
func (s *Station) watch(id command.ID) chan orders.Entry {
	c := make(chan orders.Entry, 1)
	s.errands.watch[id] = append(s.errands.watch[id], c)
	return c
}

// Give has a machine do something. It returns when that is durable here; what becomes of it Order tells. It may be called from any
// goroutine while Run runs, as may Order, Orders and Declared.
func (s *Station) Give(ctx context.Context, r orders.Request) (orders.Entry, error) {
	g, err := ask(ctx, s, func() given {
		e, err := s.errands.book.Give(s.time(), r)
		return given{entry: e, next: s.watch(e.ID), err: err}
	})
	if err = errors.Join(err, g.err); err != nil {
		return orders.Entry{}, err
	}
	return s.next(ctx, g)
}

func (s *Station) next(ctx context.Context, g given) (orders.Entry, error) {
	select {
	case e := <-g.next:
		return e, nil
	case <-s.ended:
		return g.entry, ErrEnded
	case <-ctx.Done():
		return g.entry, fmt.Errorf("station: order %s: %w", g.entry.ID, ctx.Err())
	}
}

// Order returns an order. Where its state is the one that is known already, it waits for a change of it, until ctx ends; it does not
// wait for one that has ended.
func (s *Station) Order(ctx context.Context, id command.ID, known command.State) (orders.Entry, error) {
	g, err := ask(ctx, s, func() given {
		e, ok := s.errands.book.Get(id)
		if !ok {
			return given{err: fmt.Errorf("station: order %s: %w", id, ground.ErrNotFound)}
		}
		if e.State != known || e.State.Ended() {
			return given{entry: e}
		}
		return given{entry: e, next: s.watch(id)}
	})
	if err = errors.Join(err, g.err); err != nil || g.next == nil {
		return g.entry, err
	}
	e, err := s.next(ctx, g)
	if errors.Is(err, ctx.Err()) {
		err = nil // nothing has changed
	}
	return e, err
}

// Orders returns the last orders of a machine, at most so many, the newest first.
func (s *Station) Orders(ctx context.Context, device string, most int) ([]orders.Entry, error) {
	return ask(ctx, s, func() []orders.Entry { return s.errands.book.List(device, most) })
}

// Declared returns what a machine can be told to do.
func (s *Station) Declared(ctx context.Context, device string) ([]command.Declaration, error) {
	return ask(ctx, s, func() []command.Declaration { return s.errands.book.Declared(device) })
}
