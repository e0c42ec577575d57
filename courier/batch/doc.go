// Package batch turns what producers publish into frames: it puts the records of one stream back into the order of their
// numbers, and cuts them into batches by count, size and age. It is a state machine without I/O.
package batch
