package serial_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/serial"
)

// terminal opens a pseudo-terminal: its master, and the path of its other side, which is a serial port to who opens it.
func terminal(t *testing.T) (master *os.File, path string) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("there are no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	raw, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if e := raw.Control(func(fd uintptr) {
		err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0)
		if err == nil {
			n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}); e != nil || err != nil {
		t.Skipf("there are no pseudo-terminals here: %v, %v", e, err)
	}
	return master, fmt.Sprintf("/dev/pts/%d", n)
}

// wired is two pseudo-terminals and a cable between their masters.
type wired struct {
	masters [2]*os.File
	paths   [2]string
}

func newWired(t *testing.T) *wired {
	w := &wired{}
	for i := range 2 {
		w.masters[i], w.paths[i] = terminal(t)
	}
	for i := range 2 {
		from, to := w.masters[i], w.masters[1-i]
		done := make(chan struct{})
		go func() {
			defer close(done)
			bridge(from, to)
		}()
		t.Cleanup(func() {
			from.Close()
			to.Close()
			<-done
		})
	}
	return w
}

// bridge copies until the cable is gone. While nobody has the other side open, a master says EIO: then there is nothing to
// copy yet.
func bridge(from, to *os.File) {
	b := make([]byte, 4096)
	for {
		n, err := from.Read(b)
		if errors.Is(err, unix.EIO) {
			<-time.After(5 * time.Millisecond)
			continue
		}
		if err != nil {
			return
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

const ptyBaud = 921600

func (w *wired) dial(t *testing.T) link.Conn {
	return dial(t, serial.Dialer{Path: w.paths[0], Device: "rover", Options: serial.Options{Baud: ptyBaud}})
}

func (w *wired) listen(t *testing.T) *serial.Receiver {
	t.Helper()
	r, err := serial.Listen(w.paths[1], serial.Options{Baud: ptyBaud, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// Serial ports of the kernel's, as they are opened in earnest: every byte value comes through, either end is closed and opened
// again, and nobody else gets in.
func TestTerminals(t *testing.T) {
	w := newWired(t)
	p := pair{r: w.listen(t), conn: w.dial(t)}
	every := make([]byte, 1024)
	for i := range every {
		every[i] = byte(i)
	}
	p.up(t, every)
	p.down(t, every)
	p.up(t, noise(1, 100_000))
	p.down(t, noise(2, 100_000))

	_, err := serial.Dialer{Path: w.paths[0], Device: "other", Options: serial.Options{Baud: ptyBaud}}.Dial(t.Context())
	if !errors.Is(err, unix.EBUSY) {
		t.Errorf("a port that is in use: %v", err)
	}
	p.up(t, []byte("undisturbed"))

	p.conn.Close()
	p.conn = w.dial(t)
	p.up(t, []byte("the machine is back"))

	p.r.Close()
	if _, err := p.conn.Recv(t.Context()); !errors.Is(err, link.ErrClosed) {
		t.Errorf("the ground is gone: %v", err)
	}
	p.conn.Close()
	p.r = w.listen(t)
	p.conn = w.dial(t)
	p.up(t, []byte("the ground is back"))
	p.down(t, []byte("the ground is back"))
}

// A converter is pulled: the connection is closed at once, with the reason.
func TestTerminalIsGone(t *testing.T) {
	w := newWired(t)
	p := pair{r: w.listen(t), conn: w.dial(t)}
	p.up(t, []byte("hello"))
	w.masters[0].Close()
	ctx, cancel := context.WithTimeout(t.Context(), serial.DefaultKeepAlive)
	defer cancel()
	_, err := p.conn.Recv(ctx)
	if !errors.Is(err, link.ErrClosed) || !errors.Is(err, unix.EIO) && !errors.Is(err, io.EOF) {
		t.Errorf("%v", err)
	}
	if err := p.conn.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// A port that takes nothing more does not hold up its Close, nor does one that says nothing.
func TestTerminalThatTakesNothing(t *testing.T) {
	master, path := terminal(t)
	p, err := serial.OpenPort(path, ptyBaud)
	if err != nil {
		t.Fatal(err)
	}
	wrote, read := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := p.Write(make([]byte, 16<<20))
		wrote <- err
	}()
	go func() {
		_, err := p.Read(make([]byte, 1))
		read <- err
	}()
	raw, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for n, before := 0, -1; n == 0 || n > before; {
		before = n
		<-time.After(20 * time.Millisecond) // until it takes no more
		if err := raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	for what, ended := range map[string]chan error{"Write": wrote, "Read": read} {
		select {
		case err := <-ended:
			if !errors.Is(err, os.ErrClosed) {
				t.Errorf("%s: %v", what, err)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("%s does not end with Close", what)
		}
	}
}
