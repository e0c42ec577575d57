package grpc

import (
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"

	"github.com/fulmar-io/fulmar/link"
)

// What both ends say; see doc.go.
const (
	service     = "fulmar.v1.Link"
	method      = "Carry"
	deviceKey   = "fulmar-device"
	pushbackKey = "grpc-retry-pushback-ms" // of gRPC's own, where a client retries by itself
)

// carry describes the stream.
var carry = grpc.StreamDesc{StreamName: method, ServerStreams: true, ClientStreams: true}

// Limits of either end.
const (
	maxHeaders = 8 << 10   // bytes of a list of headers
	window     = 256 << 10 // bytes that come before they are read, of a stream and of its connection
	// perMessage is what a message weighs in a queue beside its bytes, so that empty ones are bounded too.
	perMessage = 512
)

// weight is how much of a queue a message takes.
func weight(message []byte) int64 { return int64(len(message) + perMessage) }

// DefaultKeepAlive is how often a connection is tried when nothing crosses it.
const DefaultKeepAlive = 30 * time.Second

// leastPing is how often the library's client pings at most.
const leastPing = 10 * time.Second

// never is longer than a ping may take: who is dead is found out by pipe.Steady, which knows a slow network from a silent one.
const never = 24 * time.Hour

// rhythm is how often to ping, and after which silence to cut, for a keepalive.
func rhythm(keepAlive, least time.Duration) (ping, silence time.Duration) {
	if keepAlive <= 0 {
		keepAlive = DefaultKeepAlive
	}
	ping = max(keepAlive/2, least)
	return ping, max(2*keepAlive, 3*ping)
}

// codec passes bytes through. A message of the stream is one of the link.
type codec struct{}

// Name is the subtype of the content type.
func (codec) Name() string { return "fulmar" }

// Marshal copies: the library holds on to a message after it has taken it, and the memory is the caller's again.
func (codec) Marshal(v any) (mem.BufferSlice, error) {
	message, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("grpc: encode a %T", v)
	}
	return mem.BufferSlice{mem.Copy(message, mem.DefaultBufferPool())}, nil
}

// Unmarshal copies, for the library's buffers go back to their pool.
func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	message, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("grpc: decode into a %T", v)
	}
	if data.Len() > link.MaxMessage { // the library has looked before it took the memory
		return fmt.Errorf("grpc: decode %d bytes: %w", data.Len(), link.ErrTooLarge)
	}
	*message = data.Materialize()
	return nil
}
