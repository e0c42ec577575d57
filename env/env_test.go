package env_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/fulmar-io/fulmar/env"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestOSDisk does to the operating system's disk what the log does.
func TestOSDisk(t *testing.T) {
	d, err := env.NewOSDisk(t.TempDir() + "/deep/er")
	must(t, err)
	must(t, d.MkdirAll("a/b"))
	must(t, d.MkdirAll("a/b"))
	f, err := d.OpenFile("a/b/one", true)
	must(t, err)
	if _, err := d.OpenFile("a/b/one", true); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("made twice: %v", err)
	}
	if _, err := d.OpenFile("a/b/none", false); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("opened what is not there: %v", err)
	}
	_, err = f.WriteAt([]byte("hello"), 3)
	must(t, err)
	must(t, f.Sync())
	must(t, d.Rename("a/b/one", "a/b/two")) // while it is open
	must(t, d.SyncDir("a/b"))
	if size, err := f.Size(); size != 8 || err != nil {
		t.Fatal(size, err)
	}
	must(t, f.Truncate(4))
	list, err := d.ReadDir("a/b")
	must(t, err)
	if len(list) != 1 || list[0] != (env.FileInfo{Name: "two", Size: 4}) {
		t.Fatalf("%+v", list)
	}
	must(t, d.Remove("a/b/two"))
	b := make([]byte, 4)
	if _, err := f.ReadAt(b, 0); err != nil || string(b) != "\x00\x00\x00h" {
		t.Fatalf("a removed file that is open: %q, %v", b, err)
	}
	must(t, f.Close())
	if list, err := d.ReadDir("a"); err != nil || len(list) != 0 {
		t.Fatalf("folders are listed: %v, %v", list, err)
	}
	if free, err := d.Free(); err != nil || free == 0 {
		t.Fatal(free, err)
	}
}

func TestSystemClock(t *testing.T) {
	var c env.Clock = env.SystemClock{}
	last := c.Now()
	for range 1000 {
		now := c.Now()
		if now.Mono < last.Mono || now.Wall == 0 {
			t.Fatalf("%+v after %+v", now, last)
		}
		last = now
	}
	if n := testing.AllocsPerRun(100, func() { last = env.SystemClock{}.Now() }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func TestSystemRand(t *testing.T) {
	var r env.Rand = env.SystemRand{}
	if a, b, c := r.Uint64(), r.Uint64(), r.Uint64(); a == b && b == c {
		t.Fatal("not random")
	}
}

func Example() {
	var clock env.Clock = env.SystemClock{}
	start := clock.Now()
	fmt.Println(clock.Now().Mono >= start.Mono)
	// Output: true
}
