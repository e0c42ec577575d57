package ingest

import (
	"fmt"
	"time"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Quota is what one device may use. The zero value of each field means its default.
type Quota struct {
	FramesPerSecond int           // default 500
	BytesPerSecond  int64         // of frames; default 16 MiB
	Burst           time.Duration // for how long a device that was quiet may send as fast as it can. Default 10 s of its rates
	Layouts         int           // that its frames use. Default 1,024
}

func (q Quota) withDefaults() Quota {
	if q.FramesPerSecond <= 0 {
		q.FramesPerSecond = 500
	}
	if q.BytesPerSecond <= 0 {
		q.BytesPerSecond = 16 << 20
	}
	if q.Burst <= 0 {
		q.Burst = 10 * time.Second
	}
	if q.Layouts <= 0 {
		q.Layouts = 1024
	}
	return q
}

// use is what a device has used of its quota.
type use struct {
	frames, bytes bucket
	boots         bucket
	layouts       map[telemetry.LayoutID]string // with why frames of it are refused, if they are
	taken         int                           // how many of them are not
	told          [packet.Classes]int64         // when it was asked to pause, ns
}

// bucket holds what may be used at once; it fills at a rate.
type bucket struct {
	level  float64
	at     int64
	filled bool
}

// take takes n, or returns how long it will be until there is enough. A clock that goes back fills nothing.
func (b *bucket) take(now int64, n, rate float64, burst time.Duration) time.Duration {
	most := rate * burst.Seconds()
	if !b.filled {
		b.level, b.filled = most, true
	}
	if dt := time.Duration(now - b.at); dt > 0 {
		b.level = min(most, b.level+rate*dt.Seconds())
	}
	b.at = now
	n = min(n, most) // what is larger than a burst takes all of it
	if b.level >= n {
		b.level -= n
		return 0
	}
	return time.Duration((n - b.level) / rate * float64(time.Second))
}

// giveBack gives back what was taken for nothing.
func (b *bucket) giveBack(n float64) { b.level += n }

// withinRates reports whether a frame is within its device's rates, be it new or not. Otherwise the device is asked to wait.
func (m *Machine) withinRates(now int64, d *device, h frame.Header, size int) bool {
	q := m.o.Quota
	if wait := d.use.frames.take(now, 1, float64(q.FramesPerSecond), q.Burst); wait > 0 {
		m.pause(now, d, h, wait, OverQuota, nil, fmt.Sprintf("this ground takes %d frames a second of a device (limits.frames_per_second)", q.FramesPerSecond))
		return false
	}
	if wait := d.use.bytes.take(now, float64(size), float64(q.BytesPerSecond), q.Burst); wait > 0 {
		m.pause(now, d, h, wait, OverQuota, nil, fmt.Sprintf("this ground takes %d bytes a second of a device (limits.bytes_per_second)", q.BytesPerSecond))
		return false
	}
	if _, known := d.heard[h.Stream.Boot]; known {
		return true
	}
	if wait := d.use.boots.take(now, 1, bootsPerSecond, bootsBurst); wait > 0 {
		m.pause(now, d, h, wait, OverQuota, nil, "this ground hears of a new boot of a device once a second")
		return false
	}
	return true
}

// How often a boot may come that was not heard of before: the index keeps a row of each for good. A machine that comes back after weeks
// has some hundreds to tell of, at most.
const bootsPerSecond, bootsBurst = 1, 200 * time.Second

// admit reports whether a new frame is to be stored. Otherwise its device is told why not, and what to do.
func (m *Machine) admit(now int64, d *device, h frame.Header) bool {
	more := 0
	for _, id := range h.Layouts {
		if id == telemetry.LayoutRecords.ID() {
			continue // which explains the others
		}
		why, known := d.use.layouts[id]
		if !known {
			more++
		}
		if !known && d.use.taken+more > m.o.Quota.Layouts {
			why = fmt.Sprintf("this ground takes %d layouts of a device: raise limits.layouts there, or have the device use fewer", m.o.Quota.Layouts)
		}
		if why != "" {
			m.refuse(h.Stream.Device, h, link.CodeLimit, why)
			return false
		}
	}
	if share := backlogShare[h.Stream.Class.Index()]; m.backlog >= m.o.Backlog*share/4 {
		m.pause(now, d, h, behindFor, Behind, nil, "this ground's disk is behind")
		return false
	}
	for _, id := range h.Layouts {
		if id == telemetry.LayoutRecords.ID() {
			continue
		}
		if _, known := d.use.layouts[id]; !known {
			d.use.layouts[id] = ""
			d.use.taken++
		}
	}
	return true
}

// backlogShare is how much of the backlog, in quarters, keeps frames of a class from being taken: the least urgent wait first.
var backlogShare = [packet.Classes]int64{4, 3, 2}

// How long a device is asked to wait, where nothing better is known, and how often it is told: frames that are under way meet the same.
const (
	behindFor   = 2 * time.Second
	unstoredFor = 10 * time.Second
	tellPause   = time.Second
)

// unstored asks a device to wait until the disk may take frames again.
func (m *Machine) unstored(now int64, d *device, h frame.Header, err error) {
	m.pause(now, d, h, unstoredFor, Unstored, err, "this ground's disk takes no frames")
}

// pause asks a device to wait with a class. Its frame is dropped, and comes again. err is for the ground's own people, nil for the text.
func (m *Machine) pause(now int64, d *device, h frame.Header, wait time.Duration, why Why, err error, text string) {
	if err == nil {
		err = fmt.Errorf("ingest: %s", text)
	}
	m.shed(h.Stream.Device, why, err)
	told := &d.use.told[h.Stream.Class.Index()]
	if dt := time.Duration(now - *told); *told != 0 && dt >= 0 && dt < tellPause {
		return
	}
	*told = max(now, 1)
	m.effects = append(m.effects, Reply{Device: h.Stream.Device, Message: link.Pause{Class: h.Stream.Class, For: max(wait, tellPause), Text: text}})
}

// Beyond says which layouts of a device are not taken, and why: frames that use them are refused from now on.
func (m *Machine) Beyond(name string, layouts map[telemetry.LayoutID]string) {
	d := m.devices[name]
	if d == nil {
		return
	}
	for id, why := range layouts {
		if was, known := d.use.layouts[id]; known && was == "" {
			d.use.taken--
		}
		d.use.layouts[id] = why
	}
}
