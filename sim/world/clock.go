package world

import "time"

// wallStart is the wall time at the world's beginning, ns since 1970.
const wallStart = 1_800_000_000_000_000_000

// clock is a wall clock that may be wrong. The monotonic time of everybody is the world's, and right.
type clock struct {
	w     *World
	ahead int64 // of the world's wall time, ns; mostly negative where the clock started in 1970
}

// wall returns what the clock shows, ns since 1970.
func (c *clock) wall() int64 { return wallStart + int64(c.w.now) + c.ahead }

// jump sets the clock forwards or backwards by anything from a millisecond to half a day; never before 1970, which
// clocks cannot show.
func (c *clock) jump() {
	most := [...]time.Duration{time.Second, time.Minute, time.Hour, 12 * time.Hour}[c.w.rng.IntN(4)]
	by := int64(c.w.upTo(most))
	if c.w.rng.IntN(2) == 0 {
		by = -min(by, c.wall())
	}
	c.ahead += by
}

// lose makes it a clock without a battery after its power was cut: it shows 1970 until somebody, a satellite perhaps,
// tells it the time.
func (c *clock) lose() {
	c.ahead = -wallStart - int64(c.w.now)
	c.w.after(c.w.upTo(time.Minute), func() { c.ahead = 0 })
}
