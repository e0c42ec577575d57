package courier

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/fulmar-io/fulmar/courier/delivery"
	"github.com/fulmar-io/fulmar/seglog"
)

// budgets remembers on disk what was spent of the links' budgets: a machine that starts anew every ten minutes must not spend six
// times as much. Only the last record counts.
type budgets struct {
	log      *seglog.Log // nil where no link has a budget
	spent    map[string]delivery.History
	ago      time.Duration // how long before the process that was; as the wall clock has it, which may not be set
	recorded []byte
}

// maxBudgets bounds a record: names and numbers of 64 links.
const maxBudgets = 64 << 10

func (c *Courier) openBudgets() error {
	some := false
	for _, l := range c.o.Delivery.Links {
		some = some || l.PerHour > 0
	}
	if !some {
		return nil
	}
	log, err := seglog.Open(c.o.Disk, c.o.Dir+"/budgets", seglog.Options{MaxRecord: maxBudgets, SegmentSize: maxBudgets})
	if err != nil {
		return fmt.Errorf("courier: budgets: %w", err)
	}
	c.budgets.log = log
	for i := log.Next(); i > log.First(); i-- {
		if b, err := log.ReadAt(i-1, nil); err == nil {
			c.budgets.parse(b, c.wall())
			break
		}
	}
	return nil
}

func (b *budgets) close() error {
	if b.log == nil {
		return nil
	}
	return b.log.Close()
}

// parse takes a record. One that makes no sense is none.
func (b *budgets) parse(r []byte, wall int64) {
	if len(r) < 8 {
		return
	}
	if at := int64(binary.LittleEndian.Uint64(r)); at > 0 && wall > at {
		b.ago = time.Duration(wall - at)
	}
	r = r[8:]
	b.spent = make(map[string]delivery.History)
	for len(r) > 0 {
		size := int(r[0])
		if len(r) < 1+size {
			return
		}
		name := string(r[1 : 1+size])
		r = r[1+size:]
		var h delivery.History
		for i := range h {
			v, n := binary.Uvarint(r)
			if n <= 0 {
				return
			}
			h[i], r = int64(min(v, 1<<40)), r[n:]
		}
		b.spent[name] = h
	}
}

// recallBudgets tells the delivery what was spent before the process.
func (c *Courier) recallBudgets(now time.Duration) {
	for i, l := range c.o.Delivery.Links {
		if h, ok := c.budgets.spent[l.Name]; ok && l.PerHour > 0 {
			c.delivery.Recall(now, i, c.budgets.ago, &h)
		}
	}
	c.budgets.spent = nil
}

// saveBudgets writes what is spent, if that changed.
func (c *Courier) saveBudgets(now time.Duration) error {
	log := c.budgets.log
	if log == nil {
		return nil
	}
	var b []byte
	for i, l := range c.o.Delivery.Links {
		if l.PerHour == 0 || len(l.Name) > 255 {
			continue
		}
		b = append(append(b, byte(len(l.Name))), l.Name...)
		for _, n := range c.delivery.Spent(now, i) {
			b = binary.AppendUvarint(b, uint64(n))
		}
	}
	if string(b) == string(c.budgets.recorded) || len(b) > maxBudgets-8 {
		return nil
	}
	index, err := log.Append(append(binary.LittleEndian.AppendUint64(nil, uint64(c.wall())), b...))
	if err == nil {
		err = log.Sync()
	}
	if err == nil {
		err = log.TrimFront(index)
	}
	if err != nil {
		return errors.Join(errors.New("courier: budgets"), err)
	}
	c.budgets.recorded = b
	return nil
}
