package linux

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/haltest"
)

// fakeKernel reads what an ioctl is given at the offsets of the kernel's headers, on a machine of 64 bits: it shares no type
// with the package. It shows that the structures are laid out right, not that hardware works.
type fakeKernel struct {
	t       *testing.T
	opened  map[int]string
	chip    hal.I2C
	spi     hal.SPI
	mode    uint8
	speed   uint32
	lines   map[string][]string // names of the lines, by chip
	taken   map[uint32]uint64   // flags of those that were taken, by offset
	busy    bool
	level   uint64
	events  []byte
	blocked bool
	errno   error
}

func newKernel(t *testing.T) *fakeKernel {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("the structures that are checked are those of 64 bits")
	}
	return &fakeKernel{t: t, opened: map[int]string{}, taken: map[uint32]uint64{}, blocked: true}
}

func (k *fakeKernel) open(path string) (int, error) {
	if k.errno != nil {
		return -1, k.errno
	}
	if _, err := os.Stat(path); err != nil {
		return -1, unix.ENOENT
	}
	fd := 100 + len(k.opened)
	for k.opened[fd] != "" {
		fd++
	}
	k.opened[fd] = filepath.Base(path)
	return fd, nil
}

func (k *fakeKernel) close(fd int) error {
	if k.opened[fd] == "" {
		return unix.EBADF
	}
	delete(k.opened, fd)
	return nil
}

func (k *fakeKernel) nonblock(int) error { k.blocked = false; return nil }

func (k *fakeKernel) read(_ int, p []byte) (int, error) {
	if k.errno != nil {
		return 0, k.errno
	}
	if k.blocked {
		k.t.Error("a read that would block")
	}
	if len(k.events) == 0 {
		return 0, unix.EAGAIN
	}
	n := copy(p, k.events)
	k.events = k.events[n:]
	return n, nil
}

// word, half and at read memory as the kernel does.
func half(p unsafe.Pointer, offset uintptr) uint16 { return *(*uint16)(unsafe.Add(p, offset)) }
func word(p unsafe.Pointer, offset uintptr) uint32 { return *(*uint32)(unsafe.Add(p, offset)) }
func long(p unsafe.Pointer, offset uintptr) uint64 { return *(*uint64)(unsafe.Add(p, offset)) }
func follow(p unsafe.Pointer, offset uintptr, n int) []byte {
	if n == 0 {
		return nil
	}
	return unsafe.Slice(*(**byte)(unsafe.Add(p, offset)), n)
}
func chars(p unsafe.Pointer, offset uintptr) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(p, offset)), 32)
}

func (k *fakeKernel) ioctl(fd int, request uint32, p unsafe.Pointer) error {
	if k.opened[fd] == "" {
		return unix.EBADF
	}
	if k.errno != nil {
		return k.errno
	}
	switch request {
	case 0x0707: // I2C_RDWR
		return k.i2c(*(*unsafe.Pointer)(p), word(p, 8))
	case 0x40016b01: // SPI_IOC_WR_MODE
		k.mode = *(*uint8)(p)
		return nil
	case 0x40206b00: // SPI_IOC_MESSAGE(1)
		n := int(word(p, 16))
		var w, r []byte
		if long(p, 0) != 0 {
			w = follow(p, 0, n)
		}
		if long(p, 8) != 0 {
			r = follow(p, 8, n)
		}
		k.speed = word(p, 20)
		if bits := *(*uint8)(unsafe.Add(p, 26)); bits != 8 {
			return unix.EINVAL
		}
		return k.spi.Tx(w, r)
	case 0x8044b401: // GPIO_GET_CHIPINFO_IOCTL
		copy(chars(p, 0), k.opened[fd])
		*(*uint32)(unsafe.Add(p, 64)) = uint32(len(k.lines[k.opened[fd]]))
		return nil
	case 0xc100b405: // GPIO_V2_GET_LINEINFO_IOCTL
		offset := word(p, 64)
		copy(chars(p, 0), k.lines[k.opened[fd]][offset])
		if k.busy {
			copy(chars(p, 32), "a kettle")
			*(*uint64)(unsafe.Add(p, 72)) = 1
		}
		return nil
	case 0xc250b407: // GPIO_V2_GET_LINE_IOCTL
		if k.busy {
			return unix.EBUSY
		}
		if n := word(p, 560); n != 1 || string(bytes.TrimRight(chars(p, 256), "\x00")) != "fulmar" {
			return unix.EINVAL
		}
		k.taken[word(p, 0)] = long(p, 288)
		k.opened[200] = "line"
		*(*int32)(unsafe.Add(p, 588)) = 200
		return nil
	case 0xc010b40e: // GPIO_V2_LINE_GET_VALUES_IOCTL
		*(*uint64)(p) = k.level & long(p, 8)
		return nil
	case 0xc010b40f: // GPIO_V2_LINE_SET_VALUES_IOCTL
		k.level = long(p, 0) & long(p, 8)
		return nil
	}
	k.t.Errorf("an unknown ioctl: %#x", request)
	return unix.ENOTTY
}

func (k *fakeKernel) i2c(messages unsafe.Pointer, n uint32) error {
	var w, r []byte
	for range n {
		if half(messages, 0) != 0x68 {
			return unix.ENXIO
		}
		data := follow(messages, 8, int(half(messages, 4)))
		switch half(messages, 2) {
		case 0:
			w = data
		case 1:
			r = data
		default:
			return unix.EINVAL
		}
		messages = unsafe.Add(messages, 16)
	}
	return k.chip.Tx(w, r)
}

// folder returns a host whose /dev has files with these names.
func folder(t *testing.T, names ...string) *Host {
	t.Helper()
	dir := t.TempDir()
	for _, n := range names {
		if err := os.WriteFile(filepath.Join(dir, n), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return New(Options{Dev: dir, Sys: dir})
}

func TestI2C(t *testing.T) {
	k := newKernel(t)
	chip := haltest.NewRegisters(haltest.Layout{Registers: 0x80})
	chip.Set(0x75, 0x68)
	k.chip = chip.I2C()
	h := folder(t, "i2c-1", "i2c-20")
	handle, closing, err := h.openI2C(k, hal.Resource{Kind: hal.KindI2C, Path: "i2c-1", Address: 0x68})
	if err != nil {
		t.Fatal(err)
	}
	bus := handle.(hal.I2C)
	b := make([]byte, 2)
	if err := bus.Tx([]byte{0x75}, b[:1]); err != nil || b[0] != 0x68 {
		t.Error(b, err)
	}
	if err := bus.Tx([]byte{0x10, 0xAA, 0xBB}, nil); err != nil || chip.Get(0x11) != 0xBB {
		t.Error(err)
	}
	if err := bus.Tx([]byte{0x10}, b); err != nil || !bytes.Equal(b, []byte{0xAA, 0xBB}) {
		t.Error(b, err)
	}
	if err := bus.Tx(nil, nil); err != nil {
		t.Error(err)
	}
	if err := bus.Tx(make([]byte, 8193), nil); !errors.Is(err, hal.ErrRange) {
		t.Error(err)
	}
	w := []byte{0x75}
	if n := testing.AllocsPerRun(100, func() { _ = bus.Tx(w, b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	for errno, want := range map[error]error{unix.ENXIO: hal.ErrNoAnswer, unix.EREMOTEIO: hal.ErrNoAnswer, unix.ETIMEDOUT: hal.ErrNoAnswer,
		unix.EIO: hal.ErrNoAnswer, unix.EAGAIN: hal.ErrNoAnswer, unix.EINVAL: hal.ErrRange, unix.EPERM: unix.EPERM} {
		k.errno = errno
		if err := bus.Tx(w, b); !errors.Is(err, want) || !strings.Contains(err.Error(), "linux: i2c:i2c-1:0x68: ") {
			t.Errorf("%v becomes %v", errno, err)
		}
	}
	if n := testing.AllocsPerRun(100, func() { k.errno = unix.ENXIO; _ = bus.Tx(w, b) }); n != 0 {
		t.Errorf("%v allocations without an answer", n)
	}
	// What is gone stays gone, until it is opened again.
	k.errno = unix.ENODEV
	if err := bus.Tx(w, b); !errors.Is(err, hal.ErrGone) {
		t.Error(err)
	}
	k.errno = nil
	if err := bus.Tx(w, b); !errors.Is(err, hal.ErrGone) {
		t.Error(err)
	}
	if err := closing(); err != nil || len(k.opened) != 0 {
		t.Error(err, k.opened)
	}
	if err := bus.Tx(w, b); !errors.Is(err, hal.ErrGone) {
		t.Error(err)
	}
	other, _, err := h.openI2C(k, hal.Resource{Kind: hal.KindI2C, Path: "i2c-1", Address: 0x69})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.(hal.I2C).Tx(w, b); !errors.Is(err, hal.ErrNoAnswer) {
		t.Error(err)
	}
	if _, _, err := h.openI2C(k, hal.Resource{Kind: hal.KindI2C, Path: "i2c-1", Address: 0x80}); !errors.Is(err, hal.ErrRange) {
		t.Error(err)
	}
	if _, _, err := h.openI2C(k, hal.Resource{Kind: hal.KindI2C, Path: "i2c-2", Address: 1}); err == nil || !strings.Contains(err.Error(), "did you mean i2c-1? there is i2c-1, i2c-20") {
		t.Error(err)
	}
}

func TestSPI(t *testing.T) {
	k := newKernel(t)
	chip := haltest.NewRegisters(haltest.Layout{Registers: 0x80})
	chip.Set(0, 0x50)
	k.spi = chip.SPI(0x80, 1)
	h := folder(t, "spidev0.1")
	handle, closing, err := h.openSPI(k, hal.Resource{Kind: hal.KindSPI, Path: "spidev0.1", Mode: 3, RateHz: 8_000_000})
	if err != nil {
		t.Fatal(err)
	}
	bus := handle.(hal.SPI)
	w, b := []byte{0x80, 0, 0}, make([]byte, 3)
	if err := bus.Tx(w, b); err != nil || b[2] != 0x50 || k.mode != 3 || k.speed != 8_000_000 {
		t.Error(b, err, k.mode, k.speed)
	}
	if err := bus.Tx([]byte{0x1B, 0x33}, nil); err != nil || chip.Get(0x1B) != 0x33 {
		t.Error(err)
	}
	if err := bus.Tx(w, b[:2]); !errors.Is(err, hal.ErrRange) {
		t.Error(err)
	}
	if err := bus.Tx(nil, nil); err != nil {
		t.Error(err)
	}
	if n := testing.AllocsPerRun(100, func() { _ = bus.Tx(w, b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if err := closing(); err != nil || len(k.opened) != 0 {
		t.Error(err)
	}
	if err := bus.Tx(w, b); !errors.Is(err, hal.ErrGone) {
		t.Error(err)
	}
	if _, _, err := h.openSPI(k, hal.Resource{Kind: hal.KindSPI, Path: "spidev0.1", Mode: 4}); !errors.Is(err, hal.ErrRange) {
		t.Error(err)
	}
	if handle, _, err = h.openSPI(k, hal.Resource{Kind: hal.KindSPI, Path: "spidev0.1"}); err != nil {
		t.Fatal(err)
	}
	if err := handle.(hal.SPI).Tx(w, b); err != nil || k.speed != 1_000_000 || k.mode != 0 {
		t.Error(err, k.speed, k.mode)
	}
}

// event writes what the kernel says of an edge.
func event(at uint64, id, sequence uint32) []byte {
	b := binary.NativeEndian.AppendUint64(nil, at)
	for _, v := range []uint32{id, 17, sequence + 5, sequence, 0, 0, 0, 0, 0, 0} {
		b = binary.NativeEndian.AppendUint32(b, v)
	}
	return b
}

func TestPins(t *testing.T) {
	k := newKernel(t)
	k.lines = map[string][]string{"gpiochip0": {"", "ID_SD"}, "gpiochip1": {"", "GPIO4", "GPIO17"}}
	h := folder(t, "gpiochip0", "gpiochip1")
	var now unix.Timespec
	h.now = func() int64 { // 1000 s ahead of the kernel's
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
			t.Fatal(err)
		}
		return now.Nano() + 1000e9
	}
	handle, closing, err := h.openPin(k, hal.Resource{Kind: hal.KindInput, Path: "GPIO17", PullUp: true})
	if err != nil {
		t.Fatal(err)
	}
	if k.taken[2] != 1<<2|1<<4|1<<5|1<<8 || k.blocked {
		t.Errorf("%#x", k.taken)
	}
	in := handle.(hal.Input)
	k.level = 1
	if high, err := in.Read(); !high || err != nil {
		t.Error(high, err)
	}
	k.level = 0
	if high, err := in.Read(); high || err != nil {
		t.Error(high, err)
	}
	buf := make([]hal.Edge, 40)
	if n, err := in.Edges(buf); n != 0 || err != nil {
		t.Error(n, err)
	}
	for i := range uint32(30) {
		k.events = append(k.events, event(uint64(5000+i), 1+i%2, i+1)...)
	}
	k.events = append(k.events, event(9000, 2, 35)...)
	n, err := in.Edges(buf[:20])
	if n != 20 || err != nil || !buf[0].High || buf[1].High || buf[0].Missed != 0 {
		t.Error(n, err, buf[:2])
	}
	// The two clocks are asked one after the other: the shift is right to well below a millisecond.
	if off := buf[19].At - (5019 + 1000e9); off < 0 || off > 1e6 {
		t.Errorf("an edge is %d ns off", off)
	}
	n, err = in.Edges(buf)
	if n != 11 || err != nil || buf[10].Missed != 4 || buf[10].High || buf[9].Missed != 0 {
		t.Error(n, err, buf[9:11])
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = in.Read(); _, _ = in.Edges(buf) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	k.errno = unix.ENODEV
	if _, err := in.Edges(buf); !errors.Is(err, hal.ErrGone) {
		t.Error(err)
	}
	k.errno = nil
	if _, err := in.Read(); !errors.Is(err, hal.ErrGone) {
		t.Error("it is back", err)
	}
	if err := closing(); err != nil || len(k.opened) != 0 {
		t.Error(err, k.opened)
	}

	handle, closing, err = h.openPin(k, hal.Resource{Kind: hal.KindOutput, Path: "gpiochip1/1"})
	if err != nil {
		t.Fatal(err)
	}
	if k.taken[1] != 1<<3 {
		t.Errorf("%#x", k.taken)
	}
	for _, high := range []bool{true, false} {
		if err := handle.(hal.Output).Write(high); err != nil || (k.level == 1) != high {
			t.Error(err, k.level)
		}
	}
	if err := closing(); err != nil || len(k.opened) != 0 {
		t.Error(err, k.opened)
	}
	if err := handle.(hal.Output).Write(true); !errors.Is(err, hal.ErrGone) {
		t.Error(err)
	}
}

func TestPinsThatCannotBe(t *testing.T) {
	k := newKernel(t)
	k.lines = map[string][]string{"gpiochip0": {"GPIO4", "GPIO17"}}
	h := folder(t, "gpiochip0")
	for path, want := range map[string]string{
		"GPIO71":       "did you mean GPIO17? there is GPIO17, GPIO4",
		"gpiochip3/1":  "did you mean gpiochip0?",
		"chip0/1":      "want a name, or gpiochipN/LINE",
		"gpiochip0/-1": "want a name, or gpiochipN/LINE",
	} {
		if _, _, err := h.openPin(k, hal.Resource{Kind: hal.KindInput, Path: path}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	k.busy = true
	if _, _, err := h.openPin(k, hal.Resource{Kind: hal.KindOutput, Path: "GPIO4"}); !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), `"a kettle" has it`) {
		t.Error(err)
	}
	if len(k.opened) != 0 {
		t.Error("descriptors are left", k.opened)
	}
}

// The sizes are part of the requests' numbers, and the same for 32 and 64 bits.
func TestSizes(t *testing.T) {
	for what, size := range map[string][2]uintptr{
		"gpiochip_info": {unsafe.Sizeof(gpioChipInfo{}), 68}, "gpio_v2_line_info": {unsafe.Sizeof(gpioLineInfo{}), 256},
		"gpio_v2_line_request": {unsafe.Sizeof(gpioRequest{}), 592}, "gpio_v2_line_values": {unsafe.Sizeof(gpioValues{}), 16},
		"spi_ioc_transfer": {unsafe.Sizeof(spiTransfer{}), 32}, "its offset of fd": {unsafe.Offsetof(gpioRequest{}.fd), 588},
		"i2c_msg": {unsafe.Sizeof(i2cMessage{}), 8 + unsafe.Sizeof(uintptr(0))},
	} {
		if size[0] != size[1] {
			t.Errorf("%s has %d bytes, want %d", what, size[0], size[1])
		}
	}
}
