package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fulmar-io/fulmar/courier/spool"
	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// outage is what became of a backlog.
type outage struct {
	readings uint64
	first    time.Duration // from when the ground was there again until it had something new
	whole    time.Duration // until it had everything
	most     int64         // bytes of memory that the courier half had meanwhile
}

// returning has the ground go away, lets the producers go on until there is a backlog, has the ground come back, and watches the courier
// half bring it everything.
func (f *fulmarWay) returning(ctx context.Context, dir string, backlog uint64) (o outage, err error) {
	if dir, err = os.MkdirTemp(dir, "outage-"); err != nil {
		return o, err
	}
	c, err := f.begin(ctx, dir)
	if err != nil {
		return o, err
	}
	defer c.end()
	c.ground.process.stop(syscall.SIGKILL)
	if err := c.producer.tell(order{For: time.Hour, Most: backlog}); err != nil {
		return o, err
	}
	var p produced
	if err := c.producer.hear(&p); err != nil {
		return o, err
	}
	o.readings = p.Readings
	if err := c.ground.start(ctx); err != nil {
		return o, err
	}
	c.stops = append(c.stops, func() { c.ground.process.stop(syscall.SIGTERM) })
	returned := time.Now()
	err = c.until(ctx, func() (bool, error) {
		u, err := usageOf(c.sender)
		if err != nil {
			return false, err
		}
		o.most = max(o.most, u.rss)
		n, err := c.committed(ctx)
		if n > 0 && o.first == 0 {
			o.first = time.Since(returned)
		}
		return n >= p.Readings, err
	})
	o.whole = time.Since(returned)
	return o, err
}

// durable is how fast records are made durable by many at once, each of whom waits for its own.
type durable struct {
	rate     float64       // records a second
	sync     time.Duration // median of a write's fdatasync, before and after
	p50, p99 time.Duration
}

// waiters is how many wait at once.
const waiters = 64

func (f *fulmarWay) durably(ctx context.Context, dir string, length time.Duration) (d durable, err error) {
	if dir, err = os.MkdirTemp(dir, "durable-"); err != nil {
		return d, err
	}
	many := fulmarWay{binary: f.binary, shape: shape{Producers: waiters, Series: 1, Together: 1, Request: 1}}
	before, err := syncTime(dir)
	if err != nil {
		return d, err
	}
	c, err := many.begin(ctx, dir)
	if err != nil {
		return d, err
	}
	defer c.end()
	var p produced
	if err := errors.Join(c.producer.tell(order{For: length}), c.producer.hear(&p)); err != nil {
		return d, err
	}
	c.end()
	after, err := syncTime(dir)
	return durable{rate: float64(p.Requests) / p.Took.Seconds(), sync: (before + after) / 2, p50: p.P50, p99: p.P99}, err
}

// syncTime is the median of how long fdatasync takes after a kilobyte was appended.
func syncTime(dir string) (time.Duration, error) {
	f, err := os.CreateTemp(dir, "sync-")
	if err != nil {
		return 0, err
	}
	took := make([]time.Duration, 500)
	b := make([]byte, 1024)
	for i := range took {
		if _, err = f.Write(b); err != nil {
			break
		}
		begun := time.Now()
		if err = unix.Fdatasync(int(f.Fd())); err != nil {
			break
		}
		took[i] = time.Since(begun)
	}
	slices.Sort(took)
	return took[len(took)/2], errors.Join(err, f.Close(), os.Remove(f.Name()))
}

// opening returns how long a courier half takes from its start until it is ready, with a spool of so many bytes that is not in the
// system's cache.
func (f *fulmarWay) opening(ctx context.Context, dir string, bytes int64) (took time.Duration, err error) {
	if dir, err = os.MkdirTemp(dir, "opening-"); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	g, err := f.ground(ctx, dir)
	if err == nil {
		err = fill(ctx, g.path("machine"), bytes)
	}
	if err == nil {
		err = uncache(g.path("machine"))
	}
	file := g.path("machine.yaml")
	if err == nil {
		text := settings(g.path("machine"), g.path("identity"), g.broker, 1) + "courier: {spool: {max_bytes: 4GiB}}\n"
		err = os.WriteFile(file, []byte(text), 0o600)
	}
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	p, err := start(ctx, "courier half", false, f.binary, "run", file, "--courier-half", "--region", "")
	if err != nil {
		return 0, err
	}
	defer p.stop(syscall.SIGTERM)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(p.says.String(), "region /") {
		select {
		case <-tick.C:
		case <-p.ended:
			return 0, fmt.Errorf("the courier half has ended: %s", p.says)
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return time.Since(begun), nil
}

// fill makes a spool of so many bytes, of frames of numbers that no codec makes smaller.
func fill(ctx context.Context, data string, bytes int64) (err error) {
	disk, err := env.NewOSDisk(data)
	if err != nil {
		return err
	}
	s, err := spool.Open(disk, "spool", "bench", spool.Options{MaxBytes: 4 * bytes})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	const records = 8192
	boot := telemetry.Boot{1}
	most := uint64(bytes) // every record has more than a byte
	if err := s.Begin(boot, [packet.Classes]uint64{most, most, most}); err != nil {
		return err
	}
	l := &telemetry.Layout{Name: "noise", Kind: telemetry.Reading, Fields: []telemetry.Field{{Name: "a", Type: packet.Float64}, {Name: "b", Type: packet.Float64}}}
	if err := l.Validate(); err != nil {
		return err
	}
	e, rng := frame.NewEncoder(), rand.New(rand.NewPCG(1, 2))
	e.Reset(telemetry.Stream{Device: "bench", Boot: boot, Class: packet.Normal})
	var w packet.Writer
	for seq, used := uint64(0), int64(0); used < bytes && ctx.Err() == nil; used, _ = s.Bytes() {
		for range records {
			w.Reset(nil, packet.Header{Layout: uint64(l.ID()), Seq: seq, Mono: int64(seq), Class: packet.Normal})
			w.Float64(rng.NormFloat64())
			w.Float64(rng.NormFloat64())
			b, err := w.Bytes()
			if err == nil {
				err = e.Append(l, b)
			}
			if err != nil {
				return err
			}
			seq++
		}
		for e.Len() > 0 {
			b, err := e.Finish(nil)
			if err == nil {
				_, err = s.Append(packet.Normal, b)
			}
			if err == nil {
				err = s.Sync()
			}
			if err != nil {
				return err
			}
		}
	}
	return errors.Join(ctx.Err(), s.End())
}

// uncache has the system forget the content of the files in a folder.
func uncache(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		return errors.Join(unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED), f.Close())
	})
}
