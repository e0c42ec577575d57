package node

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"strings"
	"time"
)

// CourierProcess is the courier half as another process, seen from the control half: it is started, and started again when it
// ends. Its methods are for one goroutine.
type CourierProcess struct {
	// Command returns the command that runs RunCourier with a region, empty for a new boot. Its standard input ends when the
	// control half does; to its standard output it writes Ready of the region's path.
	Command func(region string) *exec.Cmd
	Logger  *slog.Logger

	running *courierRun
	stop    chan struct{} // closed to have no other begun
	ended   chan error    // how the last one ended
}

// courierRun is one life of it.
type courierRun struct {
	cmd    *exec.Cmd
	alive  io.Closer   // its standard input
	ready  chan string // the region's path; closed without if it ends before
	region string      // what was read from ready already
}

// readyPrefix is what the line of Ready begins with.
const readyPrefix = "region "

// Ready is the line by which a courier half says that it is ready.
func Ready(region string) string { return readyPrefix + region + "\n" }

// Backoff between the starts of a courier half that ends before it is ready, as where the disk is gone; one that was ready is
// followed at once by another, for the ring fills meanwhile.
const courierBackoff, maxCourierBackoff = 50 * time.Millisecond, 2 * time.Second

// Start starts the process and returns the region it made, in which a boot has begun. One that is killed before it has done so is
// started again.
func (p *CourierProcess) Start(ctx context.Context) (region string, err error) {
	p.stop, p.ended = make(chan struct{}), make(chan error, 1)
	for {
		if p.running, err = p.begin(""); err != nil {
			return "", err
		}
		select {
		case region, ok := <-p.running.ready:
			if ok {
				p.running.region = region
				go p.supervise(region)
				return region, nil
			}
		case <-ctx.Done():
			return "", errors.Join(ctx.Err(), p.running.alive.Close(), p.running.cmd.Wait())
		}
		err = p.running.cmd.Wait()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Exited() {
			return "", fmt.Errorf("node: the courier half did not begin: %w", cmp.Or(err, errors.New("it ended")))
		}
		p.Logger.Error("the courier half was killed before it began; another is begun", "error", err)
	}
}

// Finish tells the process that the control half has ended, and returns how it ended: when everything that was published is
// in the spool and, as far as its Linger allows, on the ground.
func (p *CourierProcess) Finish() error {
	close(p.stop)
	return <-p.ended
}

// pid returns the process's id.
func (r *courierRun) pid() int { return r.cmd.Process.Pid }

func (p *CourierProcess) begin(region string) (*courierRun, error) {
	r := &courierRun{cmd: p.Command(region), ready: make(chan string, 1)}
	in, err := r.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("node: courier half: %w", err)
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("node: courier half: %w", err)
	}
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("node: courier half: %w", err)
	}
	r.alive = in
	go func() {
		defer close(r.ready)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if path, ok := strings.CutPrefix(lines.Text(), readyPrefix); ok {
				r.ready <- path
				return
			}
		}
	}()
	return r, nil
}

// supervise waits for the process to end, and begins another on the same region.
func (p *CourierProcess) supervise(region string) {
	backoff := courierBackoff
	for {
		r, ready := p.running, false
		ended := make(chan error, 1)
		go func() { // Wait closes what the ready line is read from
			_, again := <-r.ready
			ready = again || region == r.region
			ended <- r.cmd.Wait()
		}()
		select {
		case <-p.stop:
			err := r.alive.Close()
			p.ended <- errors.Join(err, <-ended)
			return
		case err := <-ended:
			p.Logger.Error("the courier half has ended; the loops go on, and another is begun", "pid", r.pid(), "error", err)
			_ = r.alive.Close() // of a process that is no more
		}
		if ready {
			backoff = courierBackoff
		}
		for next := (*courierRun)(nil); next == nil; {
			select {
			case <-p.stop:
				p.ended <- errors.New("node: the courier half has ended before everything was in the spool; the next start takes what is left")
				return
			case <-time.After(backoff):
			}
			backoff = min(2*backoff, maxCourierBackoff)
			var err error
			if next, err = p.begin(region); err != nil {
				p.Logger.Error("the courier half does not start", "error", err)
				continue
			}
			p.running = next
		}
	}
}
