package frame

import (
	"encoding/binary"
	"hash/maphash"
)

// A dictionary numbers different strings in the order in which they first come.
type dictionary struct {
	seed  maphash.Seed
	slots []int32 // entry + 1; a power of two of them
	at    [][2]uint32
}

// texts writes the strings whose offsets and lengths lie at off in the first n rows.
func (w *columnWriter) texts(r *rows, n, off int) {
	d := &w.dict
	d.reset(n)
	w.words = w.words[:0]
	for range n {
		o, l := binary.LittleEndian.Uint32(r.data[off:]), binary.LittleEndian.Uint32(r.data[off+4:])
		w.words = append(w.words, uint64(d.index(r.text, o, l)))
		off += r.width
	}
	if len(d.at) == 1 && d.at[0][1] == 0 {
		w.desc = append(w.desc, codeZero)
		return
	}
	w.desc = append(w.desc, codeText)
	w.value = binary.AppendUvarint(w.value, uint64(len(d.at)))
	for _, e := range d.at {
		w.value = binary.AppendUvarint(w.value, uint64(e[1]))
		w.value = append(w.value, r.text[e[0]:e[0]+e[1]]...)
	}
	w.ints()
}

func (d *dictionary) reset(n int) {
	if len(d.slots) == 0 {
		d.seed = maphash.MakeSeed()
	}
	size := 16
	for size < 2*n {
		size *= 2
	}
	if cap(d.slots) < size {
		d.slots = make([]int32, size)
	}
	d.slots = d.slots[:size]
	clear(d.slots)
	d.at = d.at[:0]
}

// index returns the number of text[o:o+l]. The seed decides only where it is looked for.
func (d *dictionary) index(text []byte, o, l uint32) int32 {
	s := text[o : o+l]
	mask := uint64(len(d.slots) - 1)
	for slot := maphash.Bytes(d.seed, s) & mask; ; slot = (slot + 1) & mask {
		i := d.slots[slot] - 1
		if i < 0 {
			d.at = append(d.at, [2]uint32{o, l})
			d.slots[slot] = int32(len(d.at))
			return int32(len(d.at)) - 1
		}
		if e := d.at[i]; string(text[e[0]:e[0]+e[1]]) == string(s) {
			return i
		}
	}
}
