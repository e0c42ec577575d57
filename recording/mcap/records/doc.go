// Package records puts telemetry records in MCAP files and takes them out, bit for bit, in a form that Foxglove and
// every other reader of MCAP with protobuf can show without knowing Fulmar.
//
//	w, err := records.NewWriter(file, mcap.WriterOptions{})
//	err = w.Write(records.Entry{Stream: stream, Time: time, Record: record})
//	err = w.Close()
//
//	var dec records.Decoder
//	for m, err := range indexed.Messages(query) { // or mcap.Reader, mcap.Recover
//		entry, err := dec.Decode(m)
//	}
//
// # Topics
//
// A layout of a device is a channel with the topic "/device/layout-name" and the metadata
//
//	fulmar.device     the device
//	fulmar.layout     the layout as JSON: name, kind, fields with name, type, len and unit
//	fulmar.layout_id  the layout's id, which its content must hash to
//
// Two layouts of the same name, as a machine has before and after an update, are two channels with the same topic. A channel
// lives longer than a boot; for each boot there is a Metadata record "fulmar.boot" with device and boot, in front of its first
// message.
//
// # Messages
//
// The message encoding is protobuf, the schema a FileDescriptorSet made from the layout: package "fulmar.l" and the
// layout's id, in it one message (proto2, all fields optional) with the layout's name. Field number 16+i is field i of the
// layout; names that protobuf does not allow are changed: "esc[0].rpm" becomes esc_0_rpm. Types:
//
//	float64, float32  double, float
//	int64, uint64     sfixed64, fixed64
//	bool, string      bool, string
//	vectors           the same, repeated and packed
//
// All values are always there, so an export tells 0 from nothing. A string that is not UTF-8 stands in field 4096+16+i, of type
// bytes, as it is, and in its own field with U+FFFD for what is no character. The rest of the packet and of the stream is in
//
//	1  fixed64   _seq        number within the stream
//	2  sfixed64  _mono_ns    since the boot's origin
//	3  sfixed64  _wall_ns    since 1970 UTC; 0 if unknown
//	4  enum      _severity
//	5  enum      _class
//	6  string    _boot       32 hexadecimal digits
//	7  sfixed64  _time_ns    only where it is negative, which log_time cannot be
//
// Both times of an MCAP message are Entry.Time, its sequence is the lower half of _seq.
//
// JSON, which reads everywhere too, has no NaN, no −0 and in most readers no 64-bit integers; CDR has no optional
// field for what is not UTF-8.
//
// The package imports telemetry and recording/mcap and may be imported by every room above. Its types are each for one
// goroutine.
package records
