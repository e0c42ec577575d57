package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/courier"
	"github.com/fulmar-io/fulmar/courier/delivery"
	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/recording/ulog"
	"github.com/fulmar-io/fulmar/ring"
	"github.com/fulmar-io/fulmar/secure/identity"
	"github.com/fulmar-io/fulmar/secure/seal"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Options of a replay.
type Options struct {
	Device string
	Disk   env.Disk // holds the spool
	Links  []link.Dialer
	// Courier shapes batches, spool and delivery; Device, Disk and Session are filled in.
	Courier courier.Options
	// Keys are the identity by which everything is sealed. Nil sends in the clear: for the bench.
	Keys *identity.Keyring
	// Filter holds messages back; nil passes all.
	Filter telemetry.Filter
	// Speed is how fast: 1 is real time, 2 twice that, 0 as fast as it goes. A gap in the recording of more than a minute is
	// not waited for.
	Speed float64
	// Linger is how long to wait, after the last message, for the ground to have everything.
	Linger time.Duration
	Clock  env.Clock // the courier's. Default env.SystemClock
	Random io.Reader // names the boot and a new spool
	Logger *slog.Logger
}

// Result is what a replay came to.
type Result struct {
	Messages    uint64 // of the recording
	Filtered    uint64 // of them, held back by the filter
	Readings    uint64 // in those that were published
	Account     ledger.Account
	BytesOnLink uint64
	Repeats     uint64  // frames sent again
	Damaged     []error // places of the recording that were passed over
	Links       []delivery.LinkStatus
}

type sender struct {
	o         Options
	publisher *fulmar.Publisher
	w         packet.Writer
	found     survey
	result    Result
}

// Send publishes a PX4 ULog recording, which it reads twice, and delivers it. The error is nil when all of it is in the spool;
// whether the ground has it too, Result.Account.Waiting tells.
func Send(ctx context.Context, o Options, file io.ReadSeeker) (Result, error) {
	s := &sender{o: o}
	recording, err := s.read(ctx, file)
	if err != nil {
		return Result{}, err
	}
	clock := o.Clock
	if clock == nil {
		clock = env.SystemClock{}
	}
	o.Courier.Device, o.Courier.Disk = o.Device, o.Disk
	o.Courier.Delivery.Links = delivery.For(o.Courier.Delivery.Links, o.Links)
	o.Courier.Spool.Random = o.Random
	if o.Keys != nil {
		session, err := seal.Begin(o.Keys, time.Unix(0, clock.Now().Wall))
		if err != nil {
			return Result{}, err
		}
		o.Courier.Session = session
	}
	c, err := courier.Open(o.Courier, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())))
	if err != nil {
		return Result{}, err
	}
	boot, err := telemetry.NewBoot(c.LastBoot(), time.Unix(0, clock.Now().Wall), o.Random)
	if err == nil {
		err = c.Begin(boot)
	}
	if err != nil {
		return Result{}, errors.Join(err, c.Close())
	}
	const producers, own, source = 2, 0, 1
	region, err := ring.Create("", ring.Options{Device: o.Device, Boot: boot, Producers: producers, Capacity: 8 << 20})
	if err != nil {
		return Result{}, errors.Join(err, c.Close())
	}
	if err = c.Attach(region, own); err == nil {
		s.publisher, err = fulmar.NewPublisher(region, source, o.Filter)
	}
	if err == nil {
		err = s.send(ctx, c, recording, func() time.Duration { return time.Duration(clock.Now().Mono) })
	}
	return s.result, errors.Join(err, c.Close(), region.Close())
}

// read surveys a recording and returns a reader for the second time.
func (s *sender) read(ctx context.Context, file io.ReadSeeker) (*ulog.Reader, error) {
	begin, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, fmt.Errorf("replay: a recording is read twice: %w", err)
	}
	r, err := ulog.NewReader(file, ulog.Options{})
	if err != nil {
		return nil, err
	}
	if err := s.survey(ctx, r); err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	if _, err := file.Seek(begin, io.SeekStart); err != nil {
		return nil, fmt.Errorf("replay: read it again: %w", err)
	}
	return ulog.NewReader(file, ulog.Options{})
}

// send runs the courier beside the publishing.
func (s *sender) send(ctx context.Context, c *courier.Courier, recording *ulog.Reader, now func() time.Duration) error {
	runner := &courier.Runner{Courier: c, Links: s.o.Links, Now: now, Linger: s.o.Linger, Keys: s.o.Keys, Logger: s.o.Logger}
	courierCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- runner.Run(courierCtx) }()
	err := s.publish(ctx, recording)
	stop()
	err = errors.Join(err, <-ended)
	status := runner.Status()
	for _, a := range status.Accounts {
		s.result.Account.Add(a)
	}
	for _, l := range status.Links {
		s.result.BytesOnLink += l.SentBytes
		s.result.Repeats += l.Repeats
	}
	s.result.Links = status.Links
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	return nil
}
