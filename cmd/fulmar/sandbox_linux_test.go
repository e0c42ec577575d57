package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/fulmar-io/fulmar/node"
)

// processes are a machine's, as the ground tells of them.
func processes(t *testing.T, page, device string) map[string]string {
	t.Helper()
	r, err := http.Get("http://" + page + "/api/v1/machines/" + device)
	if err != nil {
		return nil // the ground has not begun
	}
	defer func() { _ = r.Body.Close() }()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Processes []struct{ Name, Restricted string }
	}
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	restricted := make(map[string]string)
	for _, p := range m.Processes {
		restricted[p.Name] = p.Restricted
	}
	return restricted
}

// The halves of a machine have given up what they do not need, which the kernel says of them, and the page; the courier half can be
// begun again from there, also when the program's file has been replaced.
func TestTheHalvesAreRestricted(t *testing.T) {
	if _, err := os.Stat("/proc/sys/kernel/seccomp/actions_avail"); err != nil {
		t.Skip("this kernel has no seccomp filters")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "fulmar")
	self, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, self, 0o700); err != nil {
		t.Fatal(err)
	}
	broker, page := freePort(t), freePort(t)
	g := child("fulmar", "ground", "--data", filepath.Join(dir, "ground"), "--http", page, "--mqtt", broker)
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := child("fulmar", "run", "../../machines/rover/rover.yaml", "--data", filepath.Join(dir, "data"), "--link", "mqtt://"+broker)
	p.cmd.Path = program
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	control := p.cmd.Process.Pid
	courier := courierOf(t, control, 0)
	var restricted map[string]string
	eventually(t, func() bool {
		restricted = processes(t, page, "rover-1")
		return restricted["node"] != "" && restricted["courier"] != ""
	}, "the ground tells of %v", restricted)
	for half, pid := range map[string]int{"node": control, "courier": courier} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`NoNewPrivs:\s1\n`, `Seccomp:\s2\n`} {
			if !regexp.MustCompile(want).Match(b) {
				t.Errorf("%s: no %s in\n%s", half, want, b)
			}
		}
		if !strings.Contains(restricted[half], "system calls") {
			t.Errorf("%s is said to be restricted in %q", half, restricted[half])
		}
	}

	if err := os.Rename(program, program+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, []byte("#!/bin/false\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(courier, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	next := courierOf(t, control, courier)
	eventually(t, func() bool {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", next))
		return err == nil && bytes.Contains(b, []byte("--courier-half"))
	}, "%d is no courier half", next)
	if err := p.end(syscall.SIGTERM); err != nil {
		t.Errorf("%v\n%s", err, p.out.String())
	}
	if err := g.end(syscall.SIGTERM); err != nil {
		t.Errorf("%v\n%s", err, g.out.String())
	}
	// A build that counts coverage cannot leave its counts, and says so.
	out := regexp.MustCompile(`(?m)^error: coverage .*$`).ReplaceAllString(p.out.String(), "")
	if strings.Count(out, "this process has given up what it does not need") != 3 && !strings.Contains(out, "keeps rights") || strings.Contains(out, "permission denied") || strings.Contains(out, "not permitted") {
		t.Error(out)
	}
}

// With sandbox.off a machine keeps its user's rights, and says so.
func TestTheSandboxCanBeLeftOut(t *testing.T) {
	dir := t.TempDir()
	b, err := os.ReadFile("../../machines/rover/rover.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "rover.yaml")
	if err := os.WriteFile(file, append(b, "\nsandbox:\n  off: true\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	p := child("fulmar", "run", file, "--data", filepath.Join(dir, "data"), "--for", "100ms")
	if err := p.cmd.Run(); err != nil || strings.Count(p.out.String(), "sandbox.off is set") != 2 {
		t.Errorf("%v\n%s", err, p.out.String())
	}
}

// An identity may be anywhere: what the fleet trusts comes over the links, and is kept there.
func TestARestrictedCourierHalfMayWriteItsIdentity(t *testing.T) {
	m := machineFile{settings: node.DefaultSettings()}
	m.settings.Identity = "/elsewhere/identity"
	if n := m.courierNeeds(); !slices.Contains(n.Write, "/elsewhere/identity") {
		t.Errorf("%+v", n)
	}
}
