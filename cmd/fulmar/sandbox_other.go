//go:build !linux

package main

import "os"

// ownProgram is the path of this program.
func ownProgram() string {
	if path, err := os.Executable(); err == nil {
		return path
	}
	return os.Args[0]
}

var hardwareSockets []int
