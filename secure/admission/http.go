package admission

import (
	"context"
	"crypto/tls"
	"net"
)

type contextKey struct{}

// Context keeps a connection that a Door accepted with the requests that come over it: it is for http.Server.ConnContext.
func Context(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if v, ok := c.(*Visitor); ok {
		return context.WithValue(ctx, contextKey{}, v)
	}
	return ctx
}

// Known says that whoever sent a request with this context is known. Without a Door it does nothing.
func Known(ctx context.Context) {
	if v, ok := ctx.Value(contextKey{}).(*Visitor); ok {
		v.Known()
	}
}
