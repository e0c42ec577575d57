// Package telemetry has the nouns of what a machine tells: records, the layouts that give them meaning, and the
// streams that number them.
//
// A component samples some quantities together and publishes them as one record: a row of a layout. A layout is data
// (name, kind, fields with type and UCUM unit) and is identified by the hash of its content. A record belongs to a
// stream, which is (device, boot, class), and is numbered there at birth, so that whatever is lost afterwards can be
// told to the record. Filters decide before the number.
//
//	layout := &telemetry.Layout{Name: "imu", Kind: telemetry.Reading, Fields: []telemetry.Field{
//		{Name: "accel", Type: packet.Float32, Len: 3, Unit: "m/s2"},
//		{Name: "temperature", Type: packet.Float32, Unit: "Cel"},
//	}}
//
// Sub-packages: packet is the row form of a record, frame the columnar form that travels and is stored, filter the rules
// that hold records back, ledger the accounts that every hop keeps. This package imports only those below it and may be imported by everything above.
package telemetry
