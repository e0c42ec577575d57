package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Prepare takes what it can. It is called once, before real-time threads begin; what it could not have is in the findings.
func Prepare() *Taken {
	t := &Taken{}
	t.keepAwake()
	t.lockMemory()
	return t
}

const latencyDevice = "/dev/cpu_dma_latency"

// keepAwake asks the kernel for idle states that are left at once: a deep one takes up to a millisecond. It holds as long
// as the file is open.
func (t *Taken) keepAwake() {
	const what = "processor idle states"
	f, err := os.OpenFile(latencyDevice, os.O_WRONLY, 0)
	if err == nil {
		var zero [4]byte
		binary.NativeEndian.PutUint32(zero[:], 0)
		if _, err = f.Write(zero[:]); err != nil {
			_ = f.Close()
		}
	}
	if err != nil {
		t.Findings = append(t.Findings, Finding{What: what, Grade: Bad,
			Detail: fmt.Sprintf("an idle processor may sleep deeply and wake up late: %v", err), Cure: "chmod o+w " + latencyDevice})
		return
	}
	t.close = append(t.close, f.Close)
	t.Findings = append(t.Findings, Finding{What: what, Detail: "held awake while this process runs"})
}

// lockMemory keeps the process's pages from being taken away. Where memory that may be locked is bounded, the Go runtime
// could not get more of it later, which would be the end of the process: then nothing is locked.
func (t *Taken) lockMemory() {
	const what = "locked memory"
	var err error
	if limit, bounded := lockLimit(); bounded {
		err = fmt.Errorf("the limit is %d bytes", limit)
	} else {
		err = unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT)
	}
	if err != nil {
		t.Findings = append(t.Findings, Finding{What: what, Grade: Better,
			Detail: fmt.Sprintf("pages may be taken away, and a step that needs one waits for it: %v", err), Cure: grantRights})
		return
	}
	t.close = append(t.close, unix.Munlockall)
	t.Findings = append(t.Findings, Finding{What: what, Detail: "every page stays once it is touched"})
}

// grantRights gives the binary the rights to real-time threads and to locked memory.
const grantRights = "setcap cap_sys_nice,cap_ipc_lock+ep $(command -v fulmar)"

// lockLimit returns how many bytes this process may lock, if that is bounded.
func lockLimit() (limit uint64, bounded bool) {
	var l unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &l)
	return l.Cur, err != nil || l.Cur != unix.RLIM_INFINITY && !capable(unix.CAP_IPC_LOCK)
}

// Raise gives all threads of this process that are ordinary, and those that the Go runtime begins later, the lowest real-time
// priority: the runtime passes work of real-time threads through them, and a busy host would let them wait. It is for a
// process that has little else to do, as others are held up by whatever it does. It is called after the real-time threads
// have begun.
func (t *Taken) Raise() error {
	raised := 0
	for { // a thread may begin meanwhile from one that was not raised
		before := raised
		tids, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("host: raise threads: %w", err)
		}
		for _, e := range tids {
			tid, err := strconv.Atoi(e.Name())
			if err != nil {
				continue
			}
			switch done, err := changePolicy(tid, unix.SCHED_NORMAL, unix.SCHED_FIFO, 1); {
			case errors.Is(err, unix.ESRCH): // it has ended
			case err != nil:
				return fmt.Errorf("host: raise threads: %w", err)
			case done:
				raised++
			}
		}
		if raised == before {
			t.close = append(t.close, Ordinary)
			return nil
		}
	}
}

// Ordinary undoes Raise, in this process or in one that began another, which has the priority of the thread that began it.
func Ordinary() error {
	tids, err := os.ReadDir("/proc/self/task")
	for _, e := range tids {
		if tid, terr := strconv.Atoi(e.Name()); terr == nil {
			if attr, gerr := unix.SchedGetAttr(tid, 0); gerr != nil || attr.Priority != 1 {
				continue
			}
			if _, cerr := changePolicy(tid, unix.SCHED_FIFO, unix.SCHED_NORMAL, 0); cerr != nil && !errors.Is(cerr, unix.ESRCH) {
				err = errors.Join(err, cerr)
			}
		}
	}
	return err
}

// changePolicy changes the policy of a thread that has another, and reports whether it had.
func changePolicy(tid int, from, to, priority uint32) (bool, error) {
	attr, err := unix.SchedGetAttr(tid, 0)
	if err != nil || attr.Policy != from {
		return false, err
	}
	*attr = unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: to, Priority: priority}
	return true, unix.SchedSetAttr(tid, attr, 0)
}

// capable reports whether this process has a capability.
func capable(c int) bool {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		if set, ok := strings.CutPrefix(line, "CapEff:"); ok {
			n, err := strconv.ParseUint(strings.TrimSpace(set), 16, 64)
			return err == nil && n>>c&1 == 1
		}
	}
	return false
}
