package ring_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fulmar-io/fulmar/ring"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// A scene is a region before a call, and the call: a Publish or a Flush.
type scene struct {
	name  string
	set   func(*actor) error
	flush bool
}

// stepLargest bounds the packets of scenes, in bytes beyond their headers.
const stepLargest = 400

var scenes = []scene{
	{name: "into an empty ring", set: func(*actor) error { return nil }},
	{name: "behind others", set: func(a *actor) error { return a.publish(20) }},
	{name: "around the end", set: (*actor).fillToTheEnd},
	{name: "after drops", set: (*actor).drop},
	{name: "a flush after drops", set: (*actor).drop, flush: true},
}

// An actor is the process that is stepped through.
type actor struct {
	r *ring.Region
	p *ring.Producer
	j journal
	n int // packets tried
}

func (a *actor) next() []byte { return contentOf(identity(0, a.n), stepLargest) }

func (a *actor) publish(n int) error {
	for range n {
		seq, err := a.p.Publish(a.next())
		a.wrote(seq, err)
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *actor) wrote(seq uint64, err error) {
	if seq++; err != nil {
		seq = wasDropped
	}
	a.j.store(published1(0, a.n), seq)
	a.n++
}

// fillToTheEnd publishes until the next packet has to go around, and releases everything.
func (a *actor) fillToTheEnd() error {
	c := a.r.Consumer()
	for {
		used, _ := c.Backlog()
		if left := a.r.Capacity() - int(used); left < 16+len(a.next()) {
			if left == 0 {
				return errors.New("a packet ended at the end")
			}
			break
		}
		if err := a.publish(1); err != nil {
			return err
		}
	}
	for e, ok := c.Next(0); ok; e, ok = c.Next(0) {
		note(a.j, e)
		c.Release(e.Mark)
	}
	return nil
}

// drop drops packets of each class for want of numbers.
func (a *actor) drop() error {
	if err := a.publish(9); err != nil {
		return err
	}
	a.ceilings(0)
	for range 8 {
		if err := a.publish(1); !errors.Is(err, ring.ErrFull) {
			return fmt.Errorf("published without a number below the ceiling: %w", err)
		}
	}
	a.ceilings(1 << 62)
	return nil
}

func (a *actor) ceilings(n uint64) {
	for i := range packet.Classes {
		a.r.SetCeiling(packet.ClassAt(i), n)
	}
}

// The states of wordStep.
const (
	stepReady    = 1
	stepReturned = 2
)

// stepThrough is the process: it sets the scene, stops, makes the call and says that it has returned.
func stepThrough(dir, arg string) error {
	i, err := strconv.Atoi(arg)
	if err != nil {
		return err
	}
	a := &actor{}
	if a.j, err = openJournal(filepath.Join(dir, "journal")); err != nil {
		return err
	}
	a.r, err = ring.Create(filepath.Join(dir, "ring"), ring.Options{Device: "rover", Boot: telemetry.Boot{1}, Producers: 1,
		Capacity: ring.MinCapacity})
	if err != nil {
		return err
	}
	a.ceilings(1 << 62)
	if a.p, err = a.r.Producer(0); err != nil {
		return err
	}
	if err := scenes[i].set(a); err != nil {
		return err
	}
	b := a.next()
	a.j.store(wordStep, stepReady)
	if err := unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGTRAP); err != nil {
		return err
	}
	if scenes[i].flush {
		if !a.p.Flush() {
			return errors.New("not everything was declared")
		}
	} else {
		a.wrote(a.p.Publish(b))
	}
	a.j.store(wordStep, stepReturned)
	return errors.New("nobody killed this process")
}

// TestCutAtEveryStore runs a call of a producer instruction by instruction, and recovers what lies in shared memory each time
// that it has changed, as if the process had been killed there.
func TestCutAtEveryStore(t *testing.T) {
	runtime.LockOSThread() // one thread traces
	defer runtime.UnlockOSThread()
	for i, s := range scenes {
		dir := filepath.Join(sharedDir(t), strconv.Itoa(i))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		c := child("step", dir, strconv.Itoa(i))
		c.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
		if err := c.Start(); err != nil {
			t.Skipf("this system lets no process be traced: %v", err)
		}
		steps, cuts, err := trace(c.Process.Pid, dir)
		_ = c.Process.Kill()
		_ = c.Wait()
		if errors.Is(err, unix.EIO) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
			t.Skipf("this system does not step through processes: %v", err)
		}
		if err != nil {
			t.Fatalf("%s: cut at store %d (instruction %d): %v", s.name, cuts, steps, err)
		}
		// A packet is at least numbered, copied, given its number, its sum, its commit word and the head.
		if cuts < 5 {
			t.Errorf("%s: only %d stores in %d instructions", s.name, cuts, steps)
		}
		t.Logf("%s: cut at %d stores in %d instructions", s.name, cuts, steps)
	}
}

func trace(pid int, dir string) (steps, cuts int, err error) {
	j, err := openJournal(filepath.Join(dir, "journal"))
	if err != nil {
		return 0, 0, err
	}
	defer j.close()
	if err := untilReady(pid, j); err != nil {
		return 0, 0, err
	}
	shared, err := mapShared(filepath.Join(dir, "ring"))
	if err != nil {
		return 0, 0, err
	}
	defer unix.Munmap(shared)
	before := []byte(nil)
	for ; ; steps++ {
		returned := j.load(wordStep) == stepReturned
		if returned || !bytes.Equal(before, shared) {
			before = slices.Clone(shared)
			if err := cut(dir, before, j); err != nil {
				return steps, cuts, err
			}
			cuts++
		}
		if returned {
			return steps, cuts, nil
		}
		if err := unix.PtraceSingleStep(pid); err != nil {
			return steps, cuts, err
		}
		if _, err := waitStop(pid); err != nil {
			return steps, cuts, err
		}
	}
}

// untilReady lets a process run until it has set its scene.
func untilReady(pid int, j journal) error {
	for {
		signal, err := waitStop(pid)
		if err != nil {
			return err
		}
		if signal == unix.SIGTRAP {
			if j.load(wordStep) == stepReady {
				return nil
			}
			signal = 0 // the exec
		}
		if err := unix.PtraceCont(pid, int(signal)); err != nil {
			return err
		}
	}
}

func waitStop(pid int) (unix.Signal, error) {
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(pid, &status, unix.WALL, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil && !status.Stopped() {
			err = fmt.Errorf("the process ended: status %#x", uint32(status))
		}
		return status.StopSignal(), err
	}
}

func mapShared(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return unix.Mmap(int(f.Fd()), 0, int(st.Size()), unix.PROT_READ, unix.MAP_SHARED)
}

// cut recovers a copy of the memory.
func cut(dir string, memory []byte, j journal) error {
	path := filepath.Join(dir, "cut")
	if err := os.WriteFile(path, memory, 0o600); err != nil {
		return err
	}
	v, err := recoverRegion(path, j, stepLargest)
	if err != nil {
		return err
	}
	return v.check(j, 1)
}
