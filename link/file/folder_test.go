package file_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/file"
)

// logged collects what is told.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), s)
}

func fast(l *logged) file.Options {
	return file.Options{Poll: time.Millisecond, Logger: slog.New(slog.NewTextHandler(l, nil))}
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func dial(t *testing.T, dir string, o file.Options) link.Conn {
	t.Helper()
	c, err := file.Dialer{Dir: dir, Device: "rover", Options: o}.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func send(t *testing.T, c link.Conn, m string) {
	t.Helper()
	if err := c.Send(t.Context(), []byte(m)); err != nil {
		t.Fatal(err)
	}
}

// TestWhatIsNoMessage: torn and foreign files are left and told once; a copy that goes on is looked at again.
func TestWhatIsNoMessage(t *testing.T) {
	dir, log := t.TempDir(), new(logged)
	c := dial(t, dir, fast(log))
	send(t, c, "first")
	send(t, c, "second")
	up := filepath.Join(dir, "up", "rover")
	path := func(i int) string { return filepath.Join(up, fmt.Sprintf("%020d.msg", i)) }
	whole, err := os.ReadFile(path(0))
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)-1] ^= 1
	strange := map[string][]byte{
		path(2):                         whole[:len(whole)-1],
		path(3):                         flipped,
		path(4):                         []byte("somebody's text file, long enough to hold a header"),
		path(5):                         nil,
		path(6):                         make([]byte, link.MaxMessage+100),
		filepath.Join(up, "notes.txt"):  []byte("notes"),
		filepath.Join(up, "1.msg"):      whole,
		filepath.Join(dir, "up", "x"):   whole,
		filepath.Join(dir, "README.md"): whole,
	}
	for name, content := range strange {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	secret := filepath.Join(t.TempDir(), "elsewhere")
	if err := errors.Join(os.WriteFile(secret, whole, 0o600), os.Symlink(secret, path(7)), os.Mkdir(path(8), 0o700),
		os.Mkdir(filepath.Join(dir, "up", "No Device"), 0o700)); err != nil {
		t.Fatal(err)
	}
	r, err := file.Listen(dir, fast(log))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, want := range []string{"first", "second"} {
		if m, err := r.Recv(t.Context()); err != nil || string(m.Message) != want || m.Device != "rover" {
			t.Fatalf("%q from %q, %v, want %q", m.Message, m.Device, err, want)
		}
	}
	if m, err := r.Recv(within(t, 50*time.Millisecond)); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%q, %v", m.Message, err)
	}
	for i := 2; i <= 6; i++ {
		if n := log.count(filepath.Base(path(i))); n != 1 {
			t.Errorf("%s was told %d times, want once", filepath.Base(path(i)), n)
		}
	}
	for name := range strange {
		if _, err := os.Stat(name); err != nil {
			t.Errorf("a foreign file is gone: %v", err)
		}
	}
	if err := os.WriteFile(path(2), whole, 0o600); err != nil { // the copy is complete
		t.Fatal(err)
	}
	if m, err := r.Recv(within(t, 10*time.Second)); err != nil || string(m.Message) != "first" {
		t.Errorf("%q, %v", m.Message, err)
	}
}

// TestFull: beyond the limits the machine waits until there is room or its context ends, and the ground drops.
func TestFull(t *testing.T) {
	for name, limits := range map[string]file.Limits{"count": {Count: 3}, "bytes": {Bytes: 3 * 116}} {
		t.Run(name, func(t *testing.T) {
			dir, o := t.TempDir(), fast(new(logged))
			o.Limits = limits
			c := dial(t, dir, o)
			message := make([]byte, 100)
			for range 3 {
				if err := c.Send(t.Context(), message); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.Send(within(t, 30*time.Millisecond), message); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("a message too many: %v, want context.DeadlineExceeded", err)
			}
			sent := make(chan error, 1)
			go func() { sent <- c.Send(t.Context(), message) }()
			r, err := file.Listen(dir, o)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			for range 4 {
				if _, err := r.Recv(within(t, 10*time.Second)); err != nil {
					t.Fatal(err)
				}
			}
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if err := r.Send(t.Context(), "rover", message); err != nil {
					t.Fatal(err)
				}
			}
			if err := r.Send(t.Context(), "rover", message); err == nil || errors.Is(err, link.ErrClosed) {
				t.Errorf("the ground's message too many: %v", err)
			}
		})
	}
}

// TestNumbersGoOn: a machine that starts again does not overwrite what was not fetched, and removes what it left unfinished.
func TestNumbersGoOn(t *testing.T) {
	dir, o := t.TempDir(), fast(new(logged))
	first := dial(t, dir, o)
	send(t, first, "1")
	unfinished := filepath.Join(dir, "up", "rover", ".fulmar-X")
	if err := os.WriteFile(unfinished, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	send(t, first, "2")
	fetch := func(list ...string) {
		t.Helper()
		r, err := file.Listen(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for _, want := range list {
			if m, err := r.Recv(within(t, 10*time.Second)); err != nil || string(m.Message) != want {
				t.Fatalf("%q, %v, want %q", m.Message, err, want)
			}
		}
	}
	fetch("1")
	second := dial(t, dir, o) // the former is not closed
	if _, err := os.Stat(unfinished); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an unfinished file is left: %v", err)
	}
	send(t, second, "3")
	send(t, first, "4")
	send(t, second, "5")
	fetch("2", "3", "4", "5")
}

// TestStick: a stick that is not there is a link that is down; one that is pulled cuts it; the ground waits for one.
func TestStick(t *testing.T) {
	stick, o := filepath.Join(t.TempDir(), "fulmar"), fast(new(logged))
	d := file.Dialer{Dir: stick, Device: "rover", Options: o}
	if _, err := d.Dial(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("dial without a stick: %v", err)
	}
	r, err := file.Listen(stick, o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Recv(within(t, 20*time.Millisecond)); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if err := r.Send(t.Context(), "rover", []byte("x")); err == nil {
		t.Error("the ground sent to a stick that is not there")
	}
	if err := os.Mkdir(stick, 0o700); err != nil {
		t.Fatal(err)
	}
	c := dial(t, stick, o)
	send(t, c, "up")
	if m, err := r.Recv(within(t, 10*time.Second)); err != nil || string(m.Message) != "up" {
		t.Fatalf("%q, %v", m.Message, err)
	}
	if err := os.RemoveAll(stick); err != nil {
		t.Fatal(err)
	}
	if err := c.Send(t.Context(), []byte("up")); !errors.Is(err, link.ErrClosed) {
		t.Errorf("send to a stick that was pulled: %v, want ErrClosed", err)
	}
	if _, err := c.Recv(t.Context()); !errors.Is(err, link.ErrClosed) {
		t.Errorf("receive from a stick that was pulled: %v, want ErrClosed", err)
	}
}
