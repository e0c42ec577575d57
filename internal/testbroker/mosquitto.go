package testbroker

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Mosquitto is a running broker.
type Mosquitto struct {
	Address string // host:port

	t      testing.TB
	path   string
	config string
	cmd    *exec.Cmd
	exited chan struct{}
	log    *buffer
}

// buffer collects what the process says.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// String returns what was said so far.
func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// find returns where the program is. Debian keeps it out of an ordinary user's PATH.
func find() (string, error) {
	if path, err := exec.LookPath("mosquitto"); err == nil {
		return path, nil
	}
	return exec.LookPath("/usr/sbin/mosquitto")
}

// StartMosquitto starts a broker that takes anyone, with further lines of configuration, and stops it when the test ends.
// Without the program the test is skipped, or fails if FULMAR_REQUIRE_TOOLS is 1.
func StartMosquitto(t testing.TB, config ...string) *Mosquitto {
	t.Helper()
	path, err := find()
	if err != nil {
		if os.Getenv("FULMAR_REQUIRE_TOOLS") == "1" {
			t.Fatalf("mosquitto is required: %v", err)
		}
		t.Skipf("no mosquitto: %v", err)
	}
	m := &Mosquitto{t: t, path: path}
	// Another process may take a port between its choice and the broker's start.
	for attempt := range 3 {
		m.Address = freeAddress(t)
		_, port, err := net.SplitHostPort(m.Address)
		if err != nil {
			t.Fatal(err)
		}
		lines := append([]string{"listener " + port + " 127.0.0.1", "allow_anonymous true", "persistence false",
			"log_dest stderr", "log_type all"}, config...)
		if os.Getuid() == 0 {
			lines = append(lines, "user root") // else it becomes a user that cannot read the test's files
		}
		m.config = filepath.Join(t.TempDir(), fmt.Sprintf("mosquitto-%d.conf", attempt))
		if err := os.WriteFile(m.config, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err = m.start(); err == nil {
			t.Cleanup(m.Stop)
			return m
		}
		t.Logf("mosquitto: %v\n%s", err, m.log)
	}
	t.Fatal("mosquitto did not start")
	return nil
}

func freeAddress(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// Start starts the broker again after Stop, at the same address.
func (m *Mosquitto) Start() {
	m.t.Helper()
	if err := m.start(); err != nil {
		m.t.Fatalf("mosquitto: %v\n%s", err, m.log)
	}
}

// startTime bounds how long the process may take until it listens.
const startTime = 10 * time.Second

func (m *Mosquitto) start() error {
	m.log = new(buffer)
	m.cmd = exec.Command(m.path, "-c", m.config)
	m.cmd.Stdout, m.cmd.Stderr = m.log, m.log
	if err := m.cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	m.exited = exited
	go func() { _ = m.cmd.Wait(); close(exited) }()
	deadline := time.After(startTime)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if c, err := net.Dial("tcp", m.Address); err == nil {
			return c.Close()
		}
		select {
		case <-tick.C:
		case <-exited:
			return fmt.Errorf("ended: %v", m.cmd.ProcessState)
		case <-deadline:
			m.Stop()
			return fmt.Errorf("not listening on %s after %v", m.Address, startTime)
		}
	}
}

// Stop kills the broker, as a crash would. It may be called twice.
func (m *Mosquitto) Stop() {
	if m.cmd == nil || m.cmd.Process == nil {
		return
	}
	_ = m.cmd.Process.Kill() // it may have ended
	<-m.exited
}

// URL returns the broker's URL for link/mqtt.
func (m *Mosquitto) URL() string { return "mqtt://" + m.Address }

// Log returns what the broker said since its last start.
func (m *Mosquitto) Log() string { return m.log.String() }
