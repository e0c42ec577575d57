package linux

import (
	"fmt"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/internal/name"
)

// spiTransfer is struct spi_ioc_transfer.
type spiTransfer struct {
	tx, rx      uint64
	length      uint32
	speedHz     uint32
	delayUs     uint16
	bitsPerWord uint8
	deselect    uint8
	txBits      uint8
	rxBits      uint8
	wordDelayUs uint8
	_           uint8
}

var (
	spiMessage = request(toKernel, 'k', 0, unsafe.Sizeof(spiTransfer{})) // SPI_IOC_MESSAGE(1)
	spiMode    = request(toKernel, 'k', 1, 1)                            // SPI_IOC_WR_MODE
)

type spi struct {
	device
	transfer spiTransfer
	// w and r hold on to the buffers while the kernel has them as numbers.
	w, r []byte
}

func (h *Host) openSPI(k kernel, r hal.Resource) (any, func() error, error) {
	if r.Mode > 3 {
		return nil, nil, fmt.Errorf("mode %d: want 0 to 3: %w", r.Mode, hal.ErrRange)
	}
	if !packsIoctls() {
		return nil, nil, fmt.Errorf("SPI on this architecture: %w", hal.ErrUnsupported)
	}
	path := filepath.Join(h.dev, r.Path)
	fd, err := k.open(path)
	if err != nil {
		return nil, nil, explain(err, path, filepath.Join(h.dev, "spidev*"))
	}
	d := &spi{}
	d.init(k, fd, name.Of(r))
	d.transfer.speedHz, d.transfer.bitsPerWord = r.RateHz, 8
	if r.RateHz == 0 {
		d.transfer.speedHz = 1_000_000
	}
	mode := r.Mode
	if err := k.ioctl(fd, spiMode, unsafe.Pointer(&mode)); err != nil {
		_ = d.close() // the first error is the one that matters
		return nil, nil, fmt.Errorf("set mode %d: %w", r.Mode, err)
	}
	return d, d.close, nil
}

// Tx implements hal.SPI.
func (d *spi) Tx(w, r []byte) error {
	if len(w) > 0 && len(r) > 0 && len(w) != len(r) {
		return d.fail(unix.EINVAL)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lost {
		return d.gone
	}
	d.w, d.r = w, r
	d.transfer.tx, d.transfer.rx, d.transfer.length = 0, 0, uint32(max(len(w), len(r)))
	if len(w) > 0 {
		d.transfer.tx = uint64(uintptr(unsafe.Pointer(&w[0])))
	}
	if len(r) > 0 {
		d.transfer.rx = uint64(uintptr(unsafe.Pointer(&r[0])))
	}
	if d.transfer.length == 0 {
		return nil
	}
	err := d.k.ioctl(d.fd, spiMessage, unsafe.Pointer(&d.transfer))
	d.w, d.r = nil, nil
	return d.fail(err)
}
