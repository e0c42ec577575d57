// Package export writes what is stored as files: CSV and MCAP. Both hold every value, time and number bit for bit, and both
// can be read back into the packets that the machine published.
//
//	err := export.New(index).Export(ctx, file, "mcap", "rover-7", nil, from, to)
//
// Records of the index come in, a file goes out. The files are streamed: a frame per class and a chunk are held,
// whatever the export's size, and ingest is not held up however slowly the file is taken. The package is for
// ground/web and the command; an Exporter may be used by several goroutines at once.
//
// # MCAP
//
// See package records of recording/mcap. An export of some series has whole records: all fields of each layout that has one
// of the series. What could not be read in the store is told by Metadata "fulmar.missing" with device, boot, class, first, count
// and reason.
//
// # CSV
//
// A line for each value, UTF-8, separated by commas, quoted as RFC 4180 says; a line break is never inside of a value. Lines of
// one record follow each other in the layout's order. The columns:
//
//	device, boot, class, seq   the stream and the number within it
//	time_ns                    when it was: wall_ns, or where that is 0 what the ground makes of mono_ns
//	wall_ns, mono_ns           as the machine told them; wall_ns 0 if it did not know
//	severity                   "none" but for events
//	layout, layout_id, kind    what the record is of
//	field, element, type, unit one scalar of it; element counts from 0, and is empty where the field is no vector
//	value                      see below
//
// Values are written so that none is lost:
//
//	float64, float32  the shortest decimal that is read as the same bits, "-0", "inf", "-inf", "nan" for the usual quiet NaN
//	                  (0x7ff8000000000000, 0x7fc00000) and "nan:0x7ff8000000000001" for others, with all bits
//	int64, uint64     decimal
//	bool              true, false
//	string            the text; or "hex:" and its bytes, where it is not UTF-8, has control characters, begins with "hex:", or
//	                  with one of = + - @, which a spreadsheet would take for a formula
//
// An export of some series has only their lines. A line of type "missing" says that of the records from seq on, as many as its
// value tells could not be read in the store.
package export
