package simdisk_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/env/simdisk"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func create(t testing.TB, d *simdisk.Disk, name string) env.File {
	t.Helper()
	f, err := d.OpenFile(name, true)
	must(t, err)
	return f
}

func write(t testing.TB, f env.File, s string, off int64) {
	t.Helper()
	n, err := f.WriteAt([]byte(s), off)
	must(t, err)
	if n != len(s) {
		t.Fatalf("wrote %d of %d", n, len(s))
	}
}

func Example() {
	d := simdisk.New()
	f, _ := d.OpenFile("log", true)
	_, _ = f.WriteAt([]byte("synced"), 0)
	_ = f.Sync()
	_ = d.SyncDir(".")
	_, _ = f.WriteAt([]byte(", not synced"), 6)
	d.Crash(nil, simdisk.Lose)
	fmt.Printf("%s\n", d.File("log"))
	// Output: synced
}

// TestSyncedStays: whatever the luck, what was synced is there, and what was not is somewhere between nothing and all.
func TestSyncedStays(t *testing.T) {
	seen := map[string]bool{}
	for seed := uint64(0); seed < 300; seed++ {
		d := simdisk.New()
		f := create(t, d, "a")
		write(t, f, "0123456789", 0)
		must(t, f.Sync())
		must(t, d.SyncDir("."))
		write(t, f, "abcdef", 10)
		rng := rand.New(rand.NewPCG(seed, 0))
		d.Crash(rng, simdisk.Mode(seed%uint64(simdisk.Modes)))
		got := d.File("a")
		if !bytes.HasPrefix(got, []byte("0123456789")) || len(got) > 16 {
			t.Fatalf("seed %d: %q", seed, got)
		}
		if tail := got[10:]; len(tail) == 6 && string(tail) != "abcdef" {
			seen["mangled"] = true
		} else {
			seen[string(tail)] = true
		}
		if _, err := f.Size(); !errors.Is(err, simdisk.ErrCrashed) {
			t.Fatalf("handle after the crash: %v", err)
		}
	}
	for _, want := range []string{"", "abc", "abcdef", "mangled"} {
		if !seen[want] {
			t.Errorf("in 300 crashes never %q", want)
		}
	}
}

// TestEntriesNeedSyncDir: a file without a synced name is gone after a power cut, a removed one back; SIGKILL changes
// neither.
func TestEntriesNeedSyncDir(t *testing.T) {
	d := simdisk.New()
	must(t, d.MkdirAll("x/y"))
	write(t, create(t, d, "x/y/old"), "old", 0)
	must(t, d.SyncDir("x/y"))
	f := create(t, d, "x/y/new")
	write(t, f, "new", 0)
	must(t, f.Sync())
	must(t, d.Remove("x/y/old"))
	must(t, d.Rename("x/y/new", "x/y/newer"))
	killed := d.Clone()
	killed.Kill()
	if killed.File("x/y/old") != nil || string(killed.File("x/y/newer")) != "new" {
		t.Fatal("a kill changed the disk")
	}
	lost := d.Clone()
	lost.Crash(nil, simdisk.Lose)
	if lost.File("x/y/old") == nil || lost.File("x/y/newer") != nil || lost.File("x/y/new") != nil {
		t.Fatal("entries came through without SyncDir")
	}
	must(t, d.SyncDir("x/y"))
	d.Crash(nil, simdisk.Lose)
	if d.File("x/y/old") != nil || string(d.File("x/y/newer")) != "new" {
		t.Fatal("entries did not come through SyncDir")
	}
}

// TestSecondSyncLies: after a failed Sync the next one succeeds and what it should have written is lost.
func TestSecondSyncLies(t *testing.T) {
	d := simdisk.New()
	f := create(t, d, "a")
	must(t, d.SyncDir("."))
	write(t, f, "lost", 0)
	d.Inject(simdisk.Fault{Ops: simdisk.OpSync, Times: 1, Err: syscall.EIO})
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	must(t, f.Sync())
	write(t, f, "kept", 4)
	must(t, f.Sync())
	if string(d.File("a")) != "lostkept" {
		t.Fatal("a reader sees the cache")
	}
	d.Crash(nil, simdisk.Lose)
	if got := string(d.File("a")); got != "\x00\x00\x00\x00kept" {
		t.Fatalf("%q", got)
	}
}

func TestFaults(t *testing.T) {
	d := simdisk.New()
	f := create(t, d, "a")
	d.Inject(simdisk.Fault{Ops: simdisk.OpWrite, After: 1, Times: 2, Err: syscall.ENOSPC, Short: true})
	write(t, f, "1234", 0)
	for range 2 {
		if n, err := f.WriteAt([]byte("5678"), 4); n != 2 || !env.IsDiskFull(err) {
			t.Fatal(n, err)
		}
	}
	write(t, f, "5678", 4)
	d.Inject(simdisk.Fault{Ops: simdisk.OpOpen, Name: "b", Err: syscall.EIO})
	for range 3 {
		if _, err := d.OpenFile("b", false); !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
	}
	if d.Struck() != 5 {
		t.Fatalf("%d struck", d.Struck())
	}
	d.Heal()
	if _, err := d.OpenFile("b", false); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if _, err := d.OpenFile("a", true); !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
}

func TestQuota(t *testing.T) {
	d := simdisk.New()
	d.SetQuota(10)
	f := create(t, d, "a")
	write(t, f, "12345678", 0)
	if free, err := d.Free(); free != 2 || err != nil {
		t.Fatal(free, err)
	}
	if n, err := f.WriteAt([]byte("abcd"), 8); n != 2 || !env.IsDiskFull(err) {
		t.Fatal(n, err)
	}
	write(t, f, "over", 0) // writing over takes no space
	must(t, f.Truncate(4))
	write(t, f, "more", 4)
}

// TestSameSeedSameDisk: a crash is a function of the disk, the seed and the mode.
func TestSameSeedSameDisk(t *testing.T) {
	build := func(seed uint64) string {
		d := simdisk.New()
		rng := rand.New(rand.NewPCG(seed, 1))
		for i := range 20 {
			f := create(t, d, fmt.Sprintf("f%02d", i))
			for range 5 {
				write(t, f, string(make([]byte, rng.IntN(2000))), rng.Int64N(3000))
				if rng.IntN(3) == 0 {
					must(t, f.Sync())
				}
			}
			if rng.IntN(2) == 0 {
				must(t, d.SyncDir("."))
			}
		}
		d.Crash(rng, simdisk.Random)
		var out bytes.Buffer
		list, err := d.ReadDir(".")
		must(t, err)
		for _, e := range list {
			fmt.Fprintf(&out, "%s %x\n", e.Name, d.File(e.Name))
		}
		return out.String()
	}
	for seed := range uint64(20) {
		if first, second := build(seed), build(seed); first != second {
			t.Fatalf("seed %d: two outcomes", seed)
		}
	}
	if build(1) == build(2) {
		t.Fatal("the seed changes nothing")
	}
}
