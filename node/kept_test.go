package node_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/node"
)

// boot runs a machine of one tuned component on a disk for a while, of virtual time.
func boot(t *testing.T, disk *simdisk.Disk, gain float64, d time.Duration, do func(n *node.Node)) (seen tuning, health node.MachineHealth) {
	t.Helper()
	c := newTuned("bus", "")
	types := new(fulmar.Types)
	types.Register(fulmar.Type{Name: "test/tuned", New: func() fulmar.Component { return c.Renew() }})
	file := "device: rover\ncomponents: {bus: {type: test/tuned, parameters: {gain: " + map[float64]string{1: "1", 2: "2"}[gain] + "}}}\n"
	s, loaded, err := loadFile(t, file)
	if err != nil {
		t.Fatal(err)
	}
	o := options()
	if o.Configured, err = s.NewComponents(types, loaded); err != nil {
		t.Fatal(err)
	}
	o.Disk = disk
	n, err := node.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	time.AfterFunc(time.Second, func() { do(n) })
	found := make(chan node.MachineHealth, 1)
	time.AfterFunc(d-5*time.Millisecond, func() { found <- n.MachineHealth() })
	if err := n.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return c.seen.Load().(tuning), <-found
}

func nothing(*node.Node) {}

func setGain(t *testing.T, value string) func(n *node.Node) {
	return func(n *node.Node) {
		if _, _, err := set(n, "bus", "gain", value); err != nil {
			t.Error(err)
		}
	}
}

// What is set while the machine runs outlives a power cut once its probation has passed, until the file says something else. What
// is damaged on the disk leaves what was set before, or the file's, and the machine says so.
func TestWhatIsSetOutlivesTheMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := simdisk.New()
		if seen, _ := boot(t, disk, 1, 5*time.Second, setGain(t, "3")); seen.Gain != 3 {
			t.Fatalf("set: %+v", seen)
		}
		if seen, _ := boot(t, disk, 1, 5*time.Second, nothing); seen.Gain != 1 {
			t.Errorf("the machine ended within the probation, and then its gain is %v", seen.Gain)
		}
		boot(t, disk, 1, 15*time.Second, setGain(t, "3"))
		if seen, h := boot(t, disk.Clone(), 1, 5*time.Second, nothing); seen.Gain != 3 || h.Status != "ok" {
			t.Errorf("after a start its gain is %v; it is %+v", seen.Gain, h)
		}
		if seen, _ := boot(t, disk.Clone(), 2, 5*time.Second, nothing); seen.Gain != 2 {
			t.Errorf("the file was changed, and its gain is %v", seen.Gain)
		}
		again := disk.Clone()
		boot(t, again, 2, 5*time.Second, nothing)
		if seen, _ := boot(t, again, 1, 5*time.Second, nothing); seen.Gain != 1 {
			t.Errorf("the file was changed, and changed back at a later start; its gain is %v", seen.Gain)
		}
		boot(t, disk, 1, 15*time.Second, setGain(t, "4"))
		damage(t, disk, `{"bus":{"gain":{"value":"4"`)
		if seen, h := boot(t, disk.Clone(), 1, 5*time.Second, nothing); seen.Gain != 3 || h.Status != "degraded" || !strings.Contains(h.Reason, "cannot be read") {
			t.Errorf("with its last record damaged its gain is %v; it is %+v", seen.Gain, h)
		}
		damage(t, disk, `{"bus":{"gain":{"value":"3"`)
		if seen, h := boot(t, disk.Clone(), 1, 5*time.Second, nothing); seen.Gain != 1 || h.Status != "degraded" {
			t.Errorf("with all records damaged its gain is %v; it is %+v", seen.Gain, h)
		}
	})
}

// damage changes a byte where a text stands in what was set.
func damage(t *testing.T, disk *simdisk.Disk, text string) {
	t.Helper()
	list, err := disk.ReadDir("parameters")
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range list {
		f, err := disk.OpenFile("parameters/"+info.Name, false)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, info.Size)
		if _, err := f.ReadAt(b, 0); err != nil {
			t.Fatal(err)
		}
		at := strings.Index(string(b), text)
		if at >= 0 {
			_, err = f.WriteAt([]byte{b[at+3] ^ 0x20}, int64(at+3))
		}
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		if at >= 0 {
			return
		}
	}
	t.Fatalf("no file has %s", text)
}
