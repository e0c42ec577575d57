package courier_test

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/fulmar-io/fulmar/courier"
	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/ring"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// A producer that was killed when it had taken numbers for what it dropped, and counted it still: the ledger counts it once. One
// that was killed before, when another had taken the numbers that it wanted, has taken none.
func TestWhatWasDroppedIsCountedOnce(t *testing.T) {
	const dropped = 4
	for name, taken := range map[string]uint64{"after the numbers": dropped + 1, "before": 0} {
		disk := simdisk.New()
		r := open(t, disk, 1)
		if err := r.SyncSpool(); err != nil { // with the layout
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "ring")
		region, err := ring.Create(path, ring.Options{Device: "rover", Boot: telemetry.Boot{1}, Producers: 1})
		if err != nil {
			t.Fatal(err)
		}
		p, err := region.Producer(0)
		if err != nil {
			t.Fatal(err)
		}
		region.SetCeiling(packet.Normal, 5)
		for range 5 {
			if _, err := p.Publish(record(packet.Normal, imu, 1)); err != nil {
				t.Fatal(err)
			}
		}
		for range dropped {
			if _, err := p.Publish(record(packet.Normal, imu, 1)); !errors.Is(err, ring.ErrFull) {
				t.Fatal(err)
			}
		}
		// What the producer's next Publish does first: it claims numbers, and takes them or not.
		poke(t, path, 4096+320, region.Next(packet.Normal)-(dropped+1-taken))
		poke(t, path, 4096+328, dropped<<8|uint64(packet.Normal))
		poke(t, path, int64(512+256*packet.Normal.Index()), region.Next(packet.Normal)+taken)
		disk.Kill()
		c := reopen(t, disk)
		want := courier.Recovered{Boot: telemetry.Boot{1}, Records: 5, Unclean: taken, Dropped: dropped}
		if taken > 0 {
			want.Dropped = 0
		}
		if found, err := c.Recover(region); err != nil || found != want {
			t.Errorf("%s: found %+v, %v; want %+v", name, found, err, want)
		}
		records, lost := stored(t, disk, packet.Normal)
		if records != 5 || lost[ledger.Unclean] != want.Unclean || lost[ledger.Overflow] != want.Dropped {
			t.Errorf("%s: %d records, lost %v", name, records, lost)
		}
		if err := region.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// poke writes a word of a ring's memory.
func poke(t *testing.T, path string, at int64, word uint64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(binary.NativeEndian.AppendUint64(nil, word), at); err != nil {
		t.Fatal(err)
	}
}
