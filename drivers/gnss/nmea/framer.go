package nmea

// MaxSentence bounds a sentence, from the byte after $ to the last digit of the checksum. The standard ends a sentence at 82
// bytes with $, CR and LF. Receivers exceed that where they give more digits or more constellations than it was made for: a
// GNS or RMC of theirs with every field filled has about 100. Those that are longer yet list signals in sentences of their
// maker's own, which nothing here decodes.
const MaxSentence = 128

// Counts is what a Framer has met since it was made.
type Counts struct {
	Sentences   uint64 // that were given out
	BadChecksum uint64 // whole in form, but damaged
	Broken      uint64 // begun, but cut off: another began within, or a byte that is no text; or its end has no checksum
	TooLong     uint64
	// Garbage counts the bytes that are in no sentence that was given out, CR and LF aside.
	Garbage uint64
}

// Framer finds sentences in a stream of bytes. The zero Framer is ready.
type Framer struct {
	counts Counts
	buf    [MaxSentence]byte // from the byte after $
	n      int               // bytes in buf
	inside bool              // $ was seen, and not its end
}

// Next takes bytes of p until a sentence has ended, and returns it and how many it took. The sentence is nil when p has come
// to its end first; what is begun goes on with the next call. The sentence lies in the Framer's memory and is valid until the
// next call.
//
// It ends at CR or LF. Without either the checksum's place is not certain: a damaged point in a number can be a *.
func (f *Framer) Next(p []byte) (s Sentence, used int) {
	for i, c := range p {
		switch {
		case c == '$':
			f.abandon(&f.counts.Broken)
			f.inside = true
		case c == '\r' || c == '\n':
			if s := f.end(); s != nil {
				return s, i + 1
			}
		case !f.inside:
			f.counts.Garbage++
		case c < ' ' || c > '~':
			f.abandon(&f.counts.Broken)
			f.counts.Garbage++
		case f.n == len(f.buf):
			f.abandon(&f.counts.TooLong)
			f.counts.Garbage++
		default:
			f.buf[f.n] = c
			f.n++
		}
	}
	return nil, len(p)
}

// Counts returns what was met so far.
func (f *Framer) Counts() Counts { return f.counts }

// abandon gives up the sentence that was begun, if one was, for a reason.
func (f *Framer) abandon(reason *uint64) {
	if f.inside {
		*reason++
		f.counts.Garbage += uint64(f.n) + 1 // and its $
	}
	f.n, f.inside = 0, false
}

// end ends the sentence at its terminator, and returns it if it is whole.
func (f *Framer) end() Sentence {
	if !f.inside {
		return nil
	}
	b := f.buf[:f.n]
	star := len(b) - 3
	if star < 1 || b[star] != '*' {
		f.abandon(&f.counts.Broken)
		return nil
	}
	high, ok1 := hexDigit(b[star+1])
	low, ok2 := hexDigit(b[star+2])
	if !ok1 || !ok2 {
		f.abandon(&f.counts.Broken)
		return nil
	}
	if Checksum(b[:star]) != high<<4|low {
		f.abandon(&f.counts.BadChecksum)
		return nil
	}
	f.counts.Sentences++
	f.n, f.inside = 0, false
	return Sentence(b[:star])
}

// Checksum returns the exclusive or of the bytes between $ and *.
func Checksum(body []byte) byte {
	var x byte
	for _, c := range body {
		x ^= c
	}
	return x
}

// Append appends the sentence of a body, from $ to LF. The body is text without $, * and line ends.
func Append(dst []byte, body string) []byte {
	const digits = "0123456789ABCDEF"
	var x byte
	for i := range len(body) {
		x ^= body[i]
	}
	dst = append(dst, '$')
	dst = append(dst, body...)
	return append(dst, '*', digits[x>>4], digits[x&15], '\r', '\n')
}

func hexDigit(c byte) (v byte, ok bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}
