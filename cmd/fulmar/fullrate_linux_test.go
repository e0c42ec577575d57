package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/node"
)

// The disk of a machine's spool is full, by bytes and then by files, while its loops run: they keep their rate, the machine says what is wrong and when
// that is over, and everything arrives that was published.
func TestTheLoopsKeepTheirRateOnAFullDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a quarter of a minute")
	}
	disk := newSmallDisk(t, "100m")
	dir := t.TempDir()
	machineDir, groundDir := filepath.Join(dir, "machine"), filepath.Join(dir, "ground")
	if err := os.Mkdir(machineDir, 0o750); err != nil {
		t.Fatal(err)
	}
	// The journals, which say what was published, are on a disk that has room.
	if err := os.Symlink(disk.path, filepath.Join(machineDir, "spool")); err != nil {
		t.Fatal(err)
	}
	t.Setenv(segmentEnv, "16384")
	g := startGround(t, groundDir)
	said := new(watched)
	p := child("control", fmt.Sprintf("full-%d", os.Getpid()), machineDir, g.mqtt, "1", "30s")
	p.cmd.Stdout, p.cmd.Stderr = &p.figures, said
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	defer func() {
		if !ended {
			_ = p.end(syscall.SIGKILL)
			t.Log(said.String())
		}
	}()
	device := fmt.Sprintf("full-%d", os.Getpid())
	eventually(t, func() bool { return delivered(t, g, device) > 0 }, "nothing arrived")
	for i, full := range []struct {
		what        string
		fill, empty func()
	}{
		{"bytes", disk.fill, func() { disk.resize("100m") }},
		{"files", disk.fillInodes, func() { disk.inodes(10_000) }},
	} {
		count := func(what string) int { return strings.Count(said.String(), what) }
		full.fill()
		eventually(t, func() bool { return count("the spool cannot be written") > i }, "no %s left, and it does not say so", full.what)
		<-time.After(2 * time.Second) // of loops that run on
		full.empty()
		eventually(t, func() bool { return count("the spool can be written again") > i }, "%s are free again, and it does not say so", full.what)
	}
	ended = true
	if err := p.end(syscall.SIGTERM); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	g.stop(t)
	var stats []node.TaskStats
	if err := json.Unmarshal([]byte(p.figures.String()), &stats); err != nil {
		t.Fatal(err)
	}
	for _, s := range stats {
		t.Logf("%s at %s: %d runs, %d missed, jitter p99 %s, max %s", s.Component, s.Period, s.Runs, s.Misses, s.JitterP99, s.JitterMax)
		if s.Runs < 10 || s.Misses > s.Runs/1000 { // not one by the disk; what a shared host steals is not its
			t.Errorf("%s missed %d of %d", s.Component, s.Misses, s.Runs)
		}
	}
	if err := compare(machineDir, groundDir, p, 1000, 0); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
}
