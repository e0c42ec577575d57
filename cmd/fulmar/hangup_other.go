//go:build !unix

package main

import "os"

// notifyHangUp does nothing: this system has no SIGHUP.
func notifyHangUp(chan<- os.Signal) {}
