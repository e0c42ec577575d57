package frame

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// How a column is told: a descriptor, which is one of these bytes or codeSplit + transform × splits + k, and what the
// descriptor calls for in the other streams.
const (
	codeZero   = 0 // every word is 0
	codeConst4 = 1 // all the same float32, in value
	codeConst8 = 2 // all the same float64, in value
	codeConstV = 3 // all the same integer, a zigzag varint in value
	codeDouble = 4 // prefix: the floats have 64 bits
	codeWide   = 5 // prefix: k is larger by splits
	codeText   = 6 // a dictionary in value; the descriptor of the indices follows
	codeTenths = 7 // prefix: float64 values that are integers over a power of ten: its exponent, then the integers' descriptor
	codeSplit  = 8
	splits     = 29
)

// The transforms. Each makes of the words residuals: non-negative numbers that are small where the column is tame.
const (
	floatDelta  = 0 // zigzag difference in sortable form; value has the first word
	floatDirect = 1 // exponent below the largest, sign, mantissa; value has that exponent and the dropped zero bits
	floatDelta2 = 2 // zigzag difference of the differences; value has the first word, the first residual the first difference
	floatSparse = 3 // floatDelta of only those words that differ from the one before; flags has a bit for each
	intDelta    = 4 // the same for integers, where value has varints
	intDirect   = 5 // distance from the least, which value has
	intDelta2   = 6
	intSparse   = 7
	transforms  = 8
)

// escape is the high byte of a residual whose high part does not fit a byte.
const escape = 255

// A columnWriter turns columns into six streams of bytes. A residual is split at bit k of its column: the low bits are
// noise and are packed as they are; what is above is a byte of about the same distribution in every column, which suits the
// one entropy coder that they share.
type columnWriter struct {
	desc  []byte // descriptors
	value []byte // constants, first words, dictionaries
	flags []byte // order of the records, bits of sparse columns
	extra []byte // varints: high parts that need more than a byte
	high  []byte // high bytes
	low   []byte // packed low bits

	words                 []uint64 // the column at hand
	delta, delta2, direct residuals
	least                 uint64 // intDirect
	maxExp, dropped       uint   // floatDirect
	same                  bool   // the words, for emitInts
	chosen                int    // transform, for emitInts

	dict   dictionary
	joined []byte // what is compressed together
}

// residuals of one transform, and how many there are of each bit length.
type residuals struct {
	r    []uint64
	hist [65]int32
	all  uint64  // all residuals ORed
	cost float32 // bits, probably

	// What the cost was made of.
	counts, below float32
}

// reset makes room for n residuals, and returns it.
func (q *residuals) reset(n int) []uint64 {
	if cap(q.r) < n {
		q.r = make([]uint64, max(n, 1024))
	}
	q.r = q.r[:n]
	clear(q.hist[:bits.Len64(q.all)+1])
	q.all = 0
	return q.r
}

func (w *columnWriter) reset() {
	w.desc, w.value, w.flags = w.desc[:0], w.value[:0], w.flags[:0]
	w.extra, w.high, w.low = w.extra[:0], w.high[:0], w.low[:0]
}

func constant(words []uint64) bool {
	first, diff := words[0], uint64(0)
	for _, v := range words[1:] {
		diff |= v ^ first
	}
	return diff == 0
}

// ints writes the words as integers.
func (w *columnWriter) ints() {
	w.intCost()
	w.emitInts()
}

// intCost makes ready for emitInts, and returns how many bits that will probably take.
func (w *columnWriter) intCost() float32 {
	if w.same = constant(w.words); w.same {
		return 0
	}
	return w.variedIntCost()
}

// variedIntCost is intCost for words of which it is known that they differ.
func (w *columnWriter) variedIntCost() (bits float32) {
	w.same = false
	w.intResiduals()
	w.chosen, bits = w.best()
	return bits
}

// emitInts writes the words that intCost has seen last.
func (w *columnWriter) emitInts() {
	if w.same {
		w.constantInt(w.words[0])
		return
	}
	base := w.words[0]
	if w.chosen == floatDirect {
		base = w.least
	}
	w.split(intDelta+w.chosen, w.chosen)
	w.value = binary.AppendVarint(w.value, int64(base))
}

func (w *columnWriter) constantInt(v uint64) {
	if v == 0 {
		w.desc = append(w.desc, codeZero)
		return
	}
	w.desc = append(w.desc, codeConstV)
	w.value = binary.AppendVarint(w.value, int64(v))
}

func (w *columnWriter) constant32(v uint32) {
	if v == 0 {
		w.desc = append(w.desc, codeZero)
		return
	}
	w.desc = append(w.desc, codeConst4)
	w.value = binary.LittleEndian.AppendUint32(w.value, v)
}

func (w *columnWriter) intResiduals() {
	words := w.words
	q, q2 := w.delta.reset(len(words)-1), w.delta2.reset(len(words)-1)
	hist, hist2 := &w.delta.hist, &w.delta2.hist
	least := int64(words[0])
	before, step := words[0], uint64(0)
	all, all2 := uint64(0), uint64(0)
	for i, v := range words[1:] {
		d := v - before
		r, r2 := zigzag(int64(d)), zigzag(int64(d-step))
		q[i], q2[i] = r, r2
		all, all2 = all|r, all2|r2
		hist[bits.Len64(r)]++
		hist2[bits.Len64(r2)]++
		before, step = v, d
		least = min(least, int64(v))
	}
	w.delta.all, w.delta2.all = all, all2
	w.delta.estimate()
	w.delta2.estimate()
	w.least = uint64(least)
	if min(w.delta.cost, w.delta2.cost) < float32(len(words))/2 {
		w.direct.leaveOut() // hardly anything changes: there is little to win
		return
	}
	w.direct.reset(len(words))
	all = 0
	for i, v := range words {
		r := v - w.least
		w.direct.r[i] = r
		w.direct.hist[bits.Len64(r)]++
		all |= r
	}
	w.direct.all = all
	w.direct.estimate()
}

// floats32 writes the words, which differ, as the bits of float32 values.
func (w *columnWriter) floats32() {
	words := w.words
	w.deltas32()
	w.directFloats(23, 0xff)
	t, _ := w.best()
	w.split(floatDelta+t, t)
	if t == floatDirect {
		w.value = append(w.value, byte(w.maxExp), byte(w.dropped))
	} else {
		w.value = binary.LittleEndian.AppendUint32(w.value, uint32(words[0]))
	}
}

func (w *columnWriter) deltas32() {
	words := w.words
	q, q2 := w.delta.reset(len(words)-1), w.delta2.reset(len(words)-1)
	hist, hist2 := &w.delta.hist, &w.delta2.hist
	before, step := sortable32(uint32(words[0])), int32(0)
	all, all2 := uint32(0), uint32(0)
	for i, v := range words[1:] {
		s := sortable32(uint32(v))
		d := s - before // may wrap, and is added back the same way
		d2 := d - step
		r, r2 := uint32(d<<1)^uint32(d>>31), uint32(d2<<1)^uint32(d2>>31)
		q[i], q2[i] = uint64(r), uint64(r2)
		all, all2 = all|r, all2|r2
		hist[bits.Len32(r)]++
		hist2[bits.Len32(r2)]++
		before, step = s, d
	}
	w.delta.all, w.delta2.all = uint64(all), uint64(all2)
	w.delta.estimate()
	w.delta2.estimate()
}

func (w *columnWriter) constant64(v uint64) {
	if single, ok := narrow(v); ok {
		w.constant32(single)
		return
	}
	w.desc = append(w.desc, codeConst8)
	w.value = binary.LittleEndian.AppendUint64(w.value, v)
}

// floats64 writes the words, which differ, as the bits of float64 values, as float32 where all of them are.
func (w *columnWriter) floats64() {
	words := w.words
	if w.narrowWords() {
		w.floats32()
		return
	}
	if w.decimalWords() {
		w.ints()
		return
	}
	w.deltas64()
	w.directFloats(52, 0x7ff)
	w.desc = append(w.desc, codeDouble)
	t, _ := w.best()
	w.split(floatDelta+t, t)
	if t == floatDirect {
		w.value = append(w.value, byte(w.maxExp), byte(w.maxExp>>8), byte(w.dropped))
	} else {
		w.value = binary.LittleEndian.AppendUint64(w.value, words[0])
	}
}

// narrowWords makes the words float32 if that loses nothing.
func (w *columnWriter) narrowWords() bool {
	for _, v := range w.words {
		if _, ok := narrow(v); !ok {
			return false
		}
	}
	for i, v := range w.words {
		b, _ := narrow(v)
		w.words[i] = uint64(b)
	}
	return true
}

func (w *columnWriter) deltas64() {
	words := w.words
	q, q2 := w.delta.reset(len(words)-1), w.delta2.reset(len(words)-1)
	hist, hist2 := &w.delta.hist, &w.delta2.hist
	before, step := sortable64(words[0]), int64(0)
	all, all2 := uint64(0), uint64(0)
	for i, v := range words[1:] {
		s := sortable64(v)
		d := s - before
		r, r2 := zigzag(d), zigzag(d-step)
		q[i], q2[i] = r, r2
		all, all2 = all|r, all2|r2
		hist[bits.Len64(r)]++
		hist2[bits.Len64(r2)]++
		before, step = s, d
	}
	w.delta.all, w.delta2.all = all, all2
	w.delta.estimate()
	w.delta2.estimate()
}

// directFloats makes the residuals of floatDirect, for floats with so many bits of mantissa and that largest exponent. It
// leaves them out where the differences are shorter than the mantissas alone.
func (w *columnWriter) directFloats(mantissa uint, expMask uint64) {
	words, q := w.words, &w.direct
	all, maxExp := uint64(0), uint64(0)
	for _, v := range words {
		all |= v
		maxExp = max(maxExp, v>>mantissa&expMask)
	}
	w.dropped = min(uint(bits.TrailingZeros64(all)), mantissa)
	w.maxExp = uint(maxExp)
	width := mantissa - w.dropped
	if min(w.delta.cost, w.delta2.cost) < float32(len(words))*(float32(width)-2) {
		q.leaveOut()
		return
	}
	q.reset(len(words))
	signBit := mantissa + uint(bits.Len64(expMask))
	mask := uint64(1)<<mantissa - 1
	for i, v := range words {
		e := maxExp - v>>mantissa&expMask
		r := (e<<1|v>>signBit)<<width | v&mask>>w.dropped
		q.r[i] = r
		q.hist[bits.Len64(r)]++
		q.all |= r
	}
	q.estimate()
}

// best returns the transform, as its offset among the floats' or the integers', that will probably be shortest, and how many
// bits it will probably take.
func (w *columnWriter) best() (t int, bits float32) {
	t, bits = floatDelta, w.delta.cost
	if w.direct.cost < bits {
		t, bits = floatDirect, w.direct.cost
	}
	if w.delta2.cost < bits {
		t, bits = floatDelta2, w.delta2.cost
	}
	zero := w.delta.hist[0]
	if n := len(w.delta.r); int(zero) > n/4 {
		// Only the changes cost, and a bit for each word, of which compression makes less.
		if c := w.delta.costWithoutZeros() + float32(n)/2; c < bits {
			w.delta.hist[0] = 0
			return floatSparse, c
		}
	}
	return t, bits
}

// logTable[i] is i·log2(i).
var logTable = func() (t [1024]float32) {
	for i := range t[1:] {
		t[i+1] = float32(float64(i+1) * math.Log2(float64(i+1)))
	}
	return t
}()

func nLogN(n int32) float32 {
	if int(n) < len(logTable) {
		return logTable[n]
	}
	shift := bits.Len32(uint32(n)) - 10
	return logTable[n>>shift]*float32(int32(1)<<shift) + float32(n)*float32(shift)
}

// logOf[i] is log2(i), and lowBits[i] what a residual of i bits has below the leading one.
var logOf, lowBits = func() (logs [fewResiduals + 1]float32, low [65]int32) {
	for i := range fewResiduals {
		logs[i+1] = float32(math.Log2(float64(i + 1)))
	}
	for i := range 64 {
		low[i+1] = int32(i)
	}
	return logs, low
}()

// fewResiduals are so few that it is quicker to look at each of them than at each bit length: in most columns of a short
// frame. It is also the most that can be of one length then, and needs a logarithm.
const fewResiduals = 48

// estimate sets the cost: the bits that the residuals will probably take, which is the entropy of their bit lengths, and the
// bits below the leading one.
func (q *residuals) estimate() {
	q.counts, q.below = 0, 0
	if len(q.r) <= fewResiduals {
		// The sum over lengths of count × log2(count) is that over residuals of log2(count).
		counts, below := float32(0), int32(0)
		for _, r := range q.r {
			l := bits.Len64(r)
			counts += logOf[q.hist[l]]
			below += lowBits[l]
		}
		q.counts, q.below = counts, float32(below)
	} else {
		below := 0
		for l, count := range q.hist[:bits.Len64(q.all)+1] {
			if count != 0 {
				q.counts += nLogN(count)
				below += int(count) * int(lowBits[l])
			}
		}
		q.below = float32(below)
	}
	q.cost = nLogN(int32(len(q.r))) - q.counts + q.below
}

// costWithoutZeros is the cost of the residuals that are not zero.
func (q *residuals) costWithoutZeros() float32 {
	zeros := q.hist[0]
	return nLogN(int32(len(q.r))-zeros) - (q.counts - nLogN(zeros)) + q.below
}

// leaveOut makes the transform one that is not chosen.
func (q *residuals) leaveOut() { q.cost = math.MaxFloat32 }

// split writes the descriptor and the residuals of the column; t is the transform's offset in its family.
func (w *columnWriter) split(transform, t int) {
	q := &w.delta
	switch t {
	case floatDirect:
		q = &w.direct
	case floatDelta2:
		q = &w.delta2
	case floatSparse:
		w.sparse()
	}
	k := splitAt(&q.hist, len(q.r))
	if k >= splits {
		w.desc = append(w.desc, codeWide, byte(codeSplit+transform*splits+k-splits))
	} else {
		w.desc = append(w.desc, byte(codeSplit+transform*splits+k))
	}
	from := len(w.high)
	w.high = slices.Grow(w.high, len(q.r))[:from+len(q.r)]
	for i, high := 0, w.high[from:]; i < len(high); i++ {
		h := q.r[i] >> (k & 63)
		if h >= escape {
			w.extra = binary.AppendUvarint(w.extra, h)
			h = escape
		}
		high[i] = byte(h)
	}
	w.low = pack(w.low, q.r, uint(k))
}

// sparse removes the zeros of w.delta and writes where they were.
func (w *columnWriter) sparse() {
	q := &w.delta
	m, bit := 0, byte(0)
	for i, r := range q.r {
		if r != 0 {
			bit |= 1 << (i & 7)
			q.r[m] = r
			m++
		}
		if i&7 == 7 || i == len(q.r)-1 {
			w.flags = append(w.flags, bit)
			bit = 0
		}
	}
	q.r = q.r[:m]
}

// splitAt returns where to split residuals of these bit lengths.
func splitAt(hist *[65]int32, n int) int {
	// Most residuals keep headBits above the split.
	rest := n / 2
	for l := range hist {
		rest -= int(hist[l])
		if rest < 0 {
			return min(max(l-headBits, 0), maxSplit)
		}
	}
	return 0
}

// headBits is how many bits of a residual of middling size stay above the split; measured, not derived.
const headBits = 4

// appendBody appends what was written.
func (w *columnWriter) appendBody(dst []byte, z *zstd.Encoder) []byte {
	for _, s := range [...][]byte{w.desc, w.value, w.flags, w.extra, w.high} {
		dst = binary.AppendUvarint(dst, uint64(len(s)))
	}
	w.joined = append(append(append(append(w.joined[:0], w.desc...), w.value...), w.flags...), w.extra...)
	dst = appendCompressed(dst, w.joined, z)
	dst = appendCompressed(dst, w.high, z)
	return append(dst, w.low...)
}

// appendCompressed appends a size and so many bytes of zstd, or 0 and b itself if that is shorter.
func appendCompressed(dst, b []byte, z *zstd.Encoder) []byte {
	// The size is not known yet: two bytes of varint do up to 16 KiB, three are always enough.
	start := len(dst)
	dst = append(dst, 0, 0, 0)
	dst = z.EncodeAll(b, dst)
	n := len(dst) - start - 3
	if n >= len(b) {
		return append(append(dst[:start], 0), b...)
	}
	dst[start], dst[start+1], dst[start+2] = byte(n)|0x80, byte(n>>7)|0x80, byte(n>>14)
	return dst
}
