package fulmar

import (
	"context"
	"errors"
	"time"

	"github.com/fulmar-io/fulmar/ring"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// ErrFull is returned when a record found no room: it is dropped, counted, and declared lost to the ground.
var ErrFull = ring.ErrFull

// A Publisher puts records into a machine's ring. It is for one goroutine at a time, and made by the machine.
type Publisher struct {
	region   *ring.Region
	producer *ring.Producer
	filter   telemetry.Filter

	published, filtered, dropped uint64
}

// NewPublisher returns the publisher over one producer of a region. A nil filter passes everything.
func NewPublisher(region *ring.Region, producer int, filter telemetry.Filter) (*Publisher, error) {
	p, err := region.Producer(producer)
	if err != nil {
		return nil, err
	}
	return &Publisher{region: region, producer: p, filter: filter}, nil
}

// Publish filters a record, numbers it and puts it in the ring. It never blocks and allocates nothing. A nil error means
// that the record survives this process, or that the filter held it back.
func (p *Publisher) Publish(r telemetry.Record) error {
	_, _, err := p.publish(r)
	return err
}

// Put is Publish past the filter: for what somebody waits for.
func (p *Publisher) Put(r telemetry.Record) error {
	_, _, err := p.put(r)
	return err
}

func (p *Publisher) publish(r telemetry.Record) (seq uint64, passed bool, err error) {
	if p.filter != nil && !p.filter.Pass(r) {
		p.filtered++
		return 0, false, nil
	}
	return p.put(r)
}

func (p *Publisher) put(r telemetry.Record) (seq uint64, passed bool, err error) {
	seq, err = p.producer.Publish(r.Packet)
	switch {
	case err == nil:
		p.published++
	case errors.Is(err, ErrFull):
		p.dropped++
	}
	return seq, true, err
}

// waitStep is how often a waiting publisher looks again. The courier frees room once per commit, which takes longer.
const waitStep = time.Millisecond

// PublishWait is Publish for a producer that can wait, such as a replay: where there is no room it waits for some, until
// ctx ends. Nothing is dropped unless ctx ends.
func (p *Publisher) PublishWait(ctx context.Context, r telemetry.Record) error {
	_, _, err := p.publishWait(ctx, r)
	return err
}

func (p *Publisher) publishWait(ctx context.Context, r telemetry.Record) (seq uint64, passed bool, err error) {
	if p.filter != nil && !p.filter.Pass(r) {
		p.filtered++
		return 0, false, nil
	}
	class := packet.Class(r.Packet[32])
	for !p.producer.Room(class, len(r.Packet)) {
		if err := sleep(ctx, waitStep); err != nil {
			return 0, false, err
		}
	}
	return p.put(r)
}

// PublishDurable is PublishWait, and returns after the record is on disk: then it survives a power cut too. The courier does not
// keep a record that somebody waits for until its batch is full or old: it commits at once, and what others wait for with it.
func (p *Publisher) PublishDurable(ctx context.Context, r telemetry.Record) error {
	seq, passed, err := p.publishWait(ctx, r)
	if err != nil || !passed {
		return err
	}
	return p.region.AwaitDurable(ctx, packet.Class(r.Packet[32]), seq)
}

// Flush declares what was dropped, if there is room, and reports whether nothing is left undeclared.
func (p *Publisher) Flush() bool { return p.producer.Flush() }

// Counts returns how many records passed, were held back by the filter, and were dropped.
func (p *Publisher) Counts() (published, filtered, dropped uint64) {
	return p.published, p.filtered, p.dropped
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
