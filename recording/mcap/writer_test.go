package mcap

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// A shortDisk takes some bytes and then fails.
type shortDisk struct {
	left int
	bytes.Buffer
}

var errDisk = errors.New("no space left")

func (d *shortDisk) Write(b []byte) (int, error) {
	n := min(len(b), d.left)
	d.left -= n
	d.Buffer.Write(b[:n])
	if n < len(b) {
		return n, errDisk
	}
	return n, nil
}

// TestWriteError fails at every byte: the error is told by that call and every later one, and what reached the disk is a
// cut file.
func TestWriteError(t *testing.T) {
	write := func(out io.Writer) error {
		w, err := NewWriter(out, WriterOptions{ChunkSize: 1 << 10, Uncompressed: true})
		if err != nil {
			return err
		}
		ch, err := w.AddChannel(0, "/a", "text", nil)
		for i := 0; err == nil && i < 40; i++ {
			err = w.Write(ch, uint32(i), uint64(i), uint64(i), []byte(strings.Repeat("a", 60)))
		}
		if err != nil {
			if again := w.Write(ch, 0, 0, 0, nil); !errors.Is(again, errDisk) {
				t.Errorf("a call after the error: %v", again)
			}
		}
		return errors.Join(err, w.Close())
	}
	var whole bytes.Buffer
	if err := write(&whole); err != nil {
		t.Fatal(err)
	}
	for n := range whole.Len() {
		d := &shortDisk{left: n}
		if err := write(d); !errors.Is(err, errDisk) {
			t.Fatalf("after %d bytes: %v", n, err)
		}
		if !bytes.HasPrefix(whole.Bytes(), d.Bytes()) {
			t.Fatalf("after %d bytes: another file", n)
		}
	}
}

// TestFullIndex: a file whose index is full is made whole up to there by Close.
func TestFullIndex(t *testing.T) {
	var buf bytes.Buffer
	w, err := NewWriter(&buf, WriterOptions{ChunkSize: 1 << 10, MaxIndex: 1 << 10})
	if err != nil {
		t.Fatal(err)
	}
	ch, err := w.AddChannel(0, "/a", "text", nil)
	if err != nil {
		t.Fatal(err)
	}
	taken := 0
	for ; err == nil && taken < 1000; taken++ {
		err = w.Write(ch, uint32(taken), uint64(taken), uint64(taken), make([]byte, 100))
	}
	if !errors.Is(err, ErrFull) {
		t.Fatalf("after %d messages: %v", taken, err)
	}
	if err := w.Close(); !errors.Is(err, ErrFull) {
		t.Fatalf("close: %v", err)
	}
	got, _ := readAll(t, bytes.NewReader(buf.Bytes()))
	if len(got) == 0 || len(got) >= taken {
		t.Errorf("%d messages of %d", len(got), taken)
	}
	x, err := NewIndexed(bytes.NewReader(buf.Bytes()), int64(buf.Len()), ReaderOptions{})
	if err != nil || x.Statistics().Messages != uint64(len(got)) || x.Statistics().ByChannel[ch] != uint64(len(got)) {
		t.Errorf("%v, want the statistics of %d messages", err, len(got))
	}
}

func TestRefused(t *testing.T) {
	w, err := NewWriter(io.Discard, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.AddChannel(1, "/a", "text", nil); err == nil {
		t.Error("a channel of an unknown schema was taken")
	}
	if err := w.Write(0, 0, 0, 0, nil); err == nil {
		t.Error("a message on an unknown channel was taken")
	}
	ch, err := w.AddChannel(0, "/a", "text", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(ch, 0, 0, 0, make([]byte, MaxMessage+1)); !errors.Is(err, ErrLimit) {
		t.Errorf("a message that is too large: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Write(ch, 0, 0, 0, nil); err == nil {
		t.Error("a message was taken after Close")
	}
	if err := w.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// TestWriteAllocates: once the buffers have grown, a message costs no memory.
func TestWriteAllocates(t *testing.T) {
	w, err := NewWriter(io.Discard, WriterOptions{ChunkSize: 4 << 10})
	if err != nil {
		t.Fatal(err)
	}
	ch, err := w.AddChannel(0, "/a", "text", nil)
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 100)
	write := func() {
		if err := w.Write(ch, 0, 0, 0, data); err != nil {
			t.Fatal(err)
		}
	}
	for range 1000 {
		write()
	}
	// Only the summary grows: an entry per chunk of some 35 messages.
	if n := testing.AllocsPerRun(1000, write); n > 0.1 {
		t.Errorf("%v allocations per message", n)
	}
}
