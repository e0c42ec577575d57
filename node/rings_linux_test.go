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
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fulmar-io/fulmar/env/simdisk"
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

// A process that ends before its first boot has quite begun, at whichever call of the disk, has lost nothing, and nothing is declared so.
func TestKilledBeforeTheBootHasBegun(t *testing.T) {
	for k := 0; ; k++ {
		disk, rings := simdisk.New(), node.SharedRings{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)}
		open := func() (*node.Node, error) {
			o := options(&part{name: "imu", log: new(journal)})
			o.Disk, o.Rings = disk, rings
			n, err := node.New(o)
			if err != nil {
				t.Fatal(err)
			}
			return n, n.Open()
		}
		disk.Inject(simdisk.Fault{Ops: simdisk.OpAny, After: k, Err: syscall.EIO})
		n, err := open()
		if err == nil {
			if k < 10 {
				t.Errorf("it opened with %d calls of the disk", k)
			}
			if err := n.Region().Remove(); err != nil {
				t.Error(err)
			}
			return
		}
		disk.Kill()
		if n, err = open(); err != nil {
			t.Fatalf("after an end at call %d: %v", k, err)
		}
		for _, a := range n.Courier().Status().Accounts {
			if a.Lost() > 0 {
				t.Errorf("after an end at call %d: %d declared lost", k, a.Lost())
			}
		}
		if left, err := filepath.Glob(filepath.Join(rings.Dir, "*")); err != nil || len(left) != 1 {
			t.Errorf("after an end at call %d: %d regions are left, %v", k, len(left), err)
		}
		if err := n.Region().Remove(); err != nil {
			t.Error(err)
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
