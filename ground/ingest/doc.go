// Package ingest decides what becomes of each frame that reaches the ground: stored, known already, or refused. It is a
// state machine without I/O: its methods are the events, and what is to be done about them is collected as Effects.
//
// It keeps, per stream, which numbers are committed and which were declared lost: the marks. They outlive the frames
// themselves, for a machine may send a frame again long after the ground has let it go. Marks and Restore carry them
// through the frame log's checkpoints.
//
// A frame that is new is to be stored; when it is committed, and not before, its stream is acknowledged. A frame that is
// known is acknowledged again and stored once. Data for numbers that were declared lost is welcome: found is better
// than lost. Data that overlaps other data in part is a conflict, and refused.
package ingest
