package drivers

import (
	"errors"
	"fmt"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/hal"
)

// ErrStale is of a device that answers and has nothing new for too long: it may have lost its setup with its power.
var ErrStale = errors.New("the device has nothing new")

// degradedAfter is how many errors in a row a component says of itself: one or two are a moment's trouble of a bus.
const degradedAfter = 3

// Restart is the policy of a component whose device may come, or come back, at any time: from the machine's start on it is made
// ready again and again, at last every 5 to 10 s, for ever. So it is never down for good, and does not take a machine to its safe
// state: where that is wanted, the machine's file says most, or that it must be there from the start.
func Restart() fulmar.Restart { return fulmar.Restart{Most: 1000, FromStart: true} }

// Watch says in a component's health how its device is, and decides when the component fails, so that it is rebuilt and the
// device is set up anew. The zero Watch with its two fields set is valid. It belongs to one task.
type Watch struct {
	// Errors is how many errors in a row are borne. One more, and the component fails.
	Errors int
	// Stale is how long nothing may be new. After half of it the component is degraded, after all of it it fails.
	Stale time.Duration

	begun  bool
	inARow int
	news   time.Duration // when something was new, or the first step
}

// Validate reports whether a device that measures once in a period can be watched so.
func (w Watch) Validate(period time.Duration) error {
	if w.Stale < 3*period {
		return fmt.Errorf("stale after %s: the device measures every %s: want at least three times that", w.Stale, period)
	}
	return nil
}

// Saw takes note of what came of a call in this step: whether something was new, and the error. An error that it returns is for
// the step to return: the device is gone (hal.ErrGone), fails too often, or is stale (ErrStale). It allocates nothing but that.
func (w *Watch) Saw(s *fulmar.Step, fresh bool, err error) error {
	if !w.begun || fresh && err == nil {
		w.begun, w.news = true, s.Now
	}
	if err == nil {
		w.inARow = 0
	} else {
		w.inARow++
	}
	age := s.Now - w.news
	switch {
	case errors.Is(err, hal.ErrGone):
		return err
	case w.inARow > w.Errors:
		return fmt.Errorf("%w, %d times in a row", err, w.inARow)
	case age > w.Stale && err != nil:
		return fmt.Errorf("%w for %s: %w", ErrStale, w.Stale, err)
	case age > w.Stale:
		return fmt.Errorf("%w for %s", ErrStale, w.Stale)
	case w.inARow >= degradedAfter && errors.Is(err, hal.ErrNoAnswer):
		s.Degraded("the device does not answer")
	case w.inARow >= degradedAfter:
		s.Degraded("reading the device fails")
	case age > w.Stale/2:
		s.Degraded("nothing new")
	case err == nil:
		s.OK()
	}
	return nil
}
