package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/fulmar-io/fulmar/env"
)

// A demo whose machine's data another process uses does not touch them, and says so.
func TestADemoTakesItsMachinesDataForItself(t *testing.T) {
	data := t.TempDir()
	unlock, err := env.LockFolder(filepath.Join(data, "rover"))
	if err != nil {
		t.Fatal(err)
	}
	var out, log strings.Builder
	args := []string{"demo", "--data", data, "--for", "1s", "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"}
	if status := run(t.Context(), args, &out, &log); status != exitNot || !strings.Contains(log.String(), "in use by another process") ||
		!strings.Contains(log.String(), "hint: another fulmar runs on this data") {
		t.Errorf("status %d\n%s%s", status, out.String(), log.String())
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // and gives it back
		if status := run(t.Context(), args, &out, &log); status != exitHeld {
			t.Errorf("status %d\n%s%s", status, out.String(), log.String())
		}
	}
}
