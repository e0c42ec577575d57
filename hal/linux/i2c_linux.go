package linux

import (
	"fmt"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/internal/name"
)

// i2cMessage is struct i2c_msg, i2cMessages struct i2c_rdwr_ioctl_data.
type i2cMessage struct {
	address uint16
	flags   uint16
	length  uint16
	data    unsafe.Pointer
}

type i2cMessages struct {
	messages unsafe.Pointer
	n        uint32
}

const (
	i2cTransfer = 0x0707 // I2C_RDWR
	i2cRead     = 1      // I2C_M_RD
	i2cLongest  = 8192   // bytes in a message
)

type i2c struct {
	device
	messages [2]i2cMessage
	transfer i2cMessages
	address  uint16
}

func (h *Host) openI2C(k kernel, r hal.Resource) (any, func() error, error) {
	if r.Address > 0x7F {
		return nil, nil, fmt.Errorf("an address of 7 bits: %w", hal.ErrRange)
	}
	path := filepath.Join(h.dev, r.Path)
	fd, err := k.open(path)
	if err != nil {
		return nil, nil, explain(err, path, filepath.Join(h.dev, "i2c-*"))
	}
	d := &i2c{address: r.Address}
	d.init(k, fd, name.Of(r))
	d.transfer.messages = unsafe.Pointer(&d.messages[0])
	return d, d.close, nil
}

// Tx implements hal.I2C.
func (d *i2c) Tx(w, r []byte) error {
	if len(w) > i2cLongest || len(r) > i2cLongest {
		return d.fail(unix.EMSGSIZE)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lost {
		return d.gone
	}
	n := 0
	if len(w) > 0 {
		d.messages[n] = i2cMessage{d.address, 0, uint16(len(w)), unsafe.Pointer(&w[0])}
		n++
	}
	if len(r) > 0 {
		d.messages[n] = i2cMessage{d.address, i2cRead, uint16(len(r)), unsafe.Pointer(&r[0])}
		n++
	}
	if n == 0 {
		return nil
	}
	d.transfer.n = uint32(n)
	err := d.k.ioctl(d.fd, i2cTransfer, unsafe.Pointer(&d.transfer))
	d.messages = [2]i2cMessage{} // the buffers are the caller's again
	return d.fail(err)
}
