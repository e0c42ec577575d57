package spool_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"github.com/fulmar-io/fulmar/courier/spool"
	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// begun returns the disk of a spool that has seen a boot, and the spool's identity.
func begun(t *testing.T) (*simdisk.Disk, string) {
	t.Helper()
	s := open(t, simdisk.New())
	id, renewed := s.Identity()
	if len(id) != 32 || renewed {
		t.Fatalf("a new spool's identity is %q, renewed %t", id, renewed)
	}
	s.must(s.Begin(telemetry.Boot{1}, [packet.Classes]uint64{9, 9, 9}))
	s.must(s.Close())
	return s.disk, id
}

// identity opens a spool for its identity.
func identity(t *testing.T, disk *simdisk.Disk) (id string, renewed bool) {
	t.Helper()
	s := open(t, disk)
	defer s.Close()
	return s.Identity()
}

func TestTheIdentityIsTheFolders(t *testing.T) {
	disk, id := begun(t)
	if other, _ := identity(t, simdisk.New()); other == id {
		t.Errorf("two spools are %s", id)
	}
	for range 3 {
		disk = disk.Clone() // elsewhere
		if got, renewed := identity(t, disk); got != id || renewed {
			t.Errorf("%s is %s, renewed %t", id, got, renewed)
		}
	}
	// One for looking neither needs nor makes one.
	s, err := spool.Open(disk, "spool", "rover", spool.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if got, renewed := s.Identity(); got != "" || renewed {
		t.Errorf("for looking: %s, renewed %t", got, renewed)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	source := strings.NewReader("0123456789abcdef")
	s, err = spool.Open(simdisk.New(), "spool", "rover", spool.Options{MinFree: 1, Random: source})
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := s.Identity(); got != "30313233343536373839616263646566" {
		t.Errorf("made of other luck than what was given: %s", got)
	}
	if _, err := spool.Open(simdisk.New(), "spool", "rover", spool.Options{MinFree: 1, Random: source}); err == nil {
		t.Error("an identity without randomness")
	}
}

// Whenever the power is cut, and however a start before failed: an identity that was told once is the same for good.
func TestAnIdentityThatWasToldStays(t *testing.T) {
	told := 0
	for after := range 40 {
		for mode := range simdisk.Mode(simdisk.Modes) {
			disk := simdisk.New()
			rng := rand.New(rand.NewPCG(uint64(after), uint64(mode)))
			disk.Inject(simdisk.Fault{Ops: simdisk.OpChange, Name: "identity", After: after, Times: 1 + after%3, Err: syscall.EIO})
			id := ""
			for range 4 { // a start fails, and is tried again in the same folder
				s, err := spool.Open(disk, "spool", "rover", spool.Options{MinFree: 1})
				if err == nil {
					got, _ := s.Identity()
					if id != "" && got != id {
						t.Fatalf("a fault after %d: %s is %s", after, id, got)
					}
					id = got
					told++
					_ = s.Close()
				} else if !errors.Is(err, syscall.EIO) {
					t.Fatalf("a fault after %d: %v", after, err)
				}
				disk.Kill() // which heals
			}
			disk.Crash(rng, mode)
			if got, _ := identity(t, disk); got != id {
				t.Fatalf("a fault after %d, and a power cut of mode %d: %s is %s", after, mode, id, got)
			}
		}
	}
	if told < 400 {
		t.Errorf("told %d times", told)
	}
}

// One that is missing or damaged is made anew, and only then it says so; one that the disk does not return now is not.
func TestAnIdentityThatIsLostIsMadeAnew(t *testing.T) {
	disk, id := begun(t)
	files, err := disk.ReadDir("spool/identity")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	damaged, missing, hidden := disk.Clone(), disk.Clone(), disk.Clone()
	raw, err := hex.DecodeString(id)
	if err != nil {
		t.Fatal(err)
	}
	flipped := 0
	for _, f := range files {
		name := "spool/identity/" + f.Name
		if at := bytes.Index(disk.File(name), raw); at >= 0 {
			flipped++
			if err := damaged.FlipBit(name, int64(8*at+3)); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(missing.Remove(name), missing.SyncDir("spool/identity")); err != nil {
			t.Fatal(err)
		}
	}
	if flipped == 0 {
		t.Fatal("nothing to damage")
	}
	for what, disk := range map[string]*simdisk.Disk{"damaged": damaged, "missing": missing} {
		got, renewed := identity(t, disk)
		if got == id || len(got) != 32 || !renewed {
			t.Errorf("%s: %s is %s, renewed %t", what, id, got, renewed)
		}
		if again, renewed := identity(t, disk); again != got || renewed {
			t.Errorf("%s, and opened again: %s is %s, renewed %t", what, got, again, renewed)
		}
	}
	refused := 0
	for after := range 30 {
		for times := range 5 { // 0: for good
			hidden := hidden.Clone()
			hidden.Inject(simdisk.Fault{Ops: simdisk.OpRead | simdisk.OpOpen, Name: "identity", After: after, Times: times, Err: syscall.EIO})
			s, err := spool.Open(hidden, "spool", "rover", spool.Options{MinFree: 1})
			if err == nil {
				if got, renewed := s.Identity(); got != id || renewed {
					t.Errorf("%d calls fail after %d: %s is %s, renewed %t", times, after, id, got, renewed)
				}
				_ = s.Close()
				continue
			}
			if refused++; !errors.Is(err, syscall.EIO) {
				t.Errorf("%d calls fail after %d: %v", times, after, err)
			}
			hidden.Heal()
			if got, renewed := identity(t, hidden); got != id || renewed {
				t.Errorf("%d calls fail after %d, and then none: %s is %s, renewed %t", times, after, id, got, renewed)
			}
		}
	}
	if refused == 0 {
		t.Error("no call that failed was in the way")
	}
}
