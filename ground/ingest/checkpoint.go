package ingest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// ErrCheckpoint is wrapped by the errors of Restore.
var ErrCheckpoint = errors.New("ingest: checkpoint that cannot be read")

const checkpointVersion = 1

// Marks returns the marks of all streams after everything that was Appended, for a checkpoint of the log. The order is
// fixed by the content, so equal marks are equal bytes.
func (m *Machine) Marks() []byte {
	b := []byte{checkpointVersion}
	names := slices.Sorted(maps.Keys(m.devices))
	b = binary.AppendUvarint(b, uint64(len(names)))
	for _, name := range names {
		d := m.devices[name]
		b = binary.AppendUvarint(b, uint64(len(name)))
		b = append(b, name...)
		b = binary.AppendUvarint(b, d.duplicates)
		streams := slices.SortedFunc(maps.Keys(d.streams), func(x, y telemetry.Stream) int {
			if c := slices.Compare(x.Boot[:], y.Boot[:]); c != 0 {
				return c
			}
			return int(x.Class) - int(y.Class)
		})
		b = binary.AppendUvarint(b, uint64(len(streams)))
		for _, s := range streams {
			b = append(b, s.Boot[:]...)
			b = append(b, byte(s.Class))
			b = d.streams[s].append(b)
		}
	}
	return b
}

func (s *marks) append(b []byte) []byte {
	if len(s.appended) > 0 {
		after := &marks{known: s.known.Clone(), data: s.data.Clone()}
		for i := range s.lost {
			after.lost[i] = s.lost[i].Clone()
		}
		for _, h := range s.appended {
			after.commit(h)
		}
		s = after
	}
	b = appendSet(b, &s.data)
	for i := range s.lost {
		b = appendSet(b, &s.lost[i])
	}
	return b
}

// appendSet writes the gaps and lengths of the ranges, which are short numbers where the ranges are long.
func appendSet(b []byte, s *ledger.Set) []byte {
	b = binary.AppendUvarint(b, uint64(s.Len()))
	at := uint64(0)
	for r := range s.Ranges() {
		b = binary.AppendUvarint(b, r.First-at)
		b = binary.AppendUvarint(b, r.Count)
		at = r.End()
	}
	return b
}

// Restore replaces what the machine knows by what Marks returned once.
func (m *Machine) Restore(b []byte) error {
	p := parser{rest: b}
	if v := p.byte(); v != checkpointVersion {
		return fmt.Errorf("%w: version %d, this build reads %d", ErrCheckpoint, v, checkpointVersion)
	}
	devices := make(map[string]*device)
	for range p.count(3) {
		name := string(p.take(p.uvarint()))
		d := newDevice()
		d.duplicates = p.uvarint()
		for range p.count(17) {
			boot := telemetry.Boot(append(p.take(16), make([]byte, 16)...)[:16])
			s := telemetry.Stream{Device: name, Boot: boot, Class: packet.Class(p.byte())}
			k := &marks{}
			p.set(k, &k.data)
			for i := range k.lost {
				p.set(k, &k.lost[i])
			}
			d.streams[s] = k
			d.heard[boot] = 0
		}
		devices[name] = d
	}
	if p.bad || len(p.rest) != 0 {
		return fmt.Errorf("%w: cut short or bytes left over", ErrCheckpoint)
	}
	m.devices = devices
	return nil
}

type parser struct {
	rest []byte
	bad  bool
}

func (p *parser) take(n uint64) []byte {
	if n > uint64(len(p.rest)) {
		p.bad, p.rest = true, nil
		return nil
	}
	b := p.rest[:n:n]
	p.rest = p.rest[n:]
	return b
}

func (p *parser) byte() byte {
	if b := p.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (p *parser) uvarint() uint64 {
	v, n := binary.Uvarint(p.rest)
	if n <= 0 {
		p.bad, p.rest = true, nil
		return 0
	}
	p.rest = p.rest[n:]
	return v
}

// count reads a number of things that take at least size bytes each, so that it cannot promise more than is there.
func (p *parser) count(size int) uint64 {
	n := p.uvarint()
	if n > uint64(len(p.rest)/size) {
		p.bad, p.rest = true, nil
		return 0
	}
	return n
}

func (p *parser) set(k *marks, s *ledger.Set) {
	at := uint64(0)
	for range p.count(2) {
		r := ledger.Range{First: at + p.uvarint(), Count: p.uvarint()}
		if r.First < at || r.End() < r.First || r.Count == 0 {
			p.bad = true
			return
		}
		at = r.End()
		s.Add(r)
		k.known.Add(r)
	}
}
