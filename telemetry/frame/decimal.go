package frame

import "math"

// Many sensors say decimals: 21.37. As a float64 such a number has no tame bits, for no power of two divides a power of ten; as an integer
// over a power of ten it is what the sensor counted. The idea is that of ALP (Afroozeh, Kuffó, Boncz, SIGMOD 2024); here a column is all
// decimals, or none is.

// maxExponent is the greatest power of ten that is tried. Beyond it hardly any sensor's digits go.
const maxExponent = 9

var powersOfTen = [maxExponent + 1]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}

// largestDecimal bounds the integers: all below it are float64 values, so that what is compared is exact.
const largestDecimal = 1 << 53

// decimal returns the integer that is the float over a power of ten, if there is one that gives back every bit. There is none for NaN,
// infinities and -0.
func decimal(word uint64, exponent int) (n int64, ok bool) {
	v := math.Float64frombits(word)
	scaled := math.RoundToEven(v * powersOfTen[exponent])
	if !(math.Abs(scaled) < largestDecimal) {
		return 0, false
	}
	n = int64(scaled)
	return n, math.Float64bits(float64(n)/powersOfTen[exponent]) == word
}

// exponentOf returns the least power of ten over which the float is an integer.
func exponentOf(word uint64) (exponent int, ok bool) {
	for exponent := range powersOfTen {
		if _, ok := decimal(word, exponent); ok {
			return exponent, true
		}
	}
	return 0, false
}

// decimalWords makes the words, of float64 values, integers over a power of ten, if they all are, and writes the prefix that says so.
func (w *columnWriter) decimalWords() bool {
	exponent := 0
	for _, v := range w.words {
		if _, ok := decimal(v, exponent); ok {
			continue
		}
		e, ok := exponentOf(v)
		if !ok {
			return false
		}
		exponent = max(exponent, e)
	}
	for i, v := range w.words {
		n, ok := decimal(v, exponent)
		if !ok { // one with fewer digits is no integer of this size any more
			for j := range i {
				w.words[j] = undecimalOne(w.words[j], exponent)
			}
			return false
		}
		w.words[i] = uint64(n)
	}
	w.desc = append(w.desc, codeTenths, byte(exponent))
	return true
}

func undecimalOne(word uint64, exponent int) uint64 {
	return math.Float64bits(float64(int64(word)) / powersOfTen[exponent])
}

// undecimal makes integers the floats that they are over a power of ten.
func undecimal(words []uint64, exponent uint8) {
	for i, v := range words {
		words[i] = undecimalOne(v, int(exponent))
	}
}
