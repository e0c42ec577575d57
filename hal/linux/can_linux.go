package linux

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/internal/name"
)

const canFrame = 16 // bytes of struct can_frame

type can struct {
	device
	out, in [canFrame]byte
}

func (h *Host) openCAN(r hal.Resource) (any, func() error, error) {
	card, err := net.InterfaceByName(r.Path)
	if err != nil {
		return nil, nil, fmt.Errorf("there is no interface %s: %s: %w", r.Path, name.Listed(r.Path, h.canInterfaces()), err)
	}
	if card.Flags&net.FlagUp == 0 {
		return nil, nil, fmt.Errorf("the interface is down: ip link set %s up type can bitrate BITS", r.Path)
	}
	fd, err := unix.Socket(unix.AF_CAN, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.CAN_RAW)
	if err != nil {
		return nil, nil, fmt.Errorf("a CAN socket: %w", err)
	}
	d := &can{}
	d.init(system{}, fd, name.Of(r))
	if err := unix.Bind(fd, &unix.SockaddrCAN{Ifindex: card.Index}); err != nil {
		_ = d.close() // the first error is the one that matters
		return nil, nil, fmt.Errorf("bind: %w", err)
	}
	return d, d.close, nil
}

// canInterfaces are the network interfaces whose hardware is CAN, by ARPHRD_CAN.
func (h *Host) canInterfaces() []string {
	var have []string
	types, _ := filepath.Glob(filepath.Join(h.sys, "class/net/*/type")) // a pattern of ours has no error
	for _, t := range types {
		if b, err := os.ReadFile(t); err == nil && strings.TrimSpace(string(b)) == "280" {
			have = append(have, filepath.Base(filepath.Dir(t)))
		}
	}
	return have
}

// Send implements hal.CAN. Where the queue is full, as nobody acknowledges, it is ErrNoAnswer.
func (d *can) Send(f hal.Frame) error {
	if !f.Valid() {
		return d.fail(unix.EINVAL)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lost {
		return d.gone
	}
	id := f.ID
	if f.Extended {
		id |= unix.CAN_EFF_FLAG
	}
	if f.Remote {
		id |= unix.CAN_RTR_FLAG
	}
	clear(d.out[:])
	binary.NativeEndian.PutUint32(d.out[:], id)
	d.out[4] = f.Len
	if !f.Remote {
		copy(d.out[8:], f.Data[:f.Len])
	}
	_, err := unix.Write(d.fd, d.out[:])
	if errors.Is(err, unix.ENXIO) { // of a socket: the interface is no more
		d.lost = true
		return d.gone
	}
	return d.fail(err)
}

// Receive implements hal.CAN.
func (d *can) Receive(buf []hal.Frame) (n int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lost {
		return 0, d.gone
	}
	for n < len(buf) {
		k, err := unix.Read(d.fd, d.in[:])
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			return n, nil
		}
		if err != nil {
			return n, d.fail(err)
		}
		id := binary.NativeEndian.Uint32(d.in[:])
		if k != canFrame || id&unix.CAN_ERR_FLAG != 0 || d.in[4] > 8 {
			continue // none of ours: they were not asked for
		}
		f := hal.Frame{Extended: id&unix.CAN_EFF_FLAG != 0, Remote: id&unix.CAN_RTR_FLAG != 0, Len: d.in[4]}
		f.ID = id & unix.CAN_SFF_MASK
		if f.Extended {
			f.ID = id & unix.CAN_EFF_MASK
		}
		if !f.Remote {
			copy(f.Data[:f.Len], d.in[8:])
		}
		buf[n] = f
		n++
	}
	return n, nil
}
