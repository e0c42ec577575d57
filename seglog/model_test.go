package seglog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/fulmar-io/fulmar/env/simdisk"
)

// model is what a log must hold: the simplest log there is.
type model struct {
	recs     [][]byte // recs[i-1] has index i; what was appended, or is being
	returned int      // of which Append has returned so many
	durable  uint64   // as Sync promised
	cursor   uint64   // as TrimFront was asked, or as it was found after a crash
	asked    uint64   // the highest that TrimFront was ever asked; some header may know of it
	meta     [2][]byte
	// meta[0] is what SaveMeta saved, meta[1] what it is saving.
}

func newModel() *model { return &model{cursor: 1} }

func (m *model) clone() *model {
	c := *m
	c.recs = append([][]byte(nil), m.recs...)
	return &c
}

func (m *model) next() uint64 { return uint64(len(m.recs)) + 1 }

// state is an owner's state, as a checkpoint has it: how many records, and a sum over them.
func (m *model) state(n int) []byte {
	sum := uint32(0)
	for _, r := range m.recs[:n] {
		sum = crc32.Update(sum, castagnoli, append(r[:len(r):len(r)], byte(len(r))))
	}
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint64(nil, uint64(n)), sum)
}

// driver makes random calls of a log and keeps the model in step.
type driver struct {
	t     testing.TB
	rng   *rand.Rand
	disk  *simdisk.Disk
	opt   Options
	log   *Log
	model *model
	calls int
}

func newDriver(t testing.TB, seed uint64) *driver {
	d := &driver{t: t, rng: rand.New(rand.NewPCG(seed, 1)), disk: simdisk.New(), model: newModel()}
	d.opt = Options{SegmentSize: 300 + d.rng.Int64N(3000), MaxRecord: 700, MaxUnsynced: 4000}
	d.opt.Rand = rand.New(rand.NewPCG(seed, 2))
	d.opt.Checkpoint = func() []byte { return d.model.state(d.model.returned) }
	return d
}

func (d *driver) open() {
	d.t.Helper()
	l, err := Open(d.disk, "log", d.opt)
	if err != nil {
		d.t.Fatalf("open: %v", err)
	}
	d.log = l
}

func (d *driver) payload() []byte {
	n := d.rng.IntN(60)
	switch d.rng.IntN(10) {
	case 0:
		n = 0
	case 1:
		n = d.rng.IntN(d.opt.MaxRecord + 1)
	}
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(d.rng.Uint32())
	}
	// Some payloads are pieces of the log itself, items included: they must never be taken for items.
	if list, err := d.disk.ReadDir("log"); err == nil && len(list) > 0 && d.rng.IntN(4) == 0 {
		f := d.disk.File("log/" + list[d.rng.IntN(len(list))].Name)
		copy(p, f[min(len(f), d.rng.IntN(40)*8):])
	}
	return p
}

// step makes one random call.
func (d *driver) step() {
	d.t.Helper()
	d.calls++
	switch k := d.rng.IntN(100); {
	case k < 45:
		d.append(1)
	case k < 60:
		d.append(1 + d.rng.IntN(5))
	case k < 80:
		d.sync()
	case k < 86:
		d.trim()
	case k < 91:
		d.saveMeta()
	case k < 96:
		d.read()
	default:
		d.check(d.log, d.model, true)
	}
}

func (d *driver) append(n int) {
	d.t.Helper()
	var batch [][]byte
	for range n {
		batch = append(batch, d.payload())
	}
	d.model.recs = append(d.model.recs, batch...)
	var index uint64
	var err error
	if n == 1 {
		index, err = d.log.Append(batch[0])
	} else {
		index, err = d.log.AppendBatch(batch...)
	}
	if err != nil {
		if !errors.Is(err, ErrFull) {
			d.t.Fatalf("append: %v", err)
		}
		d.model.recs = d.model.recs[:d.model.returned]
		d.sync()
		return
	}
	if index != uint64(d.model.returned)+1 {
		d.t.Fatalf("append: index %d, want %d", index, d.model.returned+1)
	}
	d.model.returned = len(d.model.recs)
}

func (d *driver) sync() {
	d.t.Helper()
	if err := d.log.Sync(); err != nil {
		d.t.Fatalf("sync: %v", err)
	}
	d.model.durable = d.model.next() - 1
	if d.log.Durable() != d.model.durable {
		d.t.Fatalf("durable is %d after Sync, want %d", d.log.Durable(), d.model.durable)
	}
}

func (d *driver) trim() {
	d.t.Helper()
	upTo := d.model.cursor + d.rng.Uint64N(d.model.next()-d.model.cursor+1)
	d.model.cursor = upTo
	if err := d.log.TrimFront(upTo); err != nil {
		d.t.Fatalf("trim: %v", err)
	}
}

func (d *driver) saveMeta() {
	d.t.Helper()
	b := make([]byte, d.rng.IntN(100))
	for i := range b {
		b[i] = byte(d.rng.Uint32())
	}
	d.model.meta[1] = b
	if err := d.log.SaveMeta(b); err != nil {
		d.t.Fatalf("save metadata: %v", err)
	}
	d.model.meta[0] = b
}

func (d *driver) read() {
	d.t.Helper()
	if d.model.cursor == d.model.next() {
		return
	}
	i := d.model.cursor + d.rng.Uint64N(d.model.next()-d.model.cursor)
	got, err := d.log.ReadAt(i, nil)
	if err != nil || !bytes.Equal(got, d.model.recs[i-1]) {
		d.t.Fatalf("read record %d: %v, or other bytes than were written", i, err)
	}
}

// check compares a log with the model: every record that it has, and that it has those that it must. exact says that
// nothing was lost.
func (d *driver) check(l *Log, m *model, exact bool) {
	d.t.Helper()
	if err := compare(l, m, exact); err != nil {
		d.t.Fatalf("after %d calls: %v", d.calls, err)
	}
}

func compare(l *Log, m *model, exact bool) error {
	st := l.Stats()
	switch {
	case st.Next > m.next():
		return fmt.Errorf("next is %d, only %d were appended", st.Next, len(m.recs))
	case st.Next <= m.durable:
		return fmt.Errorf("next is %d, but %d is durable", st.Next, m.durable)
	case st.First > max(m.cursor, m.asked):
		return fmt.Errorf("first is %d, trimmed was %d", st.First, max(m.cursor, m.asked))
	case exact && (st.Next != m.next() || st.First != m.cursor):
		return fmt.Errorf("first and next are %d and %d, want %d and %d", st.First, st.Next, m.cursor, m.next())
	case !bytes.Equal(l.Meta(), m.meta[0]) && !bytes.Equal(l.Meta(), m.meta[1]):
		return fmt.Errorf("metadata is %x, want %x or %x", l.Meta(), m.meta[0], m.meta[1])
	}
	r := l.Reader(st.First)
	for i := st.First; i < st.Next; i++ {
		index, p, err := r.Next()
		if err != nil {
			return fmt.Errorf("record %d of %d to %d (durable %d, cursor %d): %w", i, st.First, st.Next-1, m.durable, m.cursor, err)
		}
		if index != i || !bytes.Equal(p, m.recs[i-1]) {
			return fmt.Errorf("record %d came as %d, or with other bytes than were written", i, index)
		}
	}
	if _, _, err := r.Next(); err != io.EOF {
		return fmt.Errorf("after the last record: %v", err)
	}
	return compareState(l, m)
}

// compareState checks that the checkpoint is the state that it says it is.
func compareState(l *Log, m *model) error {
	state, from := l.Checkpoint()
	if state == nil {
		return nil
	}
	n := binary.LittleEndian.Uint64(state)
	switch {
	case from != max(n+1, from) || from > l.Next():
		return fmt.Errorf("checkpoint of %d records, next is %d, replay from %d", n, l.Next(), from)
	case !bytes.Equal(state, m.state(int(n))):
		return fmt.Errorf("checkpoint of %d records is not of these records", n)
	}
	return nil
}

// settle cuts the model to what a log has after a crash. If the process was killed while it saved metadata, the log has
// the new, but a power cut may still bring back the old.
func (m *model) settle(l *Log, killed bool) {
	st := l.Stats()
	m.recs = m.recs[:st.Next-1]
	m.returned = len(m.recs)
	m.asked = max(m.asked, m.cursor)
	m.cursor = st.First
	m.durable = min(m.durable, st.Next-1)
	if !killed {
		m.meta[0] = l.Meta()
		m.meta[1] = m.meta[0]
	}
}

// resum makes the header's checksum right again.
func resum(b []byte) {
	binary.LittleEndian.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
}
