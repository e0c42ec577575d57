// Package decay damages what is on a simulated disk, one place at a time, for the tests of what is kept there: each bit flipped, each file
// cut at each byte. The places are numbered, in an order that is scattered over all of it, so that the first thousand
// of them are a fair sample.
//
// In flow a disk and a number, out flows the disk with its damage and the name of the place. It is imported by tests alone.
package decay
