// Package web is the ground's face: an HTTP API in JSON, its description in OpenAPI, and the page.
//
// What flows in: questions of browsers and programs, and through ground.Source, ground.Exporter and ground.Tail what is
// stored and what is new. What flows out: answers; nothing can be changed through this package. Every parameter has a
// limit that is checked before the store is asked; what is not understood is refused with application/problem+json that
// says which parameter and what is allowed.
//
// Times are milliseconds since 1970 UTC as decimal numbers, exact to the nanosecond ("1767225600000.000001"). A reader
// that holds them in float64, as JavaScript does, is exact to a quarter of a microsecond. Values that are not numbers
// are null.
//
// The live stream (GET /api/v1/live) is server-sent events. Each id names, per series, the time up to which the client
// has everything; a client that comes back with it (Last-Event-ID) is first given what it missed from the store and
// then the tail, nothing twice and nothing left out. What was too much to send is told as a gap, never skipped silently.
//
// The page is in ui, in TypeScript; "npm ci && npm run build" there writes dist, which is committed and embedded, and a
// test rebuilds it and compares. It asks nothing of any other host.
//
// It may be imported by cmd/fulmar and by tests; it imports ground, telemetry, and ground/store for what the errors of one
// mean.
package web
