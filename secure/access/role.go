package access

import "github.com/fulmar-io/fulmar/command"

// Role is what somebody may do; see package command.
type Role = command.Role

// The roles, the least first.
const (
	Viewer   = command.Viewer
	Operator = command.Operator
	Admin    = command.Admin
)
