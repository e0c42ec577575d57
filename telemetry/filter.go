package telemetry

// A Filter decides which records are published. It is asked before a record gets its number: what it holds back was
// never numbered and is not lost. A filter belongs to one publisher, is called by one goroutine at a time, and must
// neither block nor, once it has seen a layout, allocate. Those that ship are in the room filter.
type Filter interface {
	// Pass reports whether the record is to be published. The record is valid during the call only.
	Pass(Record) bool
}
