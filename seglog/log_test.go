package seglog

import "testing"

// TestModel compares a log with the model over many calls, and over ends of the process of every kind.
func TestModel(t *testing.T) {
	for seed := uint64(0); seed < 60; seed++ {
		d := newDriver(t, seed)
		for life := range 4 {
			d.open()
			d.check(d.log, d.model, true)
			for range 60 {
				d.step()
			}
			if life%2 == 0 {
				d.saveMeta()
				d.disk.Kill()
				continue
			}
			if err := d.log.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
