//go:build !linux

package ring_test

import "testing"

// waitable has not the memory that is shared: elsewhere than on Linux it is looked at each millisecond.
func waitable() map[string]bool { return map[string]bool{"in one process": false} }

func sharedFolder(t *testing.T) string { return t.TempDir() }
