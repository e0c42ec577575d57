// Package mcap reads and writes MCAP, the container format for recordings of timestamped messages that Foxglove, ROS 2 and
// others use.
//
//	w, err := mcap.NewWriter(file, mcap.WriterOptions{})
//	schema, err := w.AddSchema("Temperature", "jsonschema", []byte(`{"type":"object"}`))
//	channel, err := w.AddChannel(schema, "/rover/temperature", "json", nil)
//	err = w.Write(channel, 0, now, now, []byte(`{"value":21.5}`))
//	err = w.Close() // a file without it is cut, but can be read
//
// A Reader goes through a file from its start to its end, a cut or damaged one as far as it goes; Recover does that and
// reports. An Indexed reads by time and channel. What a message means is not this package's business: sub-package records
// puts telemetry in.
//
// # What is in the file
//
// The Writer gathers messages in chunks, zstd-compressed or not, each followed by the index of its messages. Definitions
// (schemas, channels) and metadata stand in front of the chunk that is being gathered and never inside of one, so that
// a damaged chunk costs its messages and nothing else. Everything is under a CRC: each chunk under its own, the data section and
// the summary under theirs. The Readers check all of them.
//
// Compression with lz4 is not read. Attachments are passed over (a Reader checks their CRC) and not written.
//
// Any size in a file is held against a limit before memory is taken for it, and memory for a record grows with what is
// really there. No function panics on what a file has in it. A Writer, a Reader and an iteration over an Indexed are each for
// one goroutine.
//
// The package imports the standard library and a zstd codec and may be imported by every room above.
//
// Source: "MCAP File Format Specification" and "MCAP File Format Registry", mcap.dev/spec. Names of records and
// fields in comments are from there.
package mcap
