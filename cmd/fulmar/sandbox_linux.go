package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// ownProgram is the path of this program also after its file was replaced: another one would not fit this half, and may not be started
// from the sandbox.
func ownProgram() string {
	const running = "/proc/self/exe" // which lists of processes would call exe
	path, err := os.Executable()
	if err != nil {
		return running
	}
	is, err := os.Stat(running)
	there, thereErr := os.Stat(path)
	if err != nil || thereErr != nil || !os.SameFile(is, there) {
		return running
	}
	return path
}

// hardwareSockets are the families of sockets by which hardware is reached.
var hardwareSockets = []int{unix.AF_CAN}
