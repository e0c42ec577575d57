// Package ulog reads ULog, the log format of the PX4 autopilot, as telemetry records.
//
//	r, err := ulog.NewReader(file, ulog.Options{})
//	for {
//		entry, err := r.Next()
//		if err == io.EOF {
//			break
//		}
//		…
//		if entry.Kind == ulog.Data {
//			use(entry.Record)
//		}
//	}
//
// Each subscription of a log (a message name and a multi id) becomes a layout: the message's name, with "/N" after it
// for multi id N > 0, and its fields flattened: "a.b" for a field of a nested message, "esc[0].rpm" for one of an array of
// nested messages, a vector for an array of numbers. The field timestamp of the message itself, in microseconds, becomes the
// record's monotonic time, and padding is left out; a timestamp of a nested message is a value. Integers become int64 or
// uint64, char arrays strings, the rest stays as it is. ULog knows no units of fields.
//
// ULog has no checksums: a damaged file is noticed only where its structure breaks. Next then returns a *DamageError and can be
// called again: it goes on at the next message if that looks sound, else after the next sync message, else the log ends
// there.
//
// Source: PX4 User Guide (main), Development, Logging, "ULog File Format"; section names in comments are from there.
package ulog
