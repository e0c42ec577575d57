package gnss_test

import (
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/drivers/gnss"
)

// wire is a serial line: what was sent arrives with the next Read, at most chunk bytes at once; what is written is kept.
type wire struct {
	arriving []byte
	chunk    func() int // nil: all there is room for
	written  []byte
	room     int   // of the host's queue, 0 for no end
	err      error // of each call
}

func (w *wire) send(p []byte) { w.arriving = append(w.arriving, p...) }

func (w *wire) Read(p []byte) (int, error) {
	if w.chunk != nil {
		p = p[:min(len(p), w.chunk())]
	}
	n := copy(p, w.arriving)
	w.arriving = w.arriving[n:]
	return n, w.err
}

func (w *wire) Write(p []byte) (int, error) {
	if w.room > 0 {
		p = p[:min(len(p), w.room)]
	}
	w.written = append(w.written, p...)
	return len(p), w.err
}

// poll polls until the wire is empty.
func poll(t testing.TB, r *gnss.Receiver, now time.Duration) {
	t.Helper()
	if err := r.Poll(now); err != nil {
		t.Fatal(err)
	}
}
