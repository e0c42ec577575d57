//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// notifyHangUp has SIGHUP sent to c.
func notifyHangUp(c chan<- os.Signal) { signal.Notify(c, syscall.SIGHUP) }
