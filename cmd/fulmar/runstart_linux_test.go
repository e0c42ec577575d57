package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
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
	text := strings.NewReplacer("links:\n  - mqtt://127.0.0.1:1883\n", "", "rover-1", device).Replace(string(file))
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
		var out, log bytes.Buffer
		status := run(t.Context(), append([]string{"run", path, "--data", data}, args...), &out, &log)
		if status != exitNot || !strings.Contains(log.String(), "in use by another process") || out.Len() > 0 {
			t.Errorf("%v: status %d, %q, %s", args, status, out.String(), log.String())
		}
	}
}
