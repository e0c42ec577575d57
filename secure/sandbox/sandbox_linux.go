package sandbox

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"unsafe"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// What each kind of path gives. Making devices is for nobody.
const (
	read    = landlock.AccessFSSet(ll.AccessFSReadFile | ll.AccessFSReadDir)
	write   = read | ll.AccessFSWriteFile | ll.AccessFSTruncate | ll.AccessFSRemoveDir | ll.AccessFSRemoveFile | ll.AccessFSMakeDir | ll.AccessFSMakeReg | ll.AccessFSMakeSock | ll.AccessFSMakeFifo | ll.AccessFSMakeSym | ll.AccessFSRefer
	devices = read | ll.AccessFSWriteFile | ll.AccessFSTruncate | ll.AccessFSIoctlDev
	execute = landlock.AccessFSSet(ll.AccessFSReadFile | ll.AccessFSReadDir | ll.AccessFSExecute)
	ofFiles = landlock.AccessFSSet(ll.AccessFSReadFile | ll.AccessFSWriteFile | ll.AccessFSTruncate | ll.AccessFSIoctlDev | ll.AccessFSExecute) // what a file can have, that is no folder
)

// The versions of Landlock from which on it knows of ports and of processes.
const portsSince, aloneSince = 4, 6

// Enter restricts this process, in all its threads, to its needs, as far as the kernel does so. After an error it may be restricted in part.
func Enter(n Needs) (Obtained, error) {
	var o Obtained
	var lacks []string
	version, err := ll.LandlockGetABIVersion()
	switch {
	case err != nil:
		lacks = append(lacks, "this kernel has no Landlock, or was started without it")
	default:
		if err := n.restrict(); err != nil {
			return o, fmt.Errorf("sandbox: files: %w", err)
		}
		o.Files = filesAreRestricted()
		o.Ports = n.Ports != nil && version >= portsSince
		o.Alone = n.Alone && version >= aloneSince
		if n.Ports != nil && !o.Ports || n.Alone && !o.Alone {
			lacks = append(lacks, fmt.Sprintf("this kernel's Landlock is of version %d: ports need %d, processes %d", version, portsSince, aloneSince))
		}
		if !o.Files {
			lacks = append(lacks, fmt.Sprintf("this kernel's Landlock is of version %d, and does not let files move between folders", version))
		}
	}
	here, err := arch.GetInfo("")
	switch {
	case err != nil:
		lacks = append(lacks, "the numbers of system calls are not known for "+runtime.GOARCH)
	case !seccomp.Supported():
		lacks = append(lacks, "this kernel has no seccomp filters")
	default:
		if err := n.filter(here); err != nil {
			return o, fmt.Errorf("sandbox: system calls: %w", err)
		}
	}
	o.Calls = errors.Is(unix.Unshare(0), unix.EPERM) // which does nothing where it is allowed
	o.Lacks = strings.Join(lacks, "; ")
	return o, nil
}

// filesAreRestricted asks the kernel: the root folder is in nobody's needs.
func filesAreRestricted() bool {
	f, err := os.Open("/")
	if err == nil {
		_ = f.Close() // nothing was written
	}
	return errors.Is(err, unix.EACCES)
}

// restrict has Landlock deny everything but what is needed.
func (n Needs) restrict() error {
	var rules []landlock.Rule
	for _, e := range []struct {
		rights landlock.AccessFSSet
		paths  []string
	}{{read, n.Read}, {write, n.Write}, {devices, n.Devices}, {execute, n.Execute}} {
		for _, path := range e.paths {
			st, err := os.Stat(path)
			if err != nil {
				continue // it does not exist, or is not for this user anyway
			}
			rights := e.rights
			if !st.IsDir() {
				rights &= ofFiles
			}
			rules = append(rules, landlock.PathAccess(rights, path))
		}
	}
	c := landlock.Config{HandledAccessFS: write | execute | devices | ll.AccessFSMakeChar | ll.AccessFSMakeBlock}
	if n.Ports != nil {
		c.HandledAccessNet = ll.AccessNetConnectTCP | ll.AccessNetBindTCP
		for _, p := range n.Ports {
			rules = append(rules, landlock.ConnectTCP(p))
		}
	}
	if n.Alone {
		c.Scoped = ll.ScopeAbstractUnixSocket | ll.ScopeSignal
	}
	// In one step: a layer of Landlock that knows nothing of files forbids to rename from folder to folder.
	return c.BestEffort().Restrict(rules...)
}

// denied are system calls that change the host, look into other processes, or have had more than their share of the kernel's bugs, and
// for which no part of a machine has a use.
var denied = []string{
	"acct", "add_key", "bpf", "chroot", "clock_adjtime", "clock_adjtime64", "clock_settime", "clock_settime64", "create_module",
	"delete_module", "fanotify_init", "finit_module", "fsconfig", "fsmount", "fsopen", "fspick", "init_module", "io_uring_enter",
	"io_uring_register", "io_uring_setup", "ioperm", "iopl", "kcmp", "kexec_file_load", "kexec_load", "keyctl", "lookup_dcookie", "mknod",
	"mknodat", "mount", "mount_setattr", "move_mount", "move_pages", "name_to_handle_at", "nfsservctl", "open_by_handle_at", "open_tree",
	"perf_event_open", "personality", "pidfd_getfd", "pivot_root", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace",
	"quotactl", "quotactl_fd", "reboot", "request_key", "setdomainname", "sethostname", "setns", "settimeofday", "setfsgid", "setfsuid",
	"setgid", "setgroups", "setregid", "setresgid", "setresuid", "setreuid", "setuid", "stime", "swapoff", "swapon", "syslog", "umount",
	"umount2", "unshare", "uselib", "userfaultfd", "vhangup", "vm86", "vm86old", "vmsplice",
}

// filter has seccomp answer EPERM to what is denied.
func (n Needs) filter(here *arch.Info) error {
	known := func(name string) bool { _, ok := here.SyscallNames[name]; return ok }
	names := slices.DeleteFunc(slices.Clone(denied), func(name string) bool { return !known(name) })
	if len(n.Execute) == 0 {
		names = append(names, "execve", "execveat")
	}
	families := []seccomp.Condition{}
	for _, f := range append([]int{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK}, n.Families...) {
		families = append(families, seccomp.Condition{Argument: 0, Operation: seccomp.NotEqual, Value: uint64(f)})
	}
	const namespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP
	conditional := []seccomp.NameWithConditions{
		{Name: "clone", Conditions: []seccomp.Condition{{Argument: 0, Operation: seccomp.BitsSet, Value: namespaces}}},
	}
	if known("socket") { // 386 has socketcall as well, which hides its arguments
		conditional = append(conditional, seccomp.NameWithConditions{Name: "socket", Conditions: families},
			// Landlock knows nothing of the ports of multipath TCP (github.com/landlock-lsm/linux/issues/54). Package net does without.
			seccomp.NameWithConditions{Name: "socket", Conditions: []seccomp.Condition{{Argument: 2, Operation: seccomp.Equal, Value: unix.IPPROTO_MPTCP}}})
	}
	if err := load(onlyArchitecture(uint32(here.ID))); err != nil {
		return err
	}
	return seccomp.LoadFilter(seccomp.Filter{NoNewPrivs: true, Flag: seccomp.FilterFlagTSync, Policy: seccomp.Policy{
		DefaultAction: seccomp.ActionAllow,
		Syscalls: []seccomp.SyscallGroup{
			{Names: names, NamesWithCondtions: conditional, Action: seccomp.ActionErrno | seccomp.Action(unix.EPERM)},
			// Its flags cannot be seen. Who is told that it is not there, as a C library, takes clone.
			{Names: []string{"clone3"}, Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS)},
		},
	}})
}

// onlyArchitecture answers EPERM to system calls in the manner of another architecture, as of 386 on amd64: the filter by numbers lets
// those pass.
func onlyArchitecture(id uint32) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: 4, Size: 4}, // seccomp_data.arch
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: id, SkipFalse: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW},
		bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
	}
}

// load loads a filter for all threads.
func load(program []bpf.Instruction) error {
	raw, err := bpf.Assemble(program)
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	runtime.LockOSThread() // the thread that sets no_new_privs is the one that loads, which gives it to the others
	defer runtime.UnlockOSThread()
	if err := seccomp.SetNoNewPrivs(); err != nil {
		return err
	}
	p := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	failed, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&p)))
	if errno != 0 {
		return errno
	}
	if failed != 0 {
		return fmt.Errorf("thread %d has filters of its own", failed)
	}
	return nil
}
