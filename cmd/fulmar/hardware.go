package main

import "github.com/fulmar-io/fulmar/hal"

// hardware is what machines run on here.
func hardware() hal.Host { return nil }
