package decay_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/internal/decay"
)

func disk(t testing.TB) *simdisk.Disk {
	d := simdisk.New()
	for name, content := range map[string]string{"spool/a": "one", "spool/in/b": "three", "spool/in/empty": "", "other/c": "no part of it"} {
		for _, dir := range []string{"spool", "spool/in", "other"} {
			if err := d.MkdirAll(dir); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.SetFile(name, []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// Each bit and each byte has one number.
func TestEachPlaceIsVisitedOnce(t *testing.T) {
	d := disk(t)
	f, err := decay.Of(d, "spool", "spool/in")
	if err != nil {
		t.Fatal(err)
	}
	if f.Bits() != 8*8 || f.Cuts() != 8 {
		t.Fatalf("%d bits, %d cuts", f.Bits(), f.Cuts())
	}
	seen := make(map[string]bool)
	for n := range f.Bits() {
		where, err := f.Flip(d, n)
		if err != nil {
			t.Fatal(err)
		}
		seen[where] = true
	}
	for n := range f.Cuts() {
		where, err := f.Cut(d.Clone(), n)
		if err != nil {
			t.Fatal(err)
		}
		seen[where] = true
	}
	if len(seen) != 72 {
		t.Errorf("%d places", len(seen))
	}
	if got := d.File("spool/a"); string(got) != "\x90\x91\x9a" { // every bit is another
		t.Errorf("%q", got)
	}
	if string(d.File("other/c")) != "no part of it" {
		t.Error("another folder was damaged")
	}
}

func Example() {
	d := simdisk.New()
	if err := errors.Join(d.MkdirAll("log"), d.SetFile("log/a", []byte("hello"))); err != nil {
		panic(err)
	}
	f, err := decay.Of(d, "log")
	if err != nil {
		panic(err)
	}
	where, err := f.Cut(d, 3)
	fmt.Println(where, err, string(d.File("log/a")))
	// Output: log/a, cut at byte 1 <nil> h
}
