// Package frame is the columnar form of a run of records: what the machine spools, what travels, what the ground
// stores. A frame holds the records of one stream from one number up, without gaps: either the records themselves, or
// the declaration that they are lost and why.
//
// The records of one layout become columns; each column takes the cheapest of a few encodings, and the whole is
// compressed once. Frames stand alone: no state is kept between them, but a frame can only be read with its layouts.
package frame
