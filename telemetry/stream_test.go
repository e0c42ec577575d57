package telemetry_test

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/telemetry"
)

// Whatever a machine's clock says from one boot to the next, and whatever luck gives, each boot sorts behind the one before;
// and one whose clock is right tells when it began.
func TestBootsAscend(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var last telemetry.Boot
		for i := range rapid.IntRange(1, 30).Draw(t, "boots") {
			wall := wallTime(t)
			b, err := telemetry.NewBoot(last, wall, &luck{t})
			if err != nil {
				t.Fatal(err)
			}
			if i > 0 && b.Compare(last) <= 0 {
				t.Fatalf("boot %s at %s after %s", b, wall, last)
			}
			at := millis(b)
			if ms := wall.UnixMilli(); ms > millis(last) && ms < 1<<48 && at != ms {
				t.Fatalf("boot %s at %d ms", b, ms)
			}
			if at > max(wall.UnixMilli(), millis(last)+1) {
				t.Fatalf("boot %s at %s after %s: further than it has to be", b, wall, last)
			}
			last = b
		}
	})
}

// A name that nothing can follow does not wrap.
func TestBootsDoNotWrap(t *testing.T) {
	end := telemetry.Boot{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	for _, wall := range []time.Time{time.Now(), time.Unix(-1, 0), time.UnixMilli(1 << 48), time.UnixMilli(math.MaxInt64), time.UnixMilli(math.MinInt64)} {
		b, err := telemetry.NewBoot(end, wall, zeros{})
		if err != nil || b != end {
			t.Errorf("behind the last: %s, %v", b, err)
		}
		want := wall.UnixMilli()
		if want < 0 || want >= 1<<48 {
			want = 0
		}
		if b, err = telemetry.NewBoot(telemetry.Boot{}, wall, zeros{}); err != nil || millis(b) != want {
			t.Errorf("the first, at %s: %s, %v", wall, b, err)
		}
	}
}

func millis(b telemetry.Boot) int64 {
	return int64(binary.BigEndian.Uint64(append([]byte{0, 0}, b[:6]...)))
}

// wallTime draws what clocks show: right, cold, set back, or nonsense.
func wallTime(t *rapid.T) time.Time {
	switch rapid.IntRange(0, 3).Draw(t, "clock") {
	case 0:
		return time.UnixMilli(rapid.Int64Range(1.7e12, 1.7e12+20).Draw(t, "right"))
	case 1:
		return time.UnixMilli(rapid.Int64Range(-3, 3).Draw(t, "cold"))
	case 2:
		return time.UnixMilli(rapid.Int64Range(1<<48, math.MaxInt64).Draw(t, "beyond"))
	}
	return time.Unix(rapid.Int64().Draw(t, "nonsense")/1e3, 0)
}

type luck struct{ t *rapid.T }

func (l *luck) Read(p []byte) (int, error) {
	n := copy(p, rapid.SliceOfN(rapid.Byte(), len(p), len(p)).Draw(l.t, "random"))
	p[0] |= 1 // the name of all zeros is none
	return n, nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
