package linux

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/internal/name"
)

// The structures of linux/gpio.h, uAPI v2.
type gpioChipInfo struct {
	name, label [32]byte
	lines       uint32
}

type gpioAttribute struct {
	id, _ uint32
	value uint64
}

type gpioLineInfo struct {
	name, consumer [32]byte
	offset         uint32
	attributes     uint32
	flags          uint64
	_              [10]gpioAttribute
	_              [4]uint32
}

type gpioConfigAttribute struct {
	attribute gpioAttribute
	mask      uint64
}

type gpioRequest struct {
	offsets    [64]uint32
	consumer   [32]byte
	flags      uint64
	attributes uint32
	_          [5]uint32
	_          [10]gpioConfigAttribute
	lines      uint32
	bufferSize uint32
	_          [5]uint32
	fd         int32
}

type gpioValues struct{ bits, mask uint64 }

// gpioEvent is what is read of a line: time, id, offset, sequence over all lines and of the line, and 6 words of nothing.
const gpioEvent = 48

const (
	gpioInput, gpioOutput    = 1 << 2, 1 << 3
	gpioRising, gpioFalling  = 1 << 4, 1 << 5
	gpioPullUp               = 1 << 8
	gpioUsed                 = 1 << 0
	gpioRisingEdge           = 1
	gpioEdgeBatch, gpioQueue = 16, 64
)

var (
	gpioGetChip  = request(fromKernel, 0xB4, 0x01, unsafe.Sizeof(gpioChipInfo{}))
	gpioGetLine  = request(fromKernel|toKernel, 0xB4, 0x05, unsafe.Sizeof(gpioLineInfo{}))
	gpioTake     = request(fromKernel|toKernel, 0xB4, 0x07, unsafe.Sizeof(gpioRequest{}))
	gpioGetLevel = request(fromKernel|toKernel, 0xB4, 0x0E, unsafe.Sizeof(gpioValues{}))
	gpioSetLevel = request(fromKernel|toKernel, 0xB4, 0x0F, unsafe.Sizeof(gpioValues{}))
)

type pin struct {
	device
	values gpioValues
	events [gpioEdgeBatch * gpioEvent]byte
	seen   uint32 // sequence of the last edge
	shift  int64  // from the kernel's clock to the machine's
}

func (h *Host) openPin(k kernel, r hal.Resource) (any, func() error, error) {
	if !packsIoctls() {
		return nil, nil, fmt.Errorf("pins on this architecture: %w", hal.ErrUnsupported)
	}
	chip, offset, err := h.findPin(k, r.Path)
	if err != nil {
		return nil, nil, err
	}
	fd, err := k.open(chip)
	if err != nil {
		return nil, nil, explain(err, chip, filepath.Join(h.dev, "gpiochip*"))
	}
	defer func() { _ = k.close(fd) }() // the line has a descriptor of its own
	q := &gpioRequest{lines: 1, bufferSize: gpioQueue, flags: gpioOutput}
	q.offsets[0] = offset
	copy(q.consumer[:31], "fulmar")
	if r.Kind == hal.KindInput {
		q.flags = gpioInput | gpioRising | gpioFalling
		if r.PullUp {
			q.flags |= gpioPullUp
		}
	}
	if err := k.ioctl(fd, gpioTake, unsafe.Pointer(q)); err != nil {
		if errors.Is(err, unix.EBUSY) {
			return nil, nil, fmt.Errorf("%w: %s has it", err, userOf(k, fd, offset))
		}
		return nil, nil, fmt.Errorf("take line %d of %s: %w", offset, chip, err)
	}
	p := &pin{}
	p.init(k, int(q.fd), name.Of(r))
	if r.Kind == hal.KindOutput {
		return (*outputPin)(p), p.close, nil
	}
	if p.shift, err = h.clockShift(); err == nil {
		err = k.nonblock(p.fd)
	}
	if err != nil {
		_ = p.close() // the first error is the one that matters
		return nil, nil, err
	}
	return (*inputPin)(p), p.close, nil
}

// clockShift returns what to add to the kernel's monotonic clock, which stamps edges, to have the machine's.
func (h *Host) clockShift() (int64, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0, fmt.Errorf("ask the kernel's clock: %w", err)
	}
	return h.now() - t.Nano(), nil
}

// userOf returns the name under which somebody has taken a line.
func userOf(k kernel, fd int, offset uint32) string {
	info := &gpioLineInfo{offset: offset}
	if err := k.ioctl(fd, gpioGetLine, unsafe.Pointer(info)); err != nil || info.flags&gpioUsed == 0 {
		return "somebody"
	}
	return strconv.Quote(text(info.consumer[:]))
}

func text(b []byte) string {
	s, _, _ := bytes.Cut(b, []byte{0})
	return string(s)
}

// findPin finds gpiochip0/17, or the line that has the name.
func (h *Host) findPin(k kernel, path string) (chip string, offset uint32, err error) {
	if dir, number, ok := strings.Cut(path, "/"); ok {
		n, err := strconv.ParseUint(number, 10, 32)
		if err != nil || !strings.HasPrefix(dir, "gpiochip") {
			return "", 0, fmt.Errorf("want a name, or gpiochipN/LINE: %w", hal.ErrRange)
		}
		return filepath.Join(h.dev, dir), uint32(n), nil
	}
	chips, _ := filepath.Glob(filepath.Join(h.dev, "gpiochip*")) // a pattern of ours has no error
	var have []string
	var failed error
	for _, chip := range chips {
		lines, err := chipLines(k, chip)
		if err != nil && failed == nil {
			failed = explain(err, chip, chip)
		}
		for i, line := range lines {
			if line == path {
				return chip, uint32(i), nil
			}
			if line != "" {
				have = append(have, line)
			}
		}
	}
	if failed != nil {
		return "", 0, failed
	}
	return "", 0, fmt.Errorf("no line of %d GPIO chips has that name: %s", len(chips), name.Listed(path, have))
}

// chipLines returns the names of a chip's lines; "" is of one without.
func chipLines(k kernel, chip string) ([]string, error) {
	fd, err := k.open(chip)
	if err != nil {
		return nil, err
	}
	defer func() { _ = k.close(fd) }()
	info := &gpioChipInfo{}
	if err := k.ioctl(fd, gpioGetChip, unsafe.Pointer(info)); err != nil {
		return nil, err
	}
	names := make([]string, min(info.lines, 4096))
	for i := range names {
		line := &gpioLineInfo{offset: uint32(i)}
		if err := k.ioctl(fd, gpioGetLine, unsafe.Pointer(line)); err != nil {
			return names, err
		}
		names[i] = text(line.name[:])
	}
	return names, nil
}

type inputPin pin

// Read implements hal.Input.
func (p *inputPin) Read() (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lost {
		return false, p.gone
	}
	p.values = gpioValues{mask: 1}
	if err := p.k.ioctl(p.fd, gpioGetLevel, unsafe.Pointer(&p.values)); err != nil {
		return false, p.fail(err)
	}
	return p.values.bits&1 != 0, nil
}

// Edges implements hal.Input.
func (p *inputPin) Edges(buf []hal.Edge) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lost {
		return 0, p.gone
	}
	for n < len(buf) {
		k, err := p.k.read(p.fd, p.events[:min(len(buf)-n, gpioEdgeBatch)*gpioEvent])
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			return n, nil
		}
		if err != nil || k < gpioEvent {
			return n, p.fail(err)
		}
		for e := p.events[:k]; len(e) >= gpioEvent; e = e[gpioEvent:] {
			sequence := binary.NativeEndian.Uint32(e[20:])
			buf[n] = hal.Edge{
				At:     int64(binary.NativeEndian.Uint64(e)) + p.shift,
				High:   binary.NativeEndian.Uint32(e[8:]) == gpioRisingEdge,
				Missed: sequence - p.seen - 1, // it counts from 1
			}
			p.seen = sequence
			n++
		}
	}
	return n, nil
}

type outputPin pin

// Write implements hal.Output.
func (p *outputPin) Write(high bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lost {
		return p.gone
	}
	p.values = gpioValues{mask: 1}
	if high {
		p.values.bits = 1
	}
	return p.fail(p.k.ioctl(p.fd, gpioSetLevel, unsafe.Pointer(&p.values)))
}
