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

// The machine's lock keeps everybody from its spool, by whichever folder they name it.
func TestWhatRunsIsNotChanged(t *testing.T) {
	data := t.TempDir()
	var out, log strings.Builder
	if status := run(t.Context(), []string{"demo", "--data", data, "--for", "1s", "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"}, &out, &log); status != exitHeld {
		t.Fatalf("status %d\n%s", status, log.String())
	}
	unlock, err := env.LockFolder(filepath.Join(data, "rover"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"rover", "rover/spool", "rover/spool/"} {
		log.Reset()
		if status := run(t.Context(), []string{"inspect", data + "/" + name, "--resend"}, &out, &log); status != exitNot || !strings.Contains(log.String(), "in use") {
			t.Errorf("%s: status %d\n%s", name, status, log.String())
		}
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if status := run(t.Context(), []string{"inspect", data + "/rover/spool", "--resend"}, &out, &log); status != exitHeld {
		t.Errorf("status %d\n%s", status, log.String())
	}
}
