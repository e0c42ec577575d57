package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// smallDisk mounts a file system in memory whose size the test chooses. It wants the right to mount.
type smallDisk struct {
	t    *testing.T
	path string
}

func newSmallDisk(t *testing.T, size string) *smallDisk {
	t.Helper()
	d := &smallDisk{t: t, path: t.TempDir()}
	if err := syscall.Mount("tmpfs", d.path, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("no right to mount a small disk: %v", err) // a right is not to be installed, as a tool is
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(d.path, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return d
}

// resize makes it a disk of another size. It cannot be smaller than what it holds.
func (d *smallDisk) resize(size string) {
	d.t.Helper()
	if err := syscall.Mount("tmpfs", d.path, "tmpfs", syscall.MS_REMOUNT, "size="+size); err != nil {
		d.t.Fatal(err)
	}
}

// fill leaves no byte.
func (d *smallDisk) fill() {
	d.t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(d.path, &st); err != nil {
		d.t.Fatal(err)
	}
	// In whole pages. Who writes meanwhile makes the size too small: then once more.
	for more := uint64(0); ; more++ {
		used := (st.Blocks - st.Bfree + more) * uint64(st.Bsize)
		err := syscall.Mount("tmpfs", d.path, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", used))
		if err == nil {
			return
		}
		if more == 1000 {
			d.t.Fatal(err)
		}
	}
}

// fillInodes leaves room for no file.
func (d *smallDisk) fillInodes() {
	d.t.Helper()
	for more := uint64(0); ; more++ {
		var st syscall.Statfs_t
		if err := syscall.Statfs(d.path, &st); err != nil {
			d.t.Fatal(err)
		}
		err := syscall.Mount("tmpfs", d.path, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("nr_inodes=%d", st.Files-st.Ffree))
		if err == nil {
			return
		}
		if more == 1000 {
			d.t.Fatal(err)
		}
	}
}

// inodes leaves room for so many files.
func (d *smallDisk) inodes(n int) {
	d.t.Helper()
	if err := syscall.Mount("tmpfs", d.path, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("nr_inodes=%d", n)); err != nil {
		d.t.Fatal(err)
	}
}

// watched collects what a process says, and may be read meanwhile.
type watched struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// The ground's disk is full: it says so, is not ready, and acknowledges nothing that it does not have. When there is room
// again it goes on.
func TestTheGroundsDiskIsFull(t *testing.T) {
	disk := newSmallDisk(t, "300m")
	data := filepath.Join(disk.path, "ground")
	g := startGround(t, data)
	first, _ := replayed(t, exitHeld, flight(t, 1000), "--to", g.mqtt, "--device", "first")
	if first.Delivered != first.Produced {
		t.Fatalf("%+v", first)
	}
	for _, full := range []struct {
		name  string
		apply func()
		says  string
	}{
		{"no byte is left", disk.fill, "no space left on device"},
		{"less than what is to be left is left", func() { disk.resize("200m") }, "to be left"},
	} {
		device, spool := strings.Fields(full.name)[0], filepath.Join(t.TempDir(), "spool")
		full.apply()
		// Enough to pass the log's look at how much is free, which it takes every megabyte.
		path := filepath.Join(t.TempDir(), "noise.ulg")
		if err := os.WriteFile(path, noiseLog(4000), 0o600); err != nil {
			t.Fatal(err)
		}
		s, stderr := replayed(t, exitNot, path, "--to", g.mqtt, "--device", device, "--data", spool, "--linger", "1s")
		if s.Waiting == 0 || !strings.Contains(stderr, "were not acknowledged within 1s") {
			t.Errorf("%s: %+v\n%s", full.name, s, stderr)
		}
		if code, why := g.get(t, "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(why, "frames cannot be made durable since") {
			t.Errorf("%s: ready: %d %s", full.name, code, why)
		}
		if code, _ := g.get(t, "/healthz"); code != http.StatusOK {
			t.Errorf("%s: healthy: %d", full.name, code)
		}
		disk.resize("300m")
		s, _ = replayed(t, exitHeld, path, "--to", g.mqtt, "--device", device, "--data", spool)
		if s.Lost != 0 || s.Delivered != s.Produced {
			t.Errorf("%s, then not: %+v", full.name, s)
		}
		if code, why := g.get(t, "/readyz"); code != http.StatusOK {
			t.Errorf("%s, then not: ready: %d %s", full.name, code, why)
		}
	}
	said := g.stop(t)
	for _, want := range []string{"frames are not taken; their machines keep them and send them again", "why=unstored", "no space left on device", "frames are durable again"} {
		if !strings.Contains(said, want) {
			t.Errorf("the ground did not say %q:\n%s", want, said)
		}
	}
	var out bytes.Buffer
	if status := run(t.Context(), []string{"inspect", data, "--verify"}, &out, &out); status != exitHeld {
		t.Errorf("inspect: status %d\n%s", status, out.String())
	}
	for _, device := range []string{"first", "no", "less"} {
		if !strings.Contains(out.String(), "\n"+device) {
			t.Errorf("%s is not there:\n%s", device, out.String())
		}
	}
}

// The machine's disk is full while it runs: it says so, keeps what it can in memory, and spools it when there is room.
func TestTheMachinesDiskIsFull(t *testing.T) {
	disk := newSmallDisk(t, "100m")
	g := startGround(t, t.TempDir())
	said := new(watched)
	p := child("fulmar", "replay", "--insecure", flight(t, 6000), "--to", g.mqtt, "--data", filepath.Join(disk.path, "machine"), "--speed", "1", "--device", "machine")
	p.cmd.Stdout, p.cmd.Stderr = said, said
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.cmd.Wait() }()
	defer func() { _ = p.cmd.Process.Kill(); <-ended }()
	eventually(t, func() bool { return delivered(t, g, "machine") > 0 }, "nothing arrived")
	disk.fill()
	eventually(t, func() bool { return strings.Contains(said.String(), "the spool cannot be written") }, "it did not say that the disk is full")
	before := delivered(t, g, "machine")
	disk.resize("100m")
	eventually(t, func() bool { return strings.Contains(said.String(), "the spool can be written again") }, "it did not say that there is room again")
	if err := <-ended; err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	ended <- nil
	if n := delivered(t, g, "machine"); n != 6002 || before >= n {
		t.Errorf("%d records are at the ground, %d were while the disk was full; want 6002\n%s", n, before, said)
	}
	if !strings.Contains(said.String(), "0 waiting, 0 lost") || !strings.Contains(said.String(), "disk full") {
		t.Errorf("it said:\n%s", said)
	}
}

// A machine that starts with a full disk says what is wrong, and does not begin.
func TestAMachineStartsWithAFullDisk(t *testing.T) {
	disk := newSmallDisk(t, "100m")
	disk.fill()
	var out, log bytes.Buffer
	args := []string{"replay", "--insecure", flight(t, 100), "--to", "mqtt://" + freePort(t), "--data", filepath.Join(disk.path, "machine"), "--speed", "0", "--linger", "1s"}
	if status := run(t.Context(), args, &out, &log); status != exitNot ||
		!strings.Contains(log.String(), "disk full: 0 bytes free, 33554432 to be left") || !strings.Contains(log.String(), "hint: make room on the disk, or choose a folder on another with --data") {
		t.Errorf("status %d: %s", status, log.String())
	}
}
