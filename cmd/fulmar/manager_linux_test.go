package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A machine tells the service manager that started it when it is ready, how it is, that its supervision works, and that it stops.
func TestTheServiceManagerIsTold(t *testing.T) {
	dir := t.TempDir()
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	p := child("fulmar", "run", roverWithoutLinks(t, dir), "--data", filepath.Join(dir, "data"))
	p.cmd.Env = append(p.cmd.Env, "NOTIFY_SOCKET="+filepath.Join(dir, "notify"), "WATCHDOG_USEC=600000")
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hear := func() string {
		b := make([]byte, 1024)
		if err := socket.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := socket.Read(b)
		if err != nil {
			_ = p.end(syscall.SIGKILL)
			t.Fatalf("%v\n%s", err, p.out.String())
		}
		return string(b[:n])
	}
	if first := hear(); first != "READY=1" {
		t.Errorf("first it is told %q", first)
	}
	status, barks := "", 0
	for last := time.Now(); barks < 5; {
		switch said := hear(); {
		case said == "WATCHDOG=1":
			if d := time.Since(last); d > 600*time.Millisecond {
				t.Errorf("%s between two words of the watchdog", d)
			}
			last = time.Now()
			barks++
		case strings.HasPrefix(said, "STATUS="):
			status = said
		default:
			t.Errorf("it is told %q", said)
		}
	}
	if !strings.HasPrefix(status, "STATUS=ok") && !strings.HasPrefix(status, "STATUS=degraded: ") {
		t.Errorf("its status is %q", status)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for said := hear(); said != "STOPPING=1"; said = hear() {
		if !strings.HasPrefix(said, "STATUS=") && said != "WATCHDOG=1" {
			t.Errorf("while it stops it is told %q", said)
		}
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, p.out.String())
	}
}

// roverWithoutLinks writes the rover's file without a way to the ground, and returns its path.
func roverWithoutLinks(t *testing.T, dir string) string {
	t.Helper()
	file, err := os.ReadFile("../../machines/rover/rover.yaml")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "rover.yaml")
	if err := os.WriteFile(path, []byte(strings.Replace(string(file), "links:\n  - mqtts://127.0.0.1:8883\n", "", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A machine whose log nobody reads any more goes on, both halves of it.
func TestAMachineOutlivesItsReader(t *testing.T) {
	dir := t.TempDir()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := child("fulmar", "run", roverWithoutLinks(t, dir), "--data", filepath.Join(dir, "data"), "--verbose")
	p.cmd.Stdout, p.cmd.Stderr = w, w
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	courier := 0
	for range 3 { // each of them is told of in the log
		courier = courierOf(t, p.cmd.Process.Pid, courier)
		if err := syscall.Kill(courier, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	courierOf(t, p.cmd.Process.Pid, courier)
	if err := p.end(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
}
