package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"

	"github.com/spf13/cobra"

	"github.com/fulmar-io/fulmar/ground/broker"
	"github.com/fulmar-io/fulmar/recording/ulog"
	"github.com/fulmar-io/fulmar/seglog"
)

// knownCommand refuses what is no command: the root takes no argument of its own.
func knownCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "see " + c.CommandPath() + " --help"
	c.SuggestionsMinimumDistance = 2
	if names := c.SuggestionsFor(args[0]); len(names) > 0 {
		hint = "did you mean " + c.CommandPath() + " " + names[0] + "?"
	}
	return &usageError{err: fmt.Errorf("unknown command %q", args[0]), hint: hint}
}

// wrongAddress reports whether err is about an address that nobody could listen on.
func wrongAddress(err error) bool {
	var port *broker.PortError
	var address *net.AddrError
	return errors.As(err, &port) && errors.As(port, &address)
}

// portHint says what to do about an address that cannot be listened on.
func portHint(e *broker.PortError) string {
	flag := map[string]string{"MQTT": "--mqtt", "NATS": "--nats", "gRPC": "--grpc", "HTTP": "--http"}[e.What]
	var name *net.DNSError
	switch {
	case wrongAddress(e), errors.As(e, &name):
		return fmt.Sprintf("an address is host:port, for example %s 127.0.0.1:0 for any port that is free", flag)
	case errors.Is(e, fs.ErrPermission):
		return fmt.Sprintf("ports below 1024 are the administrator's on most systems; choose another with %s", flag)
	}
	return fmt.Sprintf("does another program listen there? choose another port with %s, for example %s 127.0.0.1:0 for any that is free", flag, flag)
}

// stateHint says what to do about what is so on this host, and not the command's fault.
func stateHint(err error) string {
	switch {
	case errors.Is(err, seglog.ErrDiskFull):
		return "make room on the disk, or choose a folder on another with --data"
	case errors.Is(err, ulog.ErrNotULog):
		return "replay reads PX4 ULog recordings, as flight.ulg; a file of settings goes with --config"
	}
	return ""
}
