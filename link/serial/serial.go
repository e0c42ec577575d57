package serial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/serial/internal/arq"
	"github.com/fulmar-io/fulmar/telemetry"
)

// Rates in bits per second.
const (
	MinBaud     = arq.MinBaud
	MaxBaud     = arq.MaxBaud
	DefaultBaud = arq.DefaultBaud
)

// DefaultKeepAlive is how long a line may be idle before it is tried.
const DefaultKeepAlive = arq.DefaultKeepAlive

// Options of either end. The zero value works.
type Options struct {
	// Baud is the line's rate, MinBaud to MaxBaud; a byte takes ten bits of it (8N1). Both ends must have the same. If the way
	// is slower than the port, as with a radio, it is the way's that counts: set both to it. Default DefaultBaud.
	Baud int
	// KeepAlive is how long the line may be idle before it is tried; twice as long without a sign of life, and the connection
	// is cut. Default DefaultKeepAlive.
	KeepAlive time.Duration
	// Open opens the line: a Close must end a Read and a Write that are under way. Default: the serial port at the path,
	// exclusively. Others are for lines that are no port of this host, such as a terminal server's over TCP.
	Open func(ctx context.Context) (io.ReadWriteCloser, error)
	// Logger is told at the ground's end when the line and its machine come and go. Default slog.Default().
	Logger *slog.Logger
	// Rand draws the connections' numbers, and jitter. It must do from several goroutines. Default env.SystemRand.
	Rand env.Rand
}

func (o Options) withDefaults(path string) (Options, error) {
	if o.Baud == 0 {
		o.Baud = DefaultBaud
	}
	if o.Baud < MinBaud || o.Baud > MaxBaud {
		return o, fmt.Errorf("baud %d: want %d to %d", o.Baud, MinBaud, MaxBaud)
	}
	if o.KeepAlive <= 0 {
		o.KeepAlive = DefaultKeepAlive
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Rand == nil {
		o.Rand = env.SystemRand{}
	}
	if o.Open == nil {
		if path == "" {
			return o, errors.New("no serial port is named")
		}
		baud := o.Baud
		o.Open = func(context.Context) (io.ReadWriteCloser, error) { return openPort(path, baud) }
	}
	return o, nil
}

// Status is how a line is doing.
type Status = arq.Status

// Dialer is a machine's end of a line.
type Dialer struct {
	Path    string // of the port: "/dev/ttyUSB0", "COM3"
	Device  string // as telemetry.ValidateDevice has it
	Options Options
}

// String implements link.Dialer.
func (d Dialer) String() string { return name(d.Path, d.Options.Baud) }

// Dial implements link.Dialer. It opens the port and asks the ground for a connection until it has one or ctx ends.
func (d Dialer) Dial(ctx context.Context) (link.Conn, error) {
	fail := func(err error) (link.Conn, error) { return nil, fmt.Errorf("serial: dial %s: %w", d.Path, err) }
	if err := telemetry.ValidateDevice(d.Device); err != nil {
		return fail(err)
	}
	o, err := d.Options.withDefaults(d.Path)
	if err != nil {
		return fail(err)
	}
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	port, err := o.Open(ctx)
	if err != nil {
		return fail(err)
	}
	c := newConn(port, arq.Options{Device: d.Device, Baud: o.Baud, KeepAlive: o.KeepAlive}, o.Rand)
	select {
	case <-c.connected:
		return c, nil
	case <-c.gone:
		err = c.cause()
	case <-ctx.Done():
		err = fmt.Errorf("no ground answers on the line: %w", ctx.Err())
	}
	_ = c.Close() // the first error is the one that matters
	return fail(err)
}
