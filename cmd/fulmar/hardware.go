package main

import (
	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/linux"
)

// hardware is what machines run on here. On other systems than Linux it has nothing to open, and says so.
func hardware() hal.Host { return linux.New(linux.Options{}) }
