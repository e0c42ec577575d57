// Package live hands what the ground has just committed to everyone who is watching it at this moment.
//
// In come the updates of ingest, one per committed frame, through Hub.Publish; out go the same updates to every watcher.
// Nothing is stored and nothing waits: a watcher that does not keep up loses its place, is told so by a closed channel,
// and asks the store for what it missed. The publisher never learns that it has watchers.
//
// It implements ground.Tail and may be imported by ground/web, by cmd/fulmar and by tests; it imports ground alone.
package live
