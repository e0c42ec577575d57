package serial_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/linktest"
	"github.com/fulmar-io/fulmar/link/serial"
)

var libraries = []string{"fulmar/link/serial.", "fulmar/link/internal"}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// fast is a rate at which the suite's megabytes take seconds.
const fast = serial.MaxBaud

// yard is the ground of several lines: what a station makes of its receivers. A device's messages go to the line where it
// was heard last.
type yard struct {
	lines  []*serial.Receiver
	come   chan link.Inbound
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu    sync.Mutex // guards heard
	heard map[string]*serial.Receiver
}

func newYard(lines ...*serial.Receiver) *yard {
	y := &yard{lines: lines, come: make(chan link.Inbound), heard: make(map[string]*serial.Receiver)}
	y.ctx, y.cancel = context.WithCancel(context.Background())
	for _, r := range lines {
		y.wg.Go(func() {
			for {
				m, err := r.Recv(y.ctx)
				if err != nil {
					return
				}
				y.mu.Lock()
				y.heard[m.Device] = r
				y.mu.Unlock()
				select {
				case y.come <- m:
				case <-y.ctx.Done():
					return
				}
			}
		})
	}
	return y
}

func (y *yard) String() string { return "yard" }

func (y *yard) Recv(ctx context.Context) (link.Inbound, error) {
	select {
	case m := <-y.come:
		return m, nil
	default:
	}
	select {
	case m := <-y.come:
		return m, nil
	case <-ctx.Done():
		return link.Inbound{}, ctx.Err()
	case <-y.ctx.Done():
		return link.Inbound{}, link.ErrClosed
	}
}

func (y *yard) Send(ctx context.Context, device string, message []byte) error {
	y.mu.Lock()
	r := y.heard[device]
	y.mu.Unlock()
	if r == nil {
		r = y.lines[0] // which says what is wrong
	}
	return r.Send(ctx, device, message)
}

func (y *yard) Close() error {
	y.cancel()
	y.wg.Wait()
	var errs []error
	for _, r := range y.lines {
		errs = append(errs, r.Close())
	}
	return errors.Join(errs...)
}

// TestConformance over cables that lose and damage frames, one for each device. A device that dials again takes the place of its
// former self, without a word to that.
func TestConformance(t *testing.T) {
	linktest.Run(t, linktest.Harness{Libraries: libraries, Open: func(t *testing.T) linktest.Carrier {
		cables := make([]*cable, 12)
		for i := range cables {
			cables[i] = newCable(t, fast, luck{seed: uint64(i), lose: 0.01, damage: 0.01, garbage: 0.01})
		}
		of := make(map[string]*cable)
		return linktest.Carrier{
			Dialer: func(device string) link.Dialer {
				if of[device] == nil {
					of[device] = cables[len(of)%len(cables)]
				}
				return serial.Dialer{Path: "cable", Device: device, Options: serial.Options{Baud: fast, Open: of[device].open(0)}}
			},
			Listen: func(t *testing.T) link.Receiver {
				lines := make([]*serial.Receiver, len(cables))
				for i := range lines {
					r, err := serial.Listen(fmt.Sprint("cable", i), serial.Options{Baud: fast, Open: cables[i].open(1), Logger: quiet()})
					if err != nil {
						t.Fatal(err)
					}
					lines[i] = r
				}
				return newYard(lines...)
			},
		}
	}})
}

// TestConformanceOverNetwork: the line is a terminal server's, which can be stalled, narrowed and cut. Each connection that comes is the
// line of one more receiver.
func TestConformanceOverNetwork(t *testing.T) {
	linktest.Run(t, linktest.Harness{Libraries: libraries, Open: func(t *testing.T) linktest.Carrier {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		proxy := linktest.NewProxy(t, listener.Addr().String())
		return linktest.Carrier{
			Machine: proxy,
			Dialer: func(device string) link.Dialer {
				return serial.Dialer{Path: "tcp", Device: device, Options: serial.Options{Baud: fast,
					Open: func(ctx context.Context) (io.ReadWriteCloser, error) {
						var d net.Dialer
						return d.DialContext(ctx, "tcp", proxy.Address())
					}}}
			},
			Listen: func(t *testing.T) link.Receiver {
				lines := make([]*serial.Receiver, 14)
				for i := range lines {
					r, err := serial.Listen(fmt.Sprint("tcp", i), serial.Options{Baud: fast, Open: accept(listener), Logger: quiet()})
					if err != nil {
						t.Fatal(err)
					}
					lines[i] = r
				}
				return newYard(lines...)
			},
		}
	}})
}

// accept waits for the next connection, as a port does for its converter.
func accept(l net.Listener) func(context.Context) (io.ReadWriteCloser, error) {
	return func(ctx context.Context) (io.ReadWriteCloser, error) {
		type result struct {
			c   net.Conn
			err error
		}
		got := make(chan result, 1)
		go func() {
			c, err := l.Accept()
			got <- result{c, err}
		}()
		select {
		case r := <-got:
			return r.c, r.err
		case <-ctx.Done():
			go func() {
				if r := <-got; r.c != nil {
					r.c.Close()
				}
			}()
			return nil, ctx.Err()
		}
	}
}
