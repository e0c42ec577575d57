package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/fulmar-io/fulmar/env"
)

// roverFile writes a rover's file without links, under a device's name.
func roverFile(t *testing.T, dir, device string) string {
	t.Helper()
	file, err := os.ReadFile("../../machines/rover/rover.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("links:\n  - mqtts://127.0.0.1:8883\n", "", "rover-1", device).Replace(string(file))
	path := filepath.Join(dir, device+".yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A machine that cannot begin says why, and nothing of how it was.
func TestAMachineThatDoesNotBegin(t *testing.T) {
	dir := t.TempDir()
	path, data := roverFile(t, dir, "a"), filepath.Join(dir, "data")
	unlock, err := env.LockFolder(data)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unlock() }()
	for _, args := range [][]string{{"--single"}, {"--single", "--json"}} {
		p := child("fulmar", append([]string{"run", path, "--data", data}, args...)...) // which gives up rights that this process needs
		p.cmd.Stdout = &p.figures
		err := p.cmd.Run()
		if p.cmd.ProcessState.ExitCode() != exitNot || !strings.Contains(p.out.String(), "in use by another process") || p.figures.Len() > 0 {
			t.Errorf("%v: %v, %q, %s", args, err, p.figures.String(), p.out.String())
		}
	}
}

// Another machine that is started on the data of one that runs does not begin, and leaves that one its courier: killed, it is
// followed by another.
func TestAnotherMachineOnTheSameData(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	said := new(watched)
	p := child("fulmar", "run", roverFile(t, dir, "a"), "--data", data)
	p.cmd.Stdout, p.cmd.Stderr = said, said
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return strings.Contains(said.String(), "a runs: ") }, "it does not run")
	courier := courierOf(t, p.cmd.Process.Pid, 0)
	other := startChild(t, "fulmar", "run", roverFile(t, dir, "b"), "--data", data, "--for", "1s")
	if err := other.cmd.Wait(); err == nil || strings.Contains(other.out.String(), "panic") {
		t.Errorf("another machine on the same data: %v\n%s", err, other.out.String())
	}
	if err := syscall.Kill(courier, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	courierOf(t, p.cmd.Process.Pid, courier)
	if err := p.end(syscall.SIGTERM); err != nil || strings.Contains(said.String(), "both halves are to be of one file") {
		t.Errorf("%v\n%s", err, said)
	}
	if left, _ := filepath.Glob(filepath.Join(data, keptText+"*")); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
}
