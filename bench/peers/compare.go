package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

// options are the comparison's.
type options struct {
	fulmar, collector, nats, mosquitto string // programs
	together                           int
	length                             time.Duration
	rounds                             int
	backlog                            uint64
	spool                              int64
}

func compare(ctx context.Context) (err error) {
	var o options
	flag.StringVar(&o.fulmar, "fulmar", "", "program")
	flag.StringVar(&o.collector, "collector", "", "program; empty leaves it out, as with the other peers")
	flag.StringVar(&o.nats, "nats", "", "program")
	flag.StringVar(&o.mosquitto, "mosquitto", "", "program")
	flag.IntVar(&o.together, "together", 25, "series that are sampled together: 1, 2, 5, 10, 25 or 50")
	flag.DurationVar(&o.length, "for", 8*time.Second, "length of a round's load")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds of each")
	flag.Uint64Var(&o.backlog, "backlog", 10_000_000, "readings that wait for the ground's return; 0 leaves that out")
	flag.Int64Var(&o.spool, "spool", 1<<30, "bytes of the spool that is opened; 0 leaves that out")
	flag.Parse()
	dir, err := os.MkdirTemp("", "fulmar-peers-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return o.run(ctx, dir, os.Stdout)
}

func (o options) run(ctx context.Context, dir string, w io.Writer) error {
	s := compared(o.together)
	ours := &fulmarWay{binary: o.fulmar, shape: s}
	list := []*entrant{{way: ours, note: ", sealed"}}
	if o.together > 1 {
		list = append(list, &entrant{way: &fulmarWay{binary: o.fulmar, shape: compared(1)}, note: ", each reading a record of its own"})
	}
	if o.collector != "" {
		list = append(list, &entrant{way: &collectorWay{o.collector, s}})
	}
	if o.nats != "" {
		list = append(list, &entrant{way: &natsWay{o.nats, s}})
	}
	if o.mosquitto != "" {
		list = append(list, &entrant{way: &mosquittoWay{o.mosquitto, s}, note: ", acknowledged from memory"})
	}
	fmt.Fprintf(w, "%s\n%d series, %d producers, requests of %d readings, %d sampled together; %d rounds of %s\n\n", machineKind(), s.Producers*s.Series, s.Producers, s.Request,
		s.Together, o.rounds, o.length)
	for range o.rounds {
		for _, e := range list {
			m, err := round(ctx, e.way, dir, o.length)
			if err != nil {
				return err
			}
			e.rounds = append(e.rounds, m)
			fmt.Fprintf(os.Stderr, "%s: %.0f readings/s\n", e.way.name(), m.rate())
		}
	}
	printTable(w, list)
	targets, err := o.scenes(ctx, dir, ours, ratios(list))
	if err != nil {
		return err
	}
	fmt.Fprintln(w)
	printTargets(w, targets)
	return nil
}

// ratios are the targets of the rounds: ours, which is first, beside the others.
func ratios(list []*entrant) (targets []target) {
	ours := list[0]
	for _, e := range list[1:] {
		limit := map[string]float64{collectorName: 10, natsName: 1.5}[e.way.name()] // none for the others
		if limit > 0 {
			targets = append(targets, target{"readings/s, ÷ " + e.way.name() + "'s", ours.rate() / e.rate(), limit, "", true})
		}
	}
	return append(targets,
		target{"courier half, CPU-s per million readings", median(ours.rounds, measured.senderCPU), 2, "", false},
		target{"ground, CPU-s per million readings", median(ours.rounds, measured.receiverCPU), 1, "", false},
		target{"bytes per reading on the link", median(ours.rounds, measured.bytesEach), 4.5, "", false},
		target{"courier half's memory under the load", median(ours.rounds, measured.senderMiB), 40, "MiB", false})
}

// scenes plays what is ours alone.
func (o options) scenes(ctx context.Context, dir string, ours *fulmarWay, targets []target) ([]target, error) {
	d, err := ours.durably(ctx, dir, o.length)
	if err != nil {
		return nil, fmt.Errorf("durably: %w", err)
	}
	targets = append(targets, target{fmt.Sprintf("PublishDurable of %d at once, × fdatasync's %d µs ÷ %d", waiters, d.sync.Microseconds(), waiters),
		d.rate * d.sync.Seconds() / waiters, 0.5, "", true})
	if o.backlog > 0 {
		out, err := ours.returning(ctx, dir, o.backlog)
		if err != nil {
			return nil, fmt.Errorf("return of the ground: %w", err)
		}
		targets = append(targets, target{"first delivery after the ground's return", out.first.Seconds(), 2, "s", false},
			target{fmt.Sprintf("courier half's memory while it drains %d readings, in %.1f s", out.readings, out.whole.Seconds()), float64(out.most) / (1 << 20), 64, "MiB", false})
	}
	if o.spool > 0 {
		took, err := ours.opening(ctx, dir, o.spool)
		if err != nil {
			return nil, fmt.Errorf("opening of a spool: %w", err)
		}
		targets = append(targets, target{fmt.Sprintf("a courier half starts, with %d MiB in its spool", o.spool>>20), took.Seconds(), 1, "s", false})
	}
	return targets, nil
}

// What peers with a target are called.
const (
	collectorName = "OpenTelemetry Collector"
	natsName      = "NATS JetStream"
)
