package drivertest

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/fulmar-io/fulmar/drivers"
	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/haltest"
)

// Driver is what is tested.
type Driver struct {
	// Chip returns a new model of the chip with a reading that is new at each call.
	Chip func() hal.I2C
	// Open opens the driver on a handle, and returns what makes one call of its loop: whether there was something new.
	Open func(bus hal.I2C) (call func() (fresh bool, err error), err error)
	// OpenWithin and CallWithin are the most transactions that opening and a call may take.
	OpenWithin, CallWithin int
	// Wrong makes the chip another one; WrongError is what the error says of it.
	Wrong      haltest.Fault
	WrongError string
	// Prefix is what each error begins with.
	Prefix string
}

// Test runs all of it.
func (d Driver) Test(t *testing.T) {
	t.Run("works", d.works)
	t.Run("wrong chip", d.wrong)
	t.Run("silent in opening", d.silentInOpening)
	t.Run("silent in a call", d.silentInCall)
	t.Run("stuck", d.stuck)
	t.Run("bit errors", d.bitErrors)
	t.Run("unplugged", d.unplugged)
	t.Run("takes no memory", d.allocates)
}

func (d Driver) bus(t *testing.T, faults ...haltest.Fault) (hal.I2C, *haltest.Faults) {
	t.Helper()
	f := haltest.NewFaults(faults...)
	h, err := f.Wrap(hal.KindI2C, d.Chip())
	if err != nil {
		t.Fatal(err)
	}
	return h.(hal.I2C), f
}

func (d Driver) opened(t *testing.T) (func() (bool, error), *haltest.Faults) {
	t.Helper()
	bus, f := d.bus(t)
	call, err := d.Open(bus)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return call, f
}

func (d Driver) works(t *testing.T) {
	call, f := d.opened(t)
	if f.Calls() > d.OpenWithin {
		t.Errorf("opening took %d transactions", f.Calls())
	}
	for range 3 {
		before := f.Calls()
		if fresh, err := call(); !fresh || err != nil {
			t.Errorf("call: new %v, %v", fresh, err)
		}
		if n := f.Calls() - before; n > d.CallWithin || n == 0 {
			t.Errorf("a call took %d transactions", n)
		}
	}
}

func (d Driver) wrong(t *testing.T) {
	bus, f := d.bus(t, d.Wrong)
	_, err := d.Open(bus)
	var wrong *drivers.WrongChipError
	if !errors.As(err, &wrong) || !strings.Contains(err.Error(), d.WrongError) || !strings.HasPrefix(err.Error(), d.Prefix) {
		t.Errorf("another chip is: %v", err)
	}
	if f.Calls() > d.OpenWithin {
		t.Errorf("opening took %d transactions", f.Calls())
	}
}

// silentInOpening leaves each transaction of opening unanswered, one at a time. None may be overlooked.
func (d Driver) silentInOpening(t *testing.T) {
	for n := range d.OpenWithin + 1 {
		bus, f := d.bus(t, haltest.Fault{Trouble: haltest.Silent, After: n, For: 1})
		_, err := d.Open(bus)
		if err == nil {
			if f.Calls() != n || n == 0 {
				t.Errorf("opening overlooks that transaction %d of %d is not answered", n, f.Calls())
			}
			return
		}
		if !errors.Is(err, hal.ErrNoAnswer) || !strings.HasPrefix(err.Error(), d.Prefix) {
			t.Errorf("transaction %d is not answered: %v", n, err)
		}
		if f.Calls() > d.OpenWithin {
			t.Errorf("transaction %d is not answered: opening took %d", n, f.Calls())
		}
	}
	t.Error("it never opens")
}

func (d Driver) silentInCall(t *testing.T) {
	for n := range d.CallWithin + 1 {
		call, f := d.opened(t)
		f.Set(haltest.Fault{Trouble: haltest.Silent, After: n, For: 1})
		_, err := call()
		if err == nil {
			if f.Calls() != n || n == 0 {
				t.Errorf("a call overlooks that transaction %d of %d is not answered", n, f.Calls())
			}
			return
		}
		if !errors.Is(err, hal.ErrNoAnswer) || !strings.HasPrefix(err.Error(), d.Prefix) {
			t.Errorf("transaction %d is not answered: %v", n, err)
		}
		// It was a moment's trouble. The next calls work.
		fresh := false
		for range 3 {
			now, err := call()
			if err != nil {
				t.Errorf("after transaction %d was not answered: %v", n, err)
			}
			fresh = fresh || now
		}
		if !fresh {
			t.Errorf("after transaction %d was not answered, nothing is new any more", n)
		}
	}
	t.Error("no call works")
}

// stuck lets the bus repeat itself from each transaction on. Opening and calls end, whatever comes of them.
func (d Driver) stuck(t *testing.T) {
	for n := range d.OpenWithin + 1 {
		bus, f := d.bus(t, haltest.Fault{Trouble: haltest.Stuck, After: n})
		_, err := d.Open(bus)
		if f.Calls() > d.OpenWithin {
			t.Errorf("stuck from transaction %d on: opening took %d", n, f.Calls())
		}
		if n == 0 && err == nil {
			t.Error("it opens on a bus that is stuck from the start")
		}
	}
	for n := range d.CallWithin {
		call, f := d.opened(t)
		f.Set(haltest.Fault{Trouble: haltest.Stuck, After: n})
		for range 5 {
			before := f.Calls()
			_, _ = call()
			if k := f.Calls() - before; k > d.CallWithin {
				t.Errorf("stuck from transaction %d on: a call took %d", n, k)
			}
		}
	}
	// Stuck at nothing but zeros, as a line that is held low, or but ones, as one that nobody pulls down. That is no reading.
	for _, b := range []byte{0, 0xFF} {
		call, f := d.opened(t)
		f.Set(haltest.Fault{Trouble: haltest.Answered, Answer: bytes.Repeat([]byte{b}, 64)})
		for range 5 {
			if fresh, err := call(); fresh && err == nil {
				t.Errorf("bytes of %#x are taken for a reading", b)
			}
		}
	}
}

// bitErrors inverts bits. Nothing may run away or panic; what is found out is an error of this driver.
func (d Driver) bitErrors(t *testing.T) {
	for seed := range uint64(200) {
		rate := []float64{0.001, 0.01, 0.1, 0.5}[seed%4]
		bus, f := d.bus(t, haltest.Fault{Trouble: haltest.BitErrors, Rate: rate, Seed: seed})
		call, err := d.Open(bus)
		if f.Calls() > d.OpenWithin {
			t.Errorf("seed %d: opening took %d transactions", seed, f.Calls())
		}
		if err != nil {
			if !strings.HasPrefix(err.Error(), d.Prefix) {
				t.Errorf("seed %d: %v", seed, err)
			}
			continue
		}
		for range 20 {
			before := f.Calls()
			if _, err := call(); err != nil && !strings.HasPrefix(err.Error(), d.Prefix) {
				t.Errorf("seed %d: %v", seed, err)
			}
			if n := f.Calls() - before; n > d.CallWithin {
				t.Errorf("seed %d: a call took %d transactions", seed, n)
			}
		}
	}
}

func (d Driver) unplugged(t *testing.T) {
	call, f := d.opened(t)
	if _, err := call(); err != nil {
		t.Error(err)
	}
	f.Set(haltest.Fault{Trouble: haltest.Gone})
	for range 3 {
		if fresh, err := call(); fresh || !errors.Is(err, hal.ErrGone) || !strings.HasPrefix(err.Error(), d.Prefix) {
			t.Errorf("unplugged: new %v, %v", fresh, err)
		}
	}
}

func (d Driver) allocates(t *testing.T) {
	call, f := d.opened(t)
	failed := 0
	run := func() {
		if _, err := call(); err != nil {
			failed++
		}
	}
	if n := testing.AllocsPerRun(200, run); n != 0 || failed != 0 {
		t.Errorf("%v allocations per call, %d failed", n, failed)
	}
	f.Set(haltest.Fault{Trouble: haltest.Silent})
	if n := testing.AllocsPerRun(200, run); n != 0 || failed == 0 {
		t.Errorf("%v allocations per call on a silent bus, %d failed", n, failed)
	}
}
