package frame

import "math/bits"

// A columnReader turns the streams of a columnWriter back into columns. It trusts nothing: whatever the bytes are, it
// reads within them and sets bad when they can't be what a columnWriter wrote.
type columnReader struct {
	desc, value, flags, extra, high, low cursor

	words     []uint64 // the column at hand
	residuals []uint64
	texts     []string // the dictionary at hand
	bad       bool
}

// column is what a descriptor says.
type column struct {
	code      uint8 // codeZero to codeText, or codeSplit
	transform uint8 // offset in the family: floatDelta to floatSparse
	k         uint8
	integer   bool
	double    bool
	tenths    bool
	exponent  uint8 // of tenths
	bad       bool
}

// columns is what each byte of a descriptor says, prefixes aside.
var columns = func() (t [256]column) {
	for b := range t {
		c := &t[b]
		v := b - codeSplit
		switch {
		case b < codeSplit:
			c.code = uint8(b)
			c.bad = b >= codeTenths // a prefix, which has been looked at
		default:
			c.code, c.transform, c.k = codeSplit, uint8(v/splits%intDelta), uint8(v%splits)
			c.integer = v/splits >= intDelta
			c.bad = v/splits >= transforms
		}
	}
	return t
}()

func (r *columnReader) fail() { r.bad = true }

// failed reports whether anything read so far was not there.
func (r *columnReader) failed() bool {
	return r.bad || r.desc.bad || r.value.bad || r.flags.bad || r.extra.bad || r.high.bad || r.low.bad
}

func (r *columnReader) descriptor() column {
	b := r.desc.byte()
	switch b {
	case codeDouble, codeWide:
		return r.prefixed(b)
	case codeTenths:
		return r.overTen()
	}
	c := columns[b]
	r.bad = r.bad || c.bad
	return c
}

// zero reports whether all words of the column are zero, and then passes over it.
func (r *columnReader) zero() bool {
	if len(r.desc.rest) == 0 || r.desc.rest[0] != codeZero {
		return false
	}
	r.desc.rest = r.desc.rest[1:]
	return true
}

func (r *columnReader) prefixed(b byte) column {
	double, wide := false, uint8(0)
	if b == codeDouble {
		double = true
		b = r.desc.byte()
	}
	if b == codeWide {
		wide = splits
		b = r.desc.byte()
	}
	c := columns[b]
	c.double = double
	c.k += wide
	if c.bad || c.code != codeSplit || c.k > maxSplit || double && c.integer {
		r.fail()
		c.k = 0
	}
	return c
}

// overTen reads what follows codeTenths.
func (r *columnReader) overTen() column {
	exponent := r.desc.byte()
	b := r.desc.byte()
	c := columns[b]
	if b == codeWide {
		c = r.prefixed(b)
	}
	c.tenths, c.exponent = true, exponent
	if exponent > maxExponent || c.bad || c.code != codeSplit || !c.integer {
		r.fail()
		c.exponent = 0
	}
	return c
}

// split reads n residuals, or for a sparse column those that are not zero and zeros between.
func (r *columnReader) split(c column, n int) []uint64 {
	if cap(r.residuals) < n {
		r.residuals = make([]uint64, max(n, 1024))
	}
	out := r.residuals[:n]
	m := n
	var changed []byte
	if c.transform == floatSparse {
		changed = r.flags.take((n + 7) / 8)
		m = 0
		for _, b := range changed {
			m += bits.OnesCount8(b)
		}
		if m > n {
			r.fail()
		}
	}
	high, low := r.high.take(m), r.low.take(packedSize(m, uint(c.k)))
	if r.failed() {
		clear(out)
		return out
	}
	unpackJoin(out[:m], high, low, uint(c.k))
	for i, h := range high {
		if h == escape {
			low := out[i] & (1<<c.k - 1)
			out[i] = r.extra.uvarint()<<c.k | low
		}
	}
	if c.transform == floatSparse {
		for i := n - 1; i >= 0; i-- {
			if changed[i>>3]>>(i&7)&1 == 0 {
				out[i] = 0
				continue
			}
			if m--; m < 0 { // a bit beyond n was counted
				r.fail()
				return out
			}
			out[i] = out[m]
		}
	}
	return out
}

// skip passes over a column of n rows without knowing its type.
func (r *columnReader) skip(n int) {
	c := r.descriptor()
	switch {
	case r.failed() || c.code == codeZero:
	case c.code == codeConst4:
		r.value.take(4)
	case c.code == codeConst8:
		r.value.take(8)
	case c.code == codeConstV:
		r.value.uvarint()
	case c.code == codeText:
		for i := r.value.uvarint(); i > 0 && !r.value.bad; i-- {
			r.value.take(int(min(r.value.uvarint(), MaxSize<<8)))
		}
		r.skipSplit(n)
	default:
		r.passSplit(c, n)
	}
}

func (r *columnReader) skipSplit(n int) {
	c := r.descriptor()
	switch {
	case r.failed() || c.code == codeZero:
	case c.code == codeConstV:
		r.value.uvarint()
	case c.code == codeSplit:
		r.passSplit(c, n)
	default:
		r.fail()
	}
}

func (r *columnReader) passSplit(c column, n int) {
	count := n - 1
	switch {
	case c.integer:
		r.value.uvarint()
	case c.transform == floatDirect && c.double:
		r.value.take(3)
	case c.transform == floatDirect:
		r.value.take(2)
	case c.double:
		r.value.take(8)
	default:
		r.value.take(4)
	}
	if c.transform == floatDirect {
		count = n
	}
	if c.transform == floatSparse {
		changed := r.flags.take((count + 7) / 8)
		count = 0
		for _, b := range changed {
			count += bits.OnesCount8(b)
		}
	}
	for _, h := range r.high.take(count) {
		if h == escape {
			r.extra.uvarint()
		}
	}
	r.low.take(packedSize(count, uint(c.k)))
}

func fill(words []uint64, v uint64) {
	for i := range words {
		words[i] = v
	}
}

// column sizes words for n rows.
func (r *columnReader) size(n int) []uint64 {
	if cap(r.words) < n {
		r.words = make([]uint64, max(n, 1024))
	}
	r.words = r.words[:n]
	return r.words
}

// ints reads a column of n ≥ 1 integers.
func (r *columnReader) ints(n int) []uint64 {
	words := r.size(n)
	switch c := r.descriptor(); {
	case r.failed() || c.code == codeZero:
		clear(words)
	case c.code == codeConstV:
		fill(words, uint64(r.value.varint()))
	case c.code == codeSplit && c.integer && !c.tenths:
		r.splitInts(words, c)
	default:
		r.fail()
	}
	return words
}

func (r *columnReader) splitInts(words []uint64, c column) {
	base := uint64(r.value.varint())
	if c.transform == floatDirect {
		for i, v := range r.split(c, len(words)) {
			words[i] = base + v
		}
		return
	}
	words[0] = base
	rest := words[1:]
	res := r.split(c, len(rest))
	if c.transform == floatDelta2 {
		step := uint64(0)
		for i, v := range res {
			step += uint64(unzigzag(v))
			base += step
			rest[i] = base
		}
		return
	}
	for i, v := range res {
		base += uint64(unzigzag(v))
		rest[i] = base
	}
}

// floats32 reads a column of n ≥ 1 float32, as their bits.
func (r *columnReader) floats32(n int) []uint64 {
	words := r.size(n)
	switch c := r.descriptor(); {
	case r.failed() || c.code == codeZero:
		clear(words)
	case c.code == codeConst4:
		fill(words, uint64(r.value.uint32()))
	case c.code == codeSplit && !c.integer && !c.double:
		r.splitFloats32(words, c)
	default:
		r.fail()
	}
	return words
}

func (r *columnReader) splitFloats32(words []uint64, c column) {
	if c.transform == floatDirect {
		maxExp, dropped := uint64(r.value.byte()), uint(r.value.byte())
		r.direct(words, c, maxExp, dropped, 23, 0xff)
		return
	}
	base := r.value.uint32()
	words[0] = uint64(base)
	s := uint32(sortable32(base))
	rest := words[1:]
	res := r.split(c, len(rest))
	step := uint32(0)
	for i, v := range res {
		u := uint32(v)
		d := u>>1 ^ -(u & 1)
		if c.transform == floatDelta2 {
			step += d
			d = step
		}
		s += d
		rest[i] = uint64(uint32(sortable32(s)))
	}
}

// floats64 reads a column of n ≥ 1 float64, as their bits.
func (r *columnReader) floats64(n int) []uint64 {
	words := r.size(n)
	switch c := r.descriptor(); {
	case r.failed() || c.code == codeZero:
		clear(words)
	case c.code == codeConst4:
		fill(words, widen(r.value.uint32()))
	case c.code == codeConst8:
		fill(words, r.value.uint64())
	case c.code == codeSplit && !c.integer && !c.double:
		r.splitFloats32(words, c)
		for i, v := range words {
			words[i] = widen(uint32(v))
		}
	case c.code == codeSplit && !c.integer:
		r.splitFloats64(words, c)
	case c.code == codeSplit && c.tenths:
		r.splitInts(words, c)
		undecimal(words, c.exponent)
	default:
		r.fail()
	}
	return words
}

func (r *columnReader) splitFloats64(words []uint64, c column) {
	if c.transform == floatDirect {
		maxExp := uint64(r.value.byte())
		maxExp |= uint64(r.value.byte()) << 8
		r.direct(words, c, maxExp, uint(r.value.byte()), 52, 0x7ff)
		return
	}
	base := r.value.uint64()
	words[0] = base
	s := sortable64(base)
	rest := words[1:]
	step := int64(0)
	for i, v := range r.split(c, len(rest)) {
		d := unzigzag(v)
		if c.transform == floatDelta2 {
			step += d
			d = step
		}
		s += d
		rest[i] = uint64(sortable64(uint64(s)))
	}
}

// direct undoes floatDirect.
func (r *columnReader) direct(words []uint64, c column, maxExp uint64, dropped, mantissa uint, expMask uint64) {
	if dropped > mantissa {
		r.fail()
		dropped = 0
	}
	width := mantissa - dropped
	signBit := mantissa + uint(bits.Len64(expMask))
	mask := uint64(1)<<width - 1
	for i, v := range r.split(c, len(words)) {
		top := v >> width
		words[i] = top&1<<signBit | (maxExp-top>>1)&expMask<<mantissa | v&mask<<dropped
	}
}

// strings reads a column of n ≥ 1 strings. out has length n. The bytes of all rows together are at most limit.
func (r *columnReader) strings(out []string, limit int) int {
	switch c := r.descriptor(); {
	case r.failed() || c.code == codeZero:
		clear(out)
		return 0
	case c.code != codeText:
		r.fail()
		return 0
	}
	entries := r.value.uvarint()
	if entries > uint64(len(out)) {
		r.fail()
		return 0
	}
	r.dictionary(int(entries))
	size := 0
	for i, index := range r.ints(len(out)) {
		if index >= uint64(len(r.texts)) {
			r.fail()
			return 0
		}
		out[i] = r.texts[index]
		if size += len(out[i]); size > limit {
			return size
		}
	}
	return size
}

// dictionary reads so many strings. They share one allocation.
func (r *columnReader) dictionary(entries int) {
	probe := r.value
	total := 0
	for range entries {
		n := probe.uvarint()
		probe.take(int(min(n, MaxSize<<8)))
		total += int(n)
		if probe.bad {
			r.fail()
			r.texts = r.texts[:0]
			return
		}
	}
	all := make([]byte, 0, total)
	for c, i := r.value, 0; i < entries; i++ {
		all = append(all, c.take(int(c.uvarint()))...)
	}
	text := string(all)
	r.texts = r.texts[:0]
	for range entries {
		n := int(r.value.uvarint())
		r.value.take(n)
		r.texts = append(r.texts, text[:n])
		text = text[n:]
	}
}
