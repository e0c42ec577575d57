package env

import (
	"math/rand/v2"
	"time"
)

// Time is an instant as a machine knows it.
type Time struct {
	// Mono is nanoseconds since an origin that the clock chooses once; it never goes back. It is what intervals and
	// deadlines are measured with.
	Mono int64
	// Wall is nanoseconds since 1970-01-01 UTC, 0 where the machine does not know the time. It may jump either way.
	Wall int64
}

// A Clock tells the time. It may be asked from several goroutines.
type Clock interface{ Now() Time }

// SystemClock is the operating system's clock. Mono counts from the start of the process and, on Linux, stands still
// while the machine is suspended.
type SystemClock struct{}

// origin carries the runtime's reading of the monotonic clock.
var origin = time.Now()

// Now implements Clock. It does not allocate.
func (SystemClock) Now() Time {
	t := time.Now()
	return Time{Mono: int64(t.Sub(origin)), Wall: t.UnixNano()}
}

// Rand is a source of numbers for jitter, identities and simulated luck; never for keys. *rand.Rand of math/rand/v2 is
// one, with a seed, for one goroutine.
type Rand interface{ Uint64() uint64 }

// SystemRand is seeded by the operating system and may be used from several goroutines.
type SystemRand struct{}

// Uint64 implements Rand.
func (SystemRand) Uint64() uint64 { return rand.Uint64() }
