// Package frame is the columnar form of a run of records: what the machine spools, what travels, what the ground
// stores. A frame holds the records of one stream from one number up, without gaps: either the records themselves, or
// the declaration that they are lost and why.
//
//	e := frame.NewEncoder()
//	e.Reset(stream)
//	for … { err := e.Append(layout, packet) }   // until frame.ErrFull, or it is time
//	b, err := e.Finish(nil)
//
//	header, err := frame.Peek(b)                // the spool and the ground: what is it, is it whole
//
//	d := frame.NewDecoder(frame.Limits{})
//	blocks, err := d.Decode(b, catalog)         // a reader: columns
//	for record := range d.Records() { … }       // or the packets, bit for bit
//
// The records of one layout become columns. Each column takes the transform that makes its residuals smallest: the
// difference, the difference of the differences, the distance from the least, the float's own parts, or only what changed; floats that are
// decimals, as the integers that they are over a power of ten. A
// residual is split into low bits, which are noise and are packed, and a high byte; the high bytes of all columns are alike
// in their distribution and are compressed once, with zstd. Names and units are not in the frame: frames stand alone, no state
// is kept between them, but one can only be decoded with its layouts. The exact form is told at Header and at the
// constants of columnwriter.go.
//
// Packets go in, frames come out, and back. The package imports telemetry, packet and ledger; everything above may import it.
package frame
