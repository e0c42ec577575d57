// Package station is a running ground: it joins what arrives over links with ingest, the frame log, the index and those
// who watch. The rooms it joins are state machines and stores; the goroutines are here.
//
//	links → intake (log, commit) → acknowledgement
//	            └→ index → watchers
package station
