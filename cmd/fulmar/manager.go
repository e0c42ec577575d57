package main

import (
	"log/slog"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/fulmar-io/fulmar/node"
)

// manage connects a machine with the service manager that started this process, if one did.
func manage(o *node.Options) {
	failed := false
	o.Notify = func(state string) {
		if _, err := daemon.SdNotify(false, state); err != nil && !failed {
			failed = true
			slog.Warn("the service manager is not told how the machine is", "error", err)
		}
	}
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		slog.Warn("the service manager's watchdog is not served", "error", err)
	}
	o.Watchdog = interval / 3
}
