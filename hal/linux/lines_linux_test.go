package linux

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fulmar-io/fulmar/hal"
)

// pty returns a pair of pseudo-terminals: the master's descriptor, as the far end of the line, and the path of the other.
func pty(t *testing.T) (master int, path string) {
	t.Helper()
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("there are no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { unix.Close(master) })
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		t.Skipf("there are no pseudo-terminals here: %v", err)
	}
	n, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	if err != nil {
		t.Skipf("there are no pseudo-terminals here: %v", err)
	}
	path = fmt.Sprintf("/dev/pts/%d", n)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("there are no pseudo-terminals here: %v", err)
	}
	return master, path
}

// until asks until it is so, or for five seconds.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range 5000 {
		if so() {
			return
		}
		<-tick.C
	}
	t.Fatalf("it never comes to pass: %s", what)
}

func TestUART(t *testing.T) {
	master, path := pty(t)
	h := New(Options{Dev: "/dev/pts"})
	handle, closing, err := h.Open(hal.Resource{Kind: hal.KindUART, Path: filepath.Base(path), RateHz: 115200})
	if err != nil {
		t.Fatal(err)
	}
	u, b := handle.(hal.UART), make([]byte, 64)
	if n, err := u.Read(b); n != 0 || err != nil {
		t.Error("nothing was sent", n, err)
	}
	// Each byte arrives as it is: no line editing, no echo, no signals.
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	if n, err := unix.Write(master, all); n != 256 || err != nil {
		t.Fatal(n, err)
	}
	var got []byte
	until(t, "all bytes arrive", func() bool {
		n, err := u.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b[:n]...)
		return len(got) >= 256
	})
	if string(got) != string(all) {
		t.Errorf("% x", got)
	}
	if n, err := u.Write(all); n != 256 || err != nil {
		t.Error(n, err)
	}
	got = got[:0]
	until(t, "all bytes leave", func() bool {
		if n, err := unix.Read(master, b); err == nil {
			got = append(got, b[:n]...)
		}
		return len(got) >= 256
	})
	if string(got) != string(all) {
		t.Errorf("% x", got)
	}
	// Where nobody reads, the queue fills, and nothing waits.
	short := false
	for range 10000 {
		n, err := u.Write(all)
		if err != nil {
			t.Fatal(err)
		}
		if short = n < len(all); short {
			break
		}
	}
	if !short {
		t.Error("the queue has no end")
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = u.Read(b); _, _ = u.Write(b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	// Nobody else gets it, under another name, and not root, whom the kernel would let open what is kept exclusively.
	for range 2 {
		if _, _, err := h.Open(hal.Resource{Kind: hal.KindUART, Path: path}); !errors.Is(err, unix.EBUSY) {
			t.Error("two have it", err)
		}
	}
	if err := closing(); err != nil {
		t.Error(err)
	}
	if _, err := u.Read(b); !errors.Is(err, hal.ErrGone) {
		t.Error(err)
	}
	// What was given back can be had again.
	_, closing, err = h.Open(hal.Resource{Kind: hal.KindUART, Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := closing(); err != nil {
		t.Error(err)
	}
}

func TestUARTUnplugged(t *testing.T) {
	master, path := pty(t)
	handle, closing, err := New(Options{}).Open(hal.Resource{Kind: hal.KindUART, Path: path})
	if err != nil {
		t.Fatal(err)
	}
	u, b := handle.(hal.UART), make([]byte, 8)
	// The last words are still read.
	if _, err := unix.Write(master, []byte("bye")); err != nil {
		t.Fatal(err)
	}
	got := ""
	until(t, "the last words arrive", func() bool { n, _ := u.Read(b); got += string(b[:n]); return got == "bye" })
	if err := unix.Close(master); err != nil {
		t.Fatal(err)
	}
	until(t, "it is gone", func() bool { _, err := u.Read(b); return errors.Is(err, hal.ErrGone) })
	if _, err := u.Write(b); !errors.Is(err, hal.ErrGone) || !strings.Contains(err.Error(), "linux: uart:"+path) {
		t.Error(err)
	}
	if _, err := u.Read(b); !errors.Is(err, hal.ErrGone) {
		t.Error(err)
	}
	if err := closing(); err != nil {
		t.Error(err)
	}
}

// One that only writes is told too.
func TestUARTUnpluggedWhileWriting(t *testing.T) {
	master, path := pty(t)
	handle, _, err := New(Options{}).Open(hal.Resource{Kind: hal.KindUART, Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Close(master); err != nil {
		t.Fatal(err)
	}
	u := handle.(hal.UART)
	until(t, "it is gone", func() bool { _, err := u.Write([]byte("x")); return errors.Is(err, hal.ErrGone) })
}

// Closing comes from another goroutine while the line is read and written.
func TestClosingMeetsACall(t *testing.T) {
	_, path := pty(t)
	handle, closing, err := New(Options{}).Open(hal.Resource{Kind: hal.KindUART, Path: path})
	if err != nil {
		t.Fatal(err)
	}
	began, done := make(chan struct{}), make(chan error)
	go func() {
		u, b := handle.(hal.UART), make([]byte, 8)
		for i := 0; ; i++ {
			if i == 100 {
				close(began)
			}
			if _, err := u.Read(b); err != nil {
				done <- err
				return
			}
		}
	}()
	<-began
	if err := closing(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, hal.ErrGone) {
		t.Error(err)
	}
}

func TestUARTThatCannotBe(t *testing.T) {
	h := folder(t, "ttyACM0", "ttyUSB3")
	_, _, err := h.Open(hal.Resource{Kind: hal.KindUART, Path: "ttyACM1"})
	if err == nil || !strings.Contains(err.Error(), "linux: open uart:ttyACM1: there is no ") || !strings.Contains(err.Error(), "did you mean ttyACM0? there is ttyACM0, ttyUSB3") {
		t.Error(err)
	}
	if _, _, err := h.Open(hal.Resource{Kind: hal.KindUART, Path: "ttyACM0"}); err == nil || !strings.Contains(err.Error(), "set 9600 bits per second") {
		t.Error("a file is a serial line", err)
	}
}

// The frames of CAN are shown on a pair of local sockets, which keep messages apart as those of CAN do. The bytes are those of
// struct can_frame. What a real bus does, this does not show.
func TestCANFrames(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	d := &can{}
	d.init(system{}, fds[0], "can:can0")
	raw := make([]byte, 32)
	for _, c := range []struct {
		frame hal.Frame
		bytes string
	}{
		{hal.Frame{ID: 0x123, Len: 2, Data: [8]byte{0xAB, 0xCD}}, "\x23\x01\x00\x00\x02\x00\x00\x00\xab\xcd\x00\x00\x00\x00\x00\x00"},
		{hal.Frame{ID: 0x1ABCDEF0, Extended: true, Len: 8, Data: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}}, "\xf0\xde\xbc\x9a\x08\x00\x00\x00\x01\x02\x03\x04\x05\x06\x07\x08"},
		{hal.Frame{ID: 0x7FF, Remote: true, Len: 4}, "\xff\x07\x00\x40\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
	} {
		if err := d.Send(c.frame); err != nil {
			t.Fatal(err)
		}
		if n, err := unix.Read(fds[1], raw); err != nil || string(raw[:n]) != c.bytes && littleEndian() {
			t.Errorf("%+v is % x, %v", c.frame, raw[:n], err)
		}
		if _, err := unix.Write(fds[1], raw[:16]); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Write(fds[1], []byte("\x00\x00\x00\x20\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")); err != nil && littleEndian() { // an error frame
			t.Fatal(err)
		}
		got := make([]hal.Frame, 4)
		if n, err := d.Receive(got); n != 1 || err != nil || got[0] != c.frame {
			t.Errorf("%+v came back as %+v, %v", c.frame, got[:n], err)
		}
	}
	if err := d.Send(hal.Frame{ID: 0x800}); !errors.Is(err, hal.ErrRange) {
		t.Error(err)
	}
	frames := make([]hal.Frame, 4)
	if n := testing.AllocsPerRun(100, func() {
		_ = d.Send(hal.Frame{ID: 1})
		_, _ = unix.Read(fds[1], raw)
		_, _ = unix.Write(fds[1], raw[:16])
		_, _ = d.Receive(frames)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	// Nobody takes the frames away: the queue is full, and nothing waits.
	err = nil
	for i := 0; i < 100000 && err == nil; i++ {
		err = d.Send(hal.Frame{ID: 1})
	}
	if !errors.Is(err, hal.ErrNoAnswer) {
		t.Error(err)
	}
	if err := d.close(); err != nil {
		t.Error(err)
	}
	if _, err := d.Receive(frames); !errors.Is(err, hal.ErrGone) {
		t.Error(err)
	}
}

// Who only sends is told, too, that the interface was unplugged. A socket of packets stands in for one of CAN: either says ENXIO
// when it has no interface.
func TestCANUnplugged(t *testing.T) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no socket of packets: %v", err)
	}
	d := &can{}
	d.init(system{}, fd, "can:can0")
	for range 2 {
		if err := d.Send(hal.Frame{ID: 1}); !errors.Is(err, hal.ErrGone) {
			t.Errorf("%v, want ErrGone", err)
		}
	}
	if err := d.close(); err != nil {
		t.Error(err)
	}
}

func littleEndian() bool { return binary.NativeEndian.Uint16([]byte{1, 0}) == 1 }

func TestCANThatCannotBe(t *testing.T) {
	h := folder(t)
	for card, kind := range map[string]string{"can0": "280", "lo": "772", "vcan0": "280"} {
		dir := filepath.Join(h.sys, "class/net", card)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "type"), []byte(kind+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := h.Open(hal.Resource{Kind: hal.KindCAN, Path: "can7"}); err == nil || !strings.Contains(err.Error(), "there is no interface can7: did you mean can0? there is can0, vcan0") {
		t.Error(err)
	}
}

// Over a virtual bus, where the kernel has one and this process may look for it: ip link add vcan0 type vcan.
func TestCANBus(t *testing.T) {
	h := New(Options{})
	a, closeA, err := h.Open(hal.Resource{Kind: hal.KindCAN, Path: "vcan0"})
	if err != nil {
		t.Skipf("there is no virtual CAN bus here: %v", err)
	}
	defer closeA()
	b, closeB, err := h.Open(hal.Resource{Kind: hal.KindCAN, Path: "vcan0"})
	if err != nil {
		t.Fatal(err)
	}
	defer closeB()
	f := hal.Frame{ID: 0x1ABCDEF0, Extended: true, Len: 3, Data: [8]byte{1, 2, 3}}
	if err := a.(hal.CAN).Send(f); err != nil {
		t.Fatal(err)
	}
	got := make([]hal.Frame, 1)
	until(t, "the frame arrives", func() bool { n, _ := b.(hal.CAN).Receive(got); return n == 1 })
	if got[0] != f {
		t.Errorf("%+v", got[0])
	}
}
