package frame

import (
	"encoding/binary"
	"math"
)

// maxSplit is the most low bits that a residual is split at: with its high byte, it still covers 64 bits.
const maxSplit = 56

// pack appends the low k bits of each value, the first value in the lowest bits, padded to a whole byte.
func pack(dst []byte, values []uint64, k uint) []byte {
	if k == 0 {
		return dst
	}
	mask := uint64(1)<<k - 1
	acc, n := uint64(0), uint(0)
	for _, v := range values {
		v &= mask
		acc |= v << n
		n += k
		if n >= 64 {
			dst = binary.LittleEndian.AppendUint64(dst, acc)
			n -= 64
			acc = v >> (k - n)
		}
	}
	for ; n > 0; n -= min(n, 8) {
		dst = append(dst, byte(acc))
		acc >>= 8
	}
	return dst
}

// packedSize returns the bytes that pack appends for n values.
func packedSize(n int, k uint) int { return (n*int(k) + 7) / 8 }

// unpackJoin sets out[i] to high[i]<<k | the i-th packed value. len(packed) is packedSize(len(out), k), k at most maxSplit.
func unpackJoin(out []uint64, high, packed []byte, k uint) {
	high = high[:len(out)]
	if k == 0 {
		for i := range out {
			out[i] = uint64(high[i])
		}
		return
	}
	mask := uint64(1)<<k - 1
	bit, i := uint(0), 0
	for ; i < len(out) && int(bit>>3)+8 <= len(packed); i++ {
		v := binary.LittleEndian.Uint64(packed[bit>>3:]) >> (bit & 7) & mask
		out[i] = uint64(high[i])<<k | v
		bit += k
	}
	// The last values lie too near the end to be loaded as eight bytes.
	var tail [16]byte
	if i < len(out) {
		from := bit >> 3
		copy(tail[:], packed[from:])
		for ; i < len(out); i++ {
			off := bit>>3 - from
			v := binary.LittleEndian.Uint64(tail[off:]) >> (bit & 7) & mask
			out[i] = uint64(high[i])<<k | v
			bit += k
		}
	}
}

// sortable32 maps the bits of a float32 to a signed integer in the same order; it is its own inverse.
func sortable32(bits uint32) int32 {
	v := int32(bits)
	return v ^ int32(uint32(v>>31)>>1)
}

// sortable64 is sortable32 for float64.
func sortable64(bits uint64) int64 {
	v := int64(bits)
	return v ^ int64(uint64(v>>63)>>1)
}

// narrow returns the float32 whose value, payload of a NaN included, is that of the float64 with these bits, if there
// is one. It does not use the processor's conversion, which quiets signalling NaNs; denormal float32 values are left wide.
func narrow(b uint64) (uint32, bool) {
	const lowMantissa = 1<<29 - 1
	sign := uint32(b>>63) << 31
	mantissa := uint32(b >> 29 & (1<<23 - 1))
	switch e := b >> 52 & 0x7ff; {
	case b&lowMantissa != 0:
		return 0, false
	case e == 0:
		return sign, mantissa == 0
	case e == 0x7ff:
		return sign | 0xff<<23 | mantissa, true
	case e > 1023-127 && e < 1023+128:
		return sign | uint32(e-(1023-127))<<23 | mantissa, true
	}
	return 0, false
}

// widen is the inverse of narrow.
func widen(b uint32) uint64 {
	sign := uint64(b>>31) << 63
	mantissa := uint64(b&(1<<23-1)) << 29
	switch e := uint64(b >> 23 & 0xff); e {
	case 0:
		if mantissa != 0 { // narrow makes no denormals, but a frame may hold anything
			return math.Float64bits(float64(math.Float32frombits(b)))
		}
		return sign
	case 0xff:
		return sign | 0x7ff<<52 | mantissa
	default:
		return sign | (e+(1023-127))<<52 | mantissa
	}
}
