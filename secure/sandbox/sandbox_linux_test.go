package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fulmar-io/fulmar/secure/sandbox"
)

// childArgs has the arguments of the process that is restricted: a process does not get its rights back.
const childArgs = "FULMAR_SANDBOX_CHILD"

func TestMain(m *testing.M) {
	if args := os.Getenv(childArgs); args != "" {
		if err := child(args); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// plan is what the child is to do.
type plan struct {
	Needs        sandbox.Needs
	Dir          string // with readable/file, writable/ and hidden/file
	Open, Closed int    // ports that are listened on: of the needs, and another
	Parent       int
	Program      string
}

// result is what became of each attempt: nothing, or the error's number.
type result struct {
	Obtained sandbox.Obtained
	Errors   map[string]syscall.Errno
}

func child(args string) error {
	var p plan
	if err := json.Unmarshal([]byte(args), &p); err != nil {
		return err
	}
	// A thread that was there before is restricted like those that come later.
	locked, begin := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		<-begin
		_, err := os.ReadFile(filepath.Join(p.Dir, "hidden", "file"))
		locked <- err
		locked <- unix.Unshare(0)
	}()
	o, err := sandbox.Enter(p.Needs)
	if err != nil {
		return err
	}
	r := result{Obtained: o, Errors: make(map[string]syscall.Errno)}
	try := func(name string, err error) {
		var errno syscall.Errno
		if err != nil && !errors.As(err, &errno) {
			errno = 9999
		}
		r.Errors[name] = errno
	}
	in := func(parts ...string) string { return filepath.Join(append([]string{p.Dir}, parts...)...) }
	readFile := func(path string) error { _, err := os.ReadFile(path); return err }
	socket := func(family, kind, protocol int) error {
		fd, err := unix.Socket(family, kind, protocol)
		if err == nil {
			err = unix.Close(fd)
		}
		return err
	}
	dial := func(port int) error {
		c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			err = c.Close()
		}
		return err
	}
	listen := func() error {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err == nil {
			err = l.Close()
		}
		return err
	}
	close(begin)
	try("another thread reads what is hidden", <-locked)
	try("another thread calls unshare", <-locked)
	try("read what is readable", readFile(in("readable", "file")))
	try("write what is readable", os.WriteFile(in("readable", "file"), nil, 0o600))
	try("read what is hidden", readFile(in("hidden", "file")))
	try("list a folder above", func() error { _, err := os.ReadDir(p.Dir); return err }())
	try("create", os.WriteFile(in("writable", "a"), []byte("x"), 0o600))
	try("rename", os.Rename(in("writable", "a"), in("writable", "b")))
	try("make a folder", os.Mkdir(in("writable", "folder"), 0o700))
	try("rename into another folder", os.Rename(in("writable", "b"), in("writable", "folder", "b")))
	try("remove", os.Remove(in("writable", "folder", "b")))
	try("make a device", unix.Mknod(in("writable", "null"), unix.S_IFCHR|0o600, 1<<8|3))
	try("start a program", exec.Command(p.Program).Run())
	inside := exec.Command(p.Program)
	inside.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}
	try("start a program in a user namespace", inside.Run())
	try("trace another", unix.PtraceAttach(p.Parent))
	try("mount", unix.Mount("none", in("writable"), "tmpfs", 0, ""))
	try("set the clock", unix.Settimeofday(&unix.Timeval{}))
	try("a raw socket", socket(unix.AF_PACKET, unix.SOCK_RAW, 0))
	try("a datagram socket", socket(unix.AF_INET, unix.SOCK_DGRAM, 0))
	try("a multipath socket", socket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP))
	try("connect to a port that is needed", dial(p.Open))
	try("connect to another port", dial(p.Closed))
	try("listen", listen())
	try("signal the parent", unix.Kill(p.Parent, 0))
	return json.NewEncoder(os.Stdout).Encode(r)
}

// attempt runs a child with needs; files are those of its folder.
func attempt(t *testing.T, needs func(p *plan)) result {
	t.Helper()
	p := plan{Dir: t.TempDir(), Parent: os.Getpid(), Open: listener(t), Closed: listener(t), Program: "/bin/true"}
	for _, folder := range []string{"readable", "writable", "hidden"} {
		if err := os.Mkdir(filepath.Join(p.Dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(p.Dir, folder, "file"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	needs(&p)
	args, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(os.Args[0])
	c.Env, c.Stderr = append(os.Environ(), childArgs+"="+string(args)), os.Stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var r result
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return r
}

// listener accepts connections at a port until the test ends.
func listener(t *testing.T) int {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

// check compares what became of the attempts: those that are named fail with that error, all others succeed.
func (r result) check(t *testing.T, failing map[string]syscall.Errno) {
	t.Helper()
	if len(r.Errors) < 20 {
		t.Fatalf("%d attempts", len(r.Errors))
	}
	for name := range failing {
		if _, tried := r.Errors[name]; !tried {
			t.Errorf("%s: not tried", name)
		}
	}
	for name, got := range r.Errors {
		if want := failing[name]; got != want {
			t.Errorf("%s: %v, for %v", name, got, want)
		}
	}
}

// What a courier half is left with: its folders and its ports.
func TestWhatIsNotNeededIsGone(t *testing.T) {
	r := attempt(t, func(p *plan) {
		p.Needs = sandbox.Needs{Read: []string{p.Dir + "/readable", p.Dir + "/missing"}, Write: []string{p.Dir + "/writable"},
			Devices: []string{"/dev/null"}, Ports: []uint16{uint16(p.Open)}, Alone: true}
	})
	o := r.Obtained
	if o.Lacks != "" {
		t.Skipf("this host does not have all of it: %s", o.Lacks) // a kernel is not to be installed, as a tool is
	}
	if o.String() != "files, ports, processes, system calls" {
		t.Errorf("obtained %s", o)
	}
	r.check(t, map[string]syscall.Errno{
		"another thread reads what is hidden": unix.EACCES,
		"another thread calls unshare":        unix.EPERM,
		"write what is readable":              unix.EACCES,
		"read what is hidden":                 unix.EACCES,
		"list a folder above":                 unix.EACCES,
		"make a device":                       unix.EPERM,
		"start a program":                     unix.EPERM,
		"start a program in a user namespace": unix.EPERM,
		"trace another":                       unix.EPERM,
		"mount":                               unix.EPERM,
		"set the clock":                       unix.EPERM,
		"a raw socket":                        unix.EPERM,
		"a multipath socket":                  unix.EPERM,
		"connect to another port":             unix.EACCES,
		"listen":                              unix.EACCES,
		"signal the parent":                   unix.EPERM,
	})
}

// What a control half is left with: it starts the other half, and that one uses the network.
func TestWhatIsNeededStays(t *testing.T) {
	r := attempt(t, func(p *plan) {
		p.Needs = sandbox.Needs{Read: []string{p.Dir + "/readable/file"}, Write: []string{p.Dir + "/writable", p.Dir + "/hidden"},
			Devices: []string{"/dev/null"}, Execute: append(sandbox.Libraries(p.Program), p.Program), Families: []int{unix.AF_PACKET}}
	})
	if r.Obtained.Lacks != "" {
		t.Skipf("this host does not have all of it: %s", r.Obtained.Lacks)
	}
	if o := r.Obtained; o.String() != "files, system calls" {
		t.Errorf("obtained %s", o)
	}
	want := map[string]syscall.Errno{
		"another thread calls unshare":        unix.EPERM,
		"write what is readable":              unix.EACCES,
		"list a folder above":                 unix.EACCES,
		"make a device":                       unix.EPERM,
		"start a program in a user namespace": unix.EPERM,
		"trace another":                       unix.EPERM,
		"mount":                               unix.EPERM,
		"set the clock":                       unix.EPERM,
		"a multipath socket":                  unix.EPERM,
	}
	if os.Getuid() != 0 {
		want["a raw socket"] = unix.EPERM
	}
	r.check(t, want)
}
