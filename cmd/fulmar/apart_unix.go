//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// apart keeps a terminal's signals from a command: they are meant for who began it.
func apart(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
