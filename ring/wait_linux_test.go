package ring_test

import "testing"

func waitable() map[string]bool {
	return map[string]bool{"in one process": false, "between processes": true}
}

func sharedFolder(t *testing.T) string { return sharedDir(t) }
