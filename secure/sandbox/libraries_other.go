//go:build !linux

package sandbox

// Libraries returns nothing here.
func Libraries(string) []string { return nil }
