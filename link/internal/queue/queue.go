package queue

import (
	"context"
	"errors"
	"sync"
)

// ErrClosed is what Get returns when the queue is closed and empty.
var ErrClosed = errors.New("queue closed")

// A Queue holds values until they are taken. All methods may be called from any goroutine.
type Queue[T any] struct {
	maxCount, maxBytes int
	wake               chan struct{} // holds a token while there may be something to get
	closed             chan struct{}

	mu    sync.Mutex // guards what follows
	items []item[T]
	bytes int
	lost  uint64
	ended bool
}

type item[T any] struct {
	value T
	bytes int
}

// New returns a queue for at most maxCount values of at most maxBytes in all. A value that exceeds maxBytes alone is
// taken by an empty queue.
func New[T any](maxCount, maxBytes int) *Queue[T] {
	return &Queue[T]{maxCount: maxCount, maxBytes: maxBytes, wake: make(chan struct{}, 1), closed: make(chan struct{})}
}

// Put appends a value that takes so many bytes. It reports false, and counts the value as lost, if the queue is full or
// closed.
func (q *Queue[T]) Put(value T, bytes int) bool {
	q.mu.Lock()
	full := len(q.items) >= q.maxCount || len(q.items) > 0 && q.bytes+bytes > q.maxBytes
	if full || q.ended {
		q.lost++
		q.mu.Unlock()
		return false
	}
	q.items = append(q.items, item[T]{value, bytes})
	q.bytes += bytes
	q.mu.Unlock()
	q.signal()
	return true
}

// Get removes and returns the oldest value; it waits for one until ctx ends. A queue that was closed gives out what it
// holds and then ErrClosed.
func (q *Queue[T]) Get(ctx context.Context) (T, error) {
	for {
		value, ok, ended := q.take()
		if ok {
			return value, nil
		}
		if ended {
			return value, ErrClosed
		}
		select {
		case <-q.wake:
		case <-q.closed:
		case <-ctx.Done():
			return value, ctx.Err()
		}
	}
}

func (q *Queue[T]) take() (value T, ok, ended bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 {
		return value, false, q.ended
	}
	first := q.items[0]
	q.items[0] = item[T]{}
	q.items = q.items[1:]
	if len(q.items) == 0 {
		q.items = nil
	} else {
		q.signal() // another getter may wait for it
	}
	q.bytes -= first.bytes
	return first.value, true, false
}

func (q *Queue[T]) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Close ends the queue: it takes nothing more. It may be called twice.
func (q *Queue[T]) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.ended {
		q.ended = true
		close(q.closed)
	}
}

// Lost returns how many values were refused.
func (q *Queue[T]) Lost() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost
}
