package grpc

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/fulmar-io/fulmar/link"
)

// explain makes of the library's error one that says what a caller can do, and why.
func (n *network) explain(err error, trailer metadata.MD) error {
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	said := fmt.Errorf("%s: %.*q", s.Code(), link.MaxReason, s.Message()) // the peer's text
	if after, ok := pushback(trailer); ok {
		return &link.Later{After: after, Err: said}
	}
	switch s.Code() {
	case codes.PermissionDenied, codes.Unauthenticated:
		return fmt.Errorf("%w: %w", link.ErrRefused, said)
	case codes.Unimplemented:
		return fmt.Errorf("it is no ground, or another version: %w", said)
	case codes.Unavailable, codes.Canceled, codes.Internal, codes.Unknown:
		cause := n.cause()
		var network *net.OpError
		switch {
		case cause == nil:
			return said
		case remotely(cause):
			return fmt.Errorf("%w: does the ground take this machine's TLS certificate? %w", link.ErrRefused, cause)
		case n.Info().SecurityProtocol == "tls" && n.unheard() && (errors.As(cause, &network) || errors.Is(cause, io.EOF)):
			return fmt.Errorf("the connection was closed before the ground answered: does it take this machine's TLS certificate? %w", cause)
		}
		return cause
	}
	return said
}

// pushback is how long the ground asks to be left alone, if it does.
func pushback(trailer metadata.MD) (time.Duration, bool) {
	list := trailer.Get(pushbackKey)
	if len(list) != 1 {
		return 0, false
	}
	ms, err := strconv.ParseUint(list[0], 10, 32)
	if err != nil {
		return 0, false
	}
	return min(time.Duration(ms)*time.Millisecond, link.MaxLater), true
}

// later is what a ground says to a machine that it has no room for.
func later(after time.Duration) metadata.MD {
	return metadata.Pairs(pushbackKey, strconv.FormatInt(after.Milliseconds(), 10))
}

// Ends of a stream by the ground.
var (
	errReplaced = status.Error(codes.Aborted, "another connection of this machine has taken its place")
	errFull     = status.Error(codes.ResourceExhausted, "as many machines are connected as may be")
	errNobody   = errors.New("the machine is not connected")
)
