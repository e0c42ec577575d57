package station

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/ground"
	"github.com/fulmar-io/fulmar/ground/ingest"
	"github.com/fulmar-io/fulmar/ground/store"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/telemetry"
)

// Options of a Station.
type Options struct {
	// Disk holds the frames, in the folder "frames". IndexPath is where the index is, in the operating system's terms.
	Disk      env.Disk
	IndexPath string
	Receivers []link.Receiver // closed by Run
	Ingest    ingest.Options
	Frames    store.FramesOptions
	// Series is how many each device may have over its layouts; 0 is no bound.
	Series int
	// Publish is told of every committed frame, for those who watch; nil if nobody can. Missed is told when some were
	// indexed of which Publish was not: those who watch are to ask the index.
	Publish func(ground.Update)
	Missed  func()
	// Wall is the ground's clock. Default time.Now.
	Wall   func() time.Time
	Logger *slog.Logger
}

// Station is a ground. Source, Intake and Delayed may be used while Run runs.
type Station struct {
	o       Options
	intake  *ingest.Intake
	index   *store.Index
	errands errands

	failing            atomic.Int64  // when the log began to fail to be durable, ns since 1970; 0 if it does not
	refusing           atomic.Int64  // when the log began to take no frames, likewise
	stored, syncErrors atomic.Uint64 // bytes of frames; times

	events    chan func()
	turns     *turns
	ended     chan struct{} // Run takes no more of them
	commits   chan []store.Item
	behind    atomic.Bool // frames are committed that the indexer must look for in the log
	wg        sync.WaitGroup
	senders   map[string]link.Receiver // device → where it was heard last; of the loop
	drops     map[ingest.Why]*drops    // of the loop
	nuisances nuisances                // of the loop
	refused   uint64                   // Next of the log when it took a frame no more; of the loop
}

// Open opens the log and the index and brings the index up to date.
func Open(ctx context.Context, o Options) (*Station, error) {
	if o.Wall == nil {
		o.Wall = time.Now
	}
	if o.Publish == nil {
		o.Publish = func(ground.Update) {}
	}
	if o.Missed == nil {
		o.Missed = func() {}
	}
	in, err := ingest.OpenIntake(o.Disk, "frames", o.Ingest, o.Frames)
	if err != nil {
		return nil, err
	}
	index, rebuilt, err := store.OpenIndex(ctx, o.IndexPath, in.Frames())
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	if rebuilt != nil {
		o.Logger.Error("the index was damaged; it is built again from the frames, the old one is set aside", "error", rebuilt)
	}
	index.Ledger = in.Account
	index.Quota = store.Quota{Layouts: o.Ingest.WithDefaults().Quota.Layouts, Series: o.Series}
	s := &Station{o: o, intake: in, index: index, events: make(chan func(), 256), turns: newTurns(turnsMost, turnsShare), ended: make(chan struct{}), commits: make(chan []store.Item, 64),
		senders: make(map[string]link.Receiver), drops: make(map[ingest.Why]*drops)}
	if err := s.openOrders(ctx); err != nil {
		return nil, errors.Join(err, index.Close(), in.Close())
	}
	return s, nil
}

// Index returns the station's index.
func (s *Station) Index() *store.Index { return s.index }

// Intake returns the station's intake.
func (s *Station) Intake() *ingest.Intake { return s.intake }

// Run receives, stores, acknowledges and indexes until ctx ends, and returns after everything it started has. What was
// received and not yet committed is not acknowledged, and comes again.
func (s *Station) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, r := range s.o.Receivers {
		s.wg.Add(1)
		go func() { defer s.wg.Done(); s.receive(ctx, r) }()
	}
	indexed := make(chan struct{})
	go func() { defer close(indexed); s.indexer() }()
	s.loop(ctx)
	close(s.ended)
	var err error
	for _, r := range s.o.Receivers {
		err = errors.Join(err, r.Close())
	}
	ended := make(chan struct{})
	go func() { s.wg.Wait(); close(ended) }()
	for waiting := true; waiting; {
		select {
		case <-s.events: // of goroutines that end
		case <-ended:
			waiting = false
		}
	}
	close(s.commits)
	<-indexed
	return errors.Join(err, s.errands.book.Close(), s.index.Close(), s.intake.Close())
}

// Trusted says that what the ground's keys trust is another now; machines are told. It may be called while Run runs.
func (s *Station) Trusted() {
	select {
	case s.events <- s.intake.Trusted:
	case <-s.ended:
	}
}

// loop is the one goroutine that touches the intake.
func (s *Station) loop(ctx context.Context) {
	tick := time.NewTicker(tickPeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-s.events:
			f()
		case <-s.turns.wake:
			s.take()
		case <-tick.C:
			s.errands.book.Tick(s.time())
		}
		s.performOrders(ctx)
		s.perform(ctx)
	}
}

func (s *Station) receive(ctx context.Context, r link.Receiver) {
	for {
		m, err := r.Recv(ctx)
		if err != nil {
			if ctx.Err() == nil {
				s.o.Logger.Error("link ended", "link", r.String(), "error", err)
			}
			return
		}
		if whose := s.turns.put(arrival{from: r, Inbound: m}); whose != "" {
			err := errors.New("station: it has sent more than can wait")
			select {
			case s.events <- func() { s.dropped(ingest.Dropped{Device: whose, Why: ingest.OverQuota, Err: err}) }:
			case <-ctx.Done():
				return
			}
		}
	}
}

// take takes the message whose turn it is.
func (s *Station) take() {
	a, ok := s.turns.next()
	if !ok {
		return
	}
	s.senders[a.Device] = a.from
	if err := s.intake.Message(s.o.Wall().UnixNano(), a.Device, a.Message); err != nil {
		s.o.Logger.Warn("message dropped", "link", a.from.String(), "device", a.Device, "error", err)
	}
}

func (s *Station) perform(ctx context.Context) {
	var items []store.Item
	for effects := s.intake.Effects(); len(effects) > 0; effects = s.intake.Effects() {
		for _, e := range effects {
			switch e := e.(type) {
			case ingest.Sync:
				s.wg.Add(1)
				go func() { defer s.wg.Done(); s.sync(ctx) }()
			case ingest.Reply:
				s.reply(ctx, e)
			case ingest.Answered:
				s.answered(e)
			case ingest.Dropped:
				s.dropped(e)
			case ingest.Committed:
				s.stored.Add(uint64(len(e.Data)))
				// Not one from before, whose Sync has ended only now.
				if e.Index >= s.refused && s.refusing.Swap(0) != 0 {
					s.o.Logger.Info(durableAgain)
				}
				items = append(items, store.Item{Index: e.Index, Received: e.Received, Committed: s.o.Wall().UnixNano(), Data: e.Data})
			}
		}
	}
	if len(items) > 0 {
		select {
		case s.commits <- items:
		default: // the indexer finds them in the log
			s.behind.Store(true)
		}
	}
}

// syncRetry is how long a failing disk is left alone between attempts.
const syncRetry = time.Second

// durableAgain is said when the disk takes frames again after it did not.
const durableAgain = "frames are durable again"

func (s *Station) sync(ctx context.Context) {
	err := s.intake.Sync()
	if err == nil {
		if s.failing.Swap(0) != 0 {
			s.o.Logger.Info(durableAgain)
		}
	} else {
		s.failing.CompareAndSwap(0, s.o.Wall().UnixNano())
		s.syncErrors.Add(1)
		s.o.Logger.Error("frames cannot be made durable; nothing is acknowledged until they are", "error", err)
		t := time.NewTimer(syncRetry)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	select {
	case s.events <- func() { s.intake.Synced(err) }:
	case <-ctx.Done():
	}
}

// dropPeriod is how often it is told that frames are dropped for one reason: a machine sends again and again.
const dropPeriod = time.Minute

func (s *Station) dropped(e ingest.Dropped) {
	now := s.o.Wall()
	if e.Why == ingest.Unstored {
		s.refusing.CompareAndSwap(0, now.UnixNano())
		s.refused = s.intake.Frames().Next()
	}
	d := s.drops[e.Why]
	if d == nil {
		d = new(drops)
		s.drops[e.Why] = d
	}
	s.nuisances.note(s.senders[e.Device], e.Device, now)
	d.since++
	if now.Sub(d.told) < dropPeriod {
		return
	}
	s.o.Logger.Error("frames are not taken; their machines keep them and send them again", "why", string(e.Why), "frames", d.since,
		"device", e.Device, "error", e.Err)
	*d = drops{told: now}
}

// drops are the frames that were dropped for one reason since that was told last.
type drops struct {
	told  time.Time
	since int
}

func (s *Station) reply(ctx context.Context, e ingest.Reply) {
	r := s.senders[e.Device]
	if r == nil {
		return
	}
	if refused, ok := e.Message.(link.Refuse); ok {
		s.o.Logger.Error("frame refused for good; its machine keeps it with the dead letters", "device", e.Device,
			"code", refused.Code.String(), "reason", refused.Text)
	}
	if err := r.Send(ctx, e.Device, e.Wire); err != nil {
		s.o.Logger.Debug("reply not sent; its machine asks again", "device", e.Device, "error", err)
	}
}

// indexer indexes what is committed. Where it missed something it reads the log.
func (s *Station) indexer() {
	ctx := context.Background()
	ask := time.NewTicker(askPeriod)
	defer ask.Stop()
	for {
		var items []store.Item
		var open bool
		select {
		case items, open = <-s.commits:
			if !open {
				return
			}
		case <-ask.C:
			if s.behind.Load() && len(s.commits) == 0 { // nothing comes that would show it
				s.catchUp(ctx)
			}
			s.ask()
			continue
		}
		if items[0].Index > s.index.Next() && !s.catchUp(ctx) {
			continue
		}
		updates, err := s.index.Add(ctx, items, true)
		if err != nil {
			s.behind.Store(true)
			s.o.Logger.Error("index is behind the log; it catches up", "error", err)
			continue
		}
		for _, u := range updates {
			s.o.Publish(u)
		}
		if err := s.index.Retain(ctx); err != nil {
			s.o.Logger.Error("retention", "error", err)
		}
	}
}

// catchUp indexes what was missed from the log, and reports whether it could. Nobody who watches was told of it.
func (s *Station) catchUp(ctx context.Context) bool {
	s.behind.Store(false)
	if err := s.index.CatchUp(ctx); err != nil {
		s.behind.Store(true)
		s.o.Logger.Error("index", "error", err)
		return false
	}
	s.o.Missed()
	return true
}

// askPeriod is how often missing layouts are asked for. Mostly they are under way: a frame of bulk records may overtake
// the urgent one that explains it.
const askPeriod = 2 * time.Second

// ask asks for the layouts that are still missing, and has frames refused whose layouts are more than their machines may have.
func (s *Station) ask() {
	for device, layouts := range s.index.Beyond() {
		select {
		case s.events <- func() { s.beyond(device, layouts) }:
		case <-s.ended:
		}
	}
	for device, ids := range s.index.Missing(link.MaxWanted) {
		select {
		case s.events <- func() { s.intake.Missing(device, ids) }:
		default: // asked again in the next round
		}
	}
}

func (s *Station) beyond(device string, layouts map[telemetry.LayoutID]string) {
	why := slices.Sorted(maps.Values(layouts))[0] // the others say as much
	s.o.Logger.Error("layouts of a machine are not taken; their records go to its dead letters", "device", device, "layouts", len(layouts), "why", why)
	s.intake.Beyond(device, layouts)
}
