package grpc

import "time"

// Hasty are options of a ground that waits less for strangers, and for guests without a stream.
func Hasty(o Options, d time.Duration) Options {
	o.patience, o.unused = d, d
	return o
}

// What a peer can take, for tests that take it.
const (
	MachineShare = machineShare
	PerDevice    = perDevice
)

// Visitors returns how many strangers and guests there are.
func (r *Receiver) Visitors() (strange, known int) {
	r.gate.mu.Lock()
	defer r.gate.mu.Unlock()
	return r.gate.Counts().Strangers, r.gate.inside
}

// Waiting returns how many messages are in the inbox.
func (r *Receiver) Waiting() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.machines {
		n += m.holders
		if m.now != nil {
			n--
		}
	}
	return n
}

// Weight is how much of a queue a message takes.
func Weight(message []byte) int64 { return weight(message) }

// WithInbox are options of a ground with another inbox.
func WithInbox(o Options, bytes int) Options {
	o.inbox = bytes
	return o
}
