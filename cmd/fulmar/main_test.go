package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The tests' binary is also the processes that they start and kill: fulmar, and a machine whose component keeps a journal.
const childEnv = "FULMAR_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childEnv) {
	case "fulmar":
		main()
	case "control", "courier":
		if err := halfChild(os.Getenv(childEnv), os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case "broker":
		if err := brokerChild(os.Args[1], os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case "machine", "rover":
		if err := machineChild(os.Getenv(childEnv), os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// And in scripts it is the command fulmar itself.
	testscript.Main(m, map[string]func(){"fulmar": main})
}

// insecure is the variable with which a test that is about something else does without keys.
const insecure = "FULMAR_INSECURE"

// process is a child of the test.
type process struct {
	cmd     *exec.Cmd
	out     strings.Builder
	figures strings.Builder // of standard output, where that is apart
}

func startChild(t *testing.T, kind string, args ...string) *process {
	t.Helper()
	p := child(kind, args...)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// child returns a process that is not started.
func child(kind string, args ...string) *process {
	p := &process{cmd: exec.Command(os.Args[0], args...)}
	p.cmd.Env = append(os.Environ(), childEnv+"="+kind)
	if len(args) > 0 && args[0] != "demo" { // which has keys of its own
		p.cmd.Env = append(p.cmd.Env, insecure+"=true")
	}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	return p
}

// end sends a signal and waits. Only after it may out be read.
func (p *process) end(s os.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil {
		return err
	}
	return p.cmd.Wait()
}

func freePort(t *testing.T) string {
	t.Helper()
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// given are the addresses that freeAddress has returned.
var given sync.Map

// freeAddress returns an address on which nobody listens now, and which it returns once. It is outside the ranges from which systems choose a
// port for whoever asks for any, so that it stays free while a test's server is down.
func freeAddress() (address string, err error) {
	for range 100 {
		address = fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000))
		if _, taken := given.LoadOrStore(address, true); taken {
			continue
		}
		var l net.Listener
		if l, err = net.Listen("tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", err
}
