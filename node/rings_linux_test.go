package node_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fulmar-io/fulmar/node"
	"github.com/fulmar-io/fulmar/ring"
	"github.com/fulmar-io/fulmar/telemetry"
)

// A ring that another user's process left keeps the machine from starting, and it says whose it is and what to do.
func TestARingOfAnotherUserIsToldAsSuch(t *testing.T) {
	dir := t.TempDir()
	rings := node.SharedRings{Dir: dir, Logger: slog.New(slog.DiscardHandler)}
	r, err := rings.Create("a1", ring.Options{Device: "rover", Boot: telemetry.Boot{1}, Producers: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	leftovers := func() error { _, err := rings.Leftovers("a1", "rover"); return err }
	owner := os.Geteuid()
	if owner == 0 { // who may open everything
		owner = 12345
		if err := errors.Join(os.Chown(files[0], owner, -1), os.Chmod(dir, 0o755), os.Chmod(filepath.Dir(dir), 0o755)); err != nil {
			t.Skipf("this system lets no file be another user's: %v", err)
		}
		err = as(23456, leftovers)
	} else {
		if err := os.Chmod(files[0], 0); err != nil {
			t.Fatal(err)
		}
		err = leftovers()
	}
	if !errors.Is(err, fs.ErrPermission) {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{fmt.Sprintf("belongs to the user %d", owner), "start it as that one", files[0]} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

// as runs f on a thread whose files are another user's.
func as(user int, f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := unix.Setfsuid(user); err != nil {
			result <- err
			return
		}
		result <- f()
	}()
	return <-result
}
