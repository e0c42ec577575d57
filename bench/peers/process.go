package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is how long anything that is started may take until it is there, and anything that is stopped until it has ended.
const patience = 30 * time.Second

// said keeps the end of what a process says, for when it fails.
type said struct {
	mu   sync.Mutex // guards text
	text []byte
}

const saidBytes = 16 << 10

// listen reads lines until r ends.
func (s *said) listen(r io.Reader) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		s.mu.Lock()
		s.text = append(append(s.text, lines.Bytes()...), '\n')
		if len(s.text) > 2*saidBytes {
			s.text = append(s.text[:0], s.text[len(s.text)-saidBytes:]...)
		}
		s.mu.Unlock()
	}
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(bytes.TrimSpace(s.text))
}

// process is a child. Its standard error is kept, its standard output too unless it is a producer's.
type process struct {
	name  string
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *json.Decoder // of a producer
	says  *said
	ended chan struct{}
}

// start starts a program, which is killed when ctx ends.
func start(ctx context.Context, name string, producer bool, program string, args ...string) (*process, error) {
	p := &process{name: name, cmd: exec.CommandContext(ctx, program, args...), says: &said{}, ended: make(chan struct{})}
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for this process, which stops them in order
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var heard sync.WaitGroup
	heard.Go(func() { p.says.listen(stderr) })
	if producer {
		p.out = json.NewDecoder(bufio.NewReader(out))
	} else {
		heard.Go(func() { p.says.listen(out) })
	}
	go func() {
		heard.Wait()
		_ = p.cmd.Wait() // how it ended is in ProcessState
		close(p.ended)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// listening waits until a process takes connections.
func (p *process) listening(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !reachable(ctx, address) {
		select {
		case <-tick.C:
		case <-p.ended:
			return fmt.Errorf("%s has ended: %s", p.name, p.says)
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen on %s: %s", p.name, address, p.says)
		}
	}
	return nil
}

// stop has a process end: with a signal, and if that does not help by force. It may be called of one that has ended.
func (p *process) stop(how syscall.Signal) {
	if p == nil {
		return
	}
	_ = p.in.Close()              // a producer ends by it
	_ = p.cmd.Process.Signal(how) // it may have ended
	select {
	case <-p.ended:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// tell has a producer do something; its answer is read with hear.
func (p *process) tell(o order) error { return json.NewEncoder(p.in).Encode(o) }

func (p *process) hear(answer any) error {
	if err := p.out.Decode(answer); err != nil {
		return errors.Join(fmt.Errorf("%s: %w: %s", p.name, err, p.says))
	}
	return nil
}

// usage is what a process has used up.
type usage struct {
	cpu time.Duration // user and system, of all its threads
	rss int64         // bytes in memory now, shared ones included
}

// clockTick is the kernel's USER_HZ, which is 100 on every architecture that Go runs on.
const clockTick = 10 * time.Millisecond

// usageOf reads what the kernel says of a process.
func usageOf(pid int) (u usage, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, err
	}
	_, after, _ := strings.Cut(string(b), ") ") // the name before may have anything in it
	f := strings.Fields(after)
	if len(f) < 22 {
		return u, fmt.Errorf("process %d: stat has %d fields", pid, len(f))
	}
	var ticks [2]int64
	for i, field := range []int{11, 12} { // utime and stime: proc(5) counts from 1, and from the process id
		if ticks[i], err = strconv.ParseInt(f[field], 10, 64); err != nil {
			return u, err
		}
	}
	pages, err := strconv.ParseInt(f[21], 10, 64)
	return usage{cpu: time.Duration(ticks[0]+ticks[1]) * clockTick, rss: pages * int64(os.Getpagesize())}, err
}
