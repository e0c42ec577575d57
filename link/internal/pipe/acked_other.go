//go:build !linux

package pipe

import "net"

// unacknowledged is not known here: what this system took counts as confirmed.
func unacknowledged(net.Conn) int64 { return 0 }
