// Package ground has the nouns of the receiving side: what its store answers, what its page shows. The rooms below do
// the work: ingest decides about each frame that arrives, store keeps frames and their index, live tells who is
// watching, web serves the API and the page, export writes files.
//
// Times are wall-clock nanoseconds since 1970 UTC as the machine told them; for a boot that did not know the time, the
// ground's own clock at the boot's first frame, plus the boot's monotonic time from there.
package ground
