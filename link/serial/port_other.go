//go:build !linux

package serial

import (
	"fmt"
	"io"

	"go.bug.st/serial"
)

// openPort opens a serial port and keeps others away. A Write that waits is ended by what the line takes, not by Close: without
// flow control a line takes everything in time.
func openPort(path string, baud int) (io.ReadWriteCloser, error) {
	p, err := serial.Open(path, &serial.Mode{BaudRate: baud, DataBits: 8, Parity: serial.NoParity, StopBits: serial.OneStopBit})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}
