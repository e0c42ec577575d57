package station

import (
	"time"

	"github.com/fulmar-io/fulmar/link"
)

// nuisances are how often something of each device was not taken in the second that runs. A device of which too much is not taken is not
// read for a moment: what it costs to look at a message that is dropped, its neighbours pay.
type nuisances struct {
	since time.Time
	count map[string]int
}

// So many messages a second may be dropped of a device, and so long it is not read then. A machine that is told to wait has a few hundred
// messages on their way.
const (
	tolerated = 400
	holdFor   = 250 * time.Millisecond
)

// note notes that something of a device was not taken.
func (n *nuisances) note(r link.Receiver, device string, now time.Time) {
	if d := now.Sub(n.since); d >= time.Second || d < 0 || n.count == nil {
		n.since, n.count = now, make(map[string]int)
	}
	n.count[device]++
	if n.count[device] <= tolerated {
		return
	}
	n.count[device] -= tolerated / 4
	if h, ok := r.(link.Holder); ok {
		h.Hold(device, holdFor)
	}
}
