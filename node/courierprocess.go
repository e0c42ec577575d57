package node

import (
	"bufio"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"strings"
	"time"

	"github.com/fulmar-io/fulmar/command"
)

// CourierProcess is the courier half as another process, seen from the control half: it is started, and started again when it
// ends; one that is silent for three seconds, stopped or wedged, is killed. Its methods are for one goroutine.
type CourierProcess struct {
	// Command returns the command that runs RunCourier with a region, empty for a new boot. Its standard input ends when the
	// control half does; its standard output is for what RunCourier says to that.
	Command func(region string) *exec.Cmd
	// Carry is given the orders that the process has taken: the Command of the control half's Node.
	Carry  func(command.Order)
	Logger *slog.Logger

	running *courierRun
	stop    chan struct{} // closed to have no other begun
	ended   chan error    // how the last one ended
}

// courierRun is one life of it.
type courierRun struct {
	cmd    *exec.Cmd
	alive  io.Closer     // its standard input
	ready  chan string   // the region's path, once
	heard  chan struct{} // holds one word that it has said something since
	ended  chan error    // how it ended, once
	region string        // what was read from ready already
}

// readyPrefix is what the line begins with by which a courier half says that it is ready.
const readyPrefix = "region "

// orderPrefix is what the line begins with by which it hands on an order, in base64.
const orderPrefix = "order "

// alivePeriod is how often it says that it lives, and silentPeriods how many of them it may be silent for. They are counted in the
// control half, so that one that is stopped as well has counted none.
const alivePeriod, silentPeriods = 200 * time.Millisecond, 15

// Backoff between the starts of a courier half that ends before it is ready, as where the disk is gone; one that was ready is
// followed at once by another, for the ring fills meanwhile.
const courierBackoff, maxCourierBackoff = 50 * time.Millisecond, 2 * time.Second

// ErrNotBegun is what Start returns when its context ends before the process is ready, unless the process tells of a fault by how it
// ends then.
var ErrNotBegun = errors.New("node: stopped before the courier half had begun")

// Start starts the process and returns the region it made, in which a boot has begun. One that is killed before it has done so is
// started again.
func (p *CourierProcess) Start(ctx context.Context) (region string, err error) {
	p.stop, p.ended = make(chan struct{}), make(chan error, 1)
	for {
		if p.running, err = p.begin(""); err != nil {
			return "", err
		}
		select {
		case region := <-p.running.ready:
			p.running.region = region
			go p.supervise(region)
			return region, nil
		case err = <-p.running.ended:
		case <-ctx.Done():
			if err := errors.Join(p.running.alive.Close(), <-p.running.ended); err != nil {
				return "", fmt.Errorf("node: the courier half did not begin before it was stopped: %w", err)
			}
			return "", ErrNotBegun
		}
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
	r := &courierRun{cmd: p.Command(region), ready: make(chan string, 1), heard: make(chan struct{}, 1), ended: make(chan error, 1)}
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
	go r.listen(out, p.carry)
	return r, nil
}

// carry gives the control half an order that the process has told of.
func (p *CourierProcess) carry(text string) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err == nil {
		var o command.Order
		if o, err = command.ParseOrder(b); err == nil {
			p.Carry(o)
			return
		}
	}
	p.Logger.Error("the courier half told of an order that is none", "error", err)
}

// listen hears what the process says until it ends.
func (r *courierRun) listen(out io.Reader, carry func(string)) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		select {
		case r.heard <- struct{}{}:
		default:
		}
		if order, ok := strings.CutPrefix(lines.Text(), orderPrefix); ok {
			carry(order)
		}
		if path, ok := strings.CutPrefix(lines.Text(), readyPrefix); ok {
			select {
			case r.ready <- path:
			default:
			}
		}
	}
	r.ended <- r.cmd.Wait()
}

// supervise waits for the process to end, and begins another on the same region.
func (p *CourierProcess) supervise(region string) {
	backoff := courierBackoff
	for {
		r := p.running
		err, finished := p.watch(r)
		if finished {
			p.ended <- err
			return
		}
		p.Logger.Error("the courier half has ended; the loops go on, and another is begun", "pid", r.pid(), "error", err)
		_ = r.alive.Close() // of a process that is no more
		if r.region != "" {
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

// watch returns when a process has ended, and how; finished is that it was told to.
func (p *CourierProcess) watch(r *courierRun) (err error, finished bool) {
	tick := time.NewTicker(alivePeriod)
	defer tick.Stop()
	silent, lives, killed := 0, false, false
	for stop := p.stop; ; {
		select {
		case <-stop:
			stop, finished = nil, true
			err = r.alive.Close()
		case e := <-r.ended:
			if killed {
				e = fmt.Errorf("node: the courier half was silent for %s and was killed; the next one takes what is left", alivePeriod*silentPeriods)
			}
			return errors.Join(err, e), finished
		case r.region = <-r.ready:
		case <-r.heard:
			silent, lives = 0, true
		case <-tick.C:
			if silent++; silent >= silentPeriods && lives {
				killed = r.cmd.Process.Kill() == nil // otherwise it has ended just now
				silent = 0
			}
		}
	}
}
