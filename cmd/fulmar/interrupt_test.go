package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A Ctrl-C lets what is there be delivered, which may take as long as --linger; a second one does not wait for that.
func TestASecondInterruptEndsTheProcess(t *testing.T) {
	dir := t.TempDir()
	recording, stick := filepath.Join(dir, "flight.ulg"), filepath.Join(dir, "stick")
	if err := os.WriteFile(recording, flightLog(1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(stick, 0o750); err != nil {
		t.Fatal(err)
	}
	p := startChild(t, "fulmar", "replay", "--insecure", recording, "--to", "file://"+stick, "--data", filepath.Join(dir, "S"), "--speed", "0", "--linger", "10m")
	ended := make(chan error, 1)
	go func() { ended <- p.cmd.Wait() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for interrupts := 0; ; {
		select {
		case err := <-ended:
			if interrupts < 2 {
				t.Fatalf("ended after %d interrupts: %v\n%s", interrupts, err, p.out.String())
			}
			return
		case <-tick.C:
			// Something on the stick: it has been sent, and there is nobody to acknowledge it.
			if files, _ := filepath.Glob(filepath.Join(stick, "*", "*")); len(files) == 0 {
				continue
			}
			if err := p.cmd.Process.Signal(os.Interrupt); err == nil {
				interrupts++
			}
		case <-deadline:
			_ = p.cmd.Process.Kill()
			<-ended
			t.Fatalf("still there after %d interrupts\n%s", interrupts, p.out.String())
		}
	}
}

// Some programs signal a process and then the group that it is in. The ground ends as on one signal: its log is closed, and
// its index is one file.
func TestTwoInterruptsAtOnceAreOne(t *testing.T) {
	for range 5 {
		g := startGround(t, t.TempDir())
		_ = g.cmd.Process.Signal(os.Interrupt)
		g.stopped = true
		if err := g.end(os.Interrupt); err != nil {
			t.Fatalf("%v\n%s", err, g.out.String())
		}
		if left, _ := filepath.Glob(filepath.Join(g.data, "index.sqlite-*")); len(left) > 0 {
			t.Errorf("it left %v", left)
		}
	}
}
