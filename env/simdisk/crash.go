package simdisk

import (
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
)

// Mode is how much luck a power cut allows.
type Mode uint8

// The modes.
const (
	// Random decides about each unsynced change by itself: kept, dropped, cut short, kept by sectors, zeros or garbage.
	Random Mode = iota
	// Lose drops everything that was not synced.
	Lose
	// InOrder keeps the changes of each file and folder up to a random one, of which a prefix is kept.
	InOrder
	// Garbage keeps the length of every unsynced write and fills it with noise; entries are kept.
	Garbage
	// Modes is how many there are.
	Modes = iota
)

// Sector is what a disk writes whole or not at all, in bytes.
const Sector = 512

// Crash cuts the power: what the disk holds is now what came through, all of it durable, and open handles are dead.
// Faults are gone.
func (d *Disk) Crash(rng *rand.Rand, mode Mode) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(d.dirs)) {
		in := d.dirs[name]
		for _, c := range survivors(rng, mode, in.pending) {
			c.apply(in.durable)
		}
		seen := map[*inode]bool{}
		for _, base := range slices.Sorted(maps.Keys(in.durable)) {
			if node := in.durable[base]; !seen[node] {
				seen[node] = true
				node.crash(rng, mode)
			}
		}
	}
	d.restart()
}

// Kill ends the process that uses the disk: everything written stays, not more durable than it was; open handles are dead.
// Faults are gone.
func (d *Disk) Kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.life++
	d.faults = nil
}

// restart makes what is durable what is seen.
func (d *Disk) restart() {
	d.life++
	d.faults = nil
	for _, in := range d.dirs {
		in.pending = nil
		in.entries = maps.Clone(in.durable)
		for _, node := range in.durable {
			node.pending = nil
			node.data = append(node.data[:0], node.durable...)
		}
	}
}

// survivors picks the entry changes that last.
func survivors(rng *rand.Rand, mode Mode, pending []entryChange) []entryChange {
	switch mode {
	case Lose:
		return nil
	case InOrder:
		return pending[:rng.IntN(len(pending)+1)]
	case Garbage:
		return pending
	}
	var kept []entryChange
	for _, c := range pending {
		if rng.IntN(2) == 0 {
			kept = append(kept, c)
		}
	}
	return kept
}

// crash turns durable into what is left of the file.
func (n *inode) crash(rng *rand.Rand, mode Mode) {
	last := len(n.pending)
	if mode == InOrder {
		last = rng.IntN(len(n.pending) + 1)
	}
	for i, c := range n.pending {
		switch {
		case mode == Lose || i > last:
			continue
		case mode == InOrder && i < last:
		case mode == InOrder:
			c = prefix(rng, c)
		case mode == Garbage && c.data != nil:
			c.data = noise(rng, len(c.data))
		case mode == Random:
			n.durable = mangle(rng, c, n.durable)
			continue
		}
		n.durable = c.apply(n.durable)
	}
}

func prefix(rng *rand.Rand, c change) change {
	if c.data != nil {
		c.data = c.data[:rng.IntN(len(c.data)+1)]
	}
	return c
}

func noise(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// mangle applies to b what luck leaves of c.
func mangle(rng *rand.Rand, c change, b []byte) []byte {
	luck := rng.IntN(8)
	switch {
	case luck < 3:
		return c.apply(b)
	case luck == 3 || c.data == nil:
		return b
	case luck == 4:
		return prefix(rng, c).apply(b)
	case luck == 5: // the length came through, the bytes did not
		end := c.off + int64(len(c.data))
		return resize(b, max(int64(len(b)), end))
	case luck == 6:
		c.data = noise(rng, len(c.data))
		return c.apply(b)
	}
	for from := c.off; from < c.off+int64(len(c.data)); { // some sectors
		to := min(from/Sector*Sector+Sector, c.off+int64(len(c.data)))
		if rng.IntN(2) == 0 {
			b = change{from, c.data[from-c.off : to-c.off]}.apply(b)
		}
		from = to
	}
	return b
}

// File returns a copy of what a reader sees of a file, nil if it does not exist. It is not an operation.
func (d *Disk) File(name string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	in, base, err := d.split(name)
	if err != nil || in.entries[base] == nil {
		return nil
	}
	return append([]byte{}, in.entries[base].data...)
}

// SetFile makes a file with this content, or replaces its content, durably. Handles that are open see it.
func (d *Disk) SetFile(name string, content []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	in, base, err := d.split(name)
	if err != nil {
		return err
	}
	node := in.entries[base]
	if node == nil {
		node = &inode{}
		in.entries[base] = node
	}
	in.durable[base] = node
	node.data = append(node.data[:0], content...)
	node.durable = append(node.durable[:0], content...)
	node.pending = nil
	return nil
}

// FlipBit changes one bit of a file, in what is seen and in what is durable: the disk's own decay.
func (d *Disk) FlipBit(name string, bit int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	in, base, err := d.split(name)
	if err != nil {
		return err
	}
	node := in.entries[base]
	if node == nil {
		return fs.ErrNotExist
	}
	if bit < 0 || bit/8 >= int64(len(node.data)) {
		return fs.ErrInvalid
	}
	node.data[bit/8] ^= 1 << (bit % 8)
	if bit/8 < int64(len(node.durable)) {
		node.durable[bit/8] ^= 1 << (bit % 8)
	}
	return nil
}
