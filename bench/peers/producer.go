package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"
)

// A requester sends requests and returns when what is in one is durable. It is for one goroutine.
type requester interface {
	request(ctx context.Context, samples []sample) error
}

// A source is where a producer's requests go.
type source interface {
	// open returns a requester per producer.
	open(ctx context.Context, s shape) ([]requester, error)
	// sender returns the process that is to be measured, if it is this one's child; otherwise 0.
	sender() int
	close() error
}

// order is what a producing process is told to do.
type order struct {
	For  time.Duration // how long to send
	Most uint64        // readings, unless it is 0
}

// ready is what it says when it can be told.
type ready struct{ Sender int }

// produced is what it did.
type produced struct {
	Readings uint64
	Requests uint64
	Took     time.Duration
	P50, P99 time.Duration // of a request
}

// produceHere is the producing process: it opens its source, says so, and carries out what its standard input says, until that ends.
func produceHere(ctx context.Context, src source, s shape) (err error) {
	if err := s.valid(); err != nil {
		return err
	}
	requesters, err := src.open(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	walks := make([]*walk, s.Producers)
	for i := range walks {
		walks[i] = newWalk(s, i)
	}
	say := json.NewEncoder(os.Stdout)
	if err := say.Encode(ready{Sender: src.sender()}); err != nil {
		return err
	}
	told := json.NewDecoder(bufio.NewReader(os.Stdin))
	for {
		var o order
		if err := told.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		p, err := produce(ctx, requesters, walks, o)
		if err != nil {
			return err
		}
		if err := say.Encode(p); err != nil {
			return err
		}
	}
}

// produce has all producers send at once.
func produce(ctx context.Context, requesters []requester, walks []*walk, o order) (produced, error) {
	var wg sync.WaitGroup
	tooks, errs := make([][]time.Duration, len(walks)), make([]error, len(walks))
	begun := time.Now()
	most := o.Most / uint64(len(walks))
	for i := range walks {
		wg.Go(func() { tooks[i], errs[i] = send(ctx, requesters[i], walks[i], begun.Add(o.For), most) })
	}
	wg.Wait()
	p := produced{Took: time.Since(begun)}
	all := slices.Concat(tooks...)
	p.Requests = uint64(len(all))
	p.Readings = p.Requests * uint64(walks[0].shape.Request)
	if slices.Sort(all); len(all) > 0 {
		p.P50, p.P99 = all[len(all)/2], all[len(all)*99/100]
	}
	return p, errors.Join(errs...)
}

// send sends one producer's requests, one after the other.
func send(ctx context.Context, r requester, w *walk, until time.Time, most uint64) (tooks []time.Duration, err error) {
	for now := time.Now(); now.Before(until) && (most == 0 || uint64(len(tooks)*w.shape.Request) < most); {
		if err := r.request(ctx, w.request()); err != nil {
			return tooks, fmt.Errorf("request %d: %w", len(tooks), err)
		}
		then := now
		now = time.Now()
		tooks = append(tooks, now.Sub(then))
	}
	return tooks, nil
}
