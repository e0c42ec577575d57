package env_test

import (
	"errors"
	"testing"

	"github.com/fulmar-io/fulmar/env"
)

func TestAFolderIsLockedOnce(t *testing.T) {
	dir := t.TempDir()
	unlock, err := env.LockFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := env.LockFolder(dir); !errors.Is(err, env.ErrLocked) {
		t.Fatalf("a second lock: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	again, err := env.LockFolder(dir)
	if err != nil {
		t.Fatalf("after the unlock: %v", err)
	}
	if err := again(); err != nil {
		t.Fatal(err)
	}
}
