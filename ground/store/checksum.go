package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"

	"github.com/fulmar-io/fulmar/env"
)

// The database has no checksums of its own: a bit that decays in a value is another value. So whoever closes the index leaves its checksum
// beside it, and whoever opens it next compares. While it is open there is none, and none after a crash: then what
// SQLite notices is all that is noticed.
const sumSuffix = ".sum"

// errDecayed says that the index is not what was closed.
var errDecayed = errors.New("store: the index is not what was closed: its checksum is another")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum is what is kept beside a closed index.
type sum struct {
	Size   int64
	CRC32C uint32
}

func sumOf(path string) (s sum, err error) {
	f, err := os.Open(path)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	h := crc32.New(castagnoli)
	if s.Size, err = io.Copy(h, f); err != nil {
		return s, err
	}
	s.CRC32C = h.Sum32()
	return s, nil
}

// writeSum leaves the checksum of an index that was closed. If somebody else has it open, it is not closed yet.
func writeSum(path string) error {
	if _, err := os.Stat(path + "-wal"); err == nil {
		return nil
	}
	s, err := sumOf(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("store: close index: %w", err)
	}
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("store: close index: %w", err)
	}
	if err := env.WriteFile(path+sumSuffix, b, 0o600); err != nil {
		return fmt.Errorf("store: close index: %w", err)
	}
	return nil
}

// takeSum compares the index with its checksum, if there is one, and removes that: from here on the index may change. If it comes back after a
// power cut, the index is built anew for nothing.
func takeSum(path string) error {
	b, err := os.ReadFile(path + sumSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("store: open index: %w", err)
	}
	var want sum
	sound := json.Unmarshal(b, &want) == nil // it decays like everything else
	have, err := sumOf(path)
	switch {
	case errors.Is(err, fs.ErrNotExist): // it was removed, to be built anew
		sound, have = true, want
	case err != nil:
		return fmt.Errorf("store: open index: %w", err)
	}
	if err := os.Remove(path + sumSuffix); err != nil {
		return fmt.Errorf("store: open index: %w", err)
	}
	if !sound || have != want {
		return errDecayed
	}
	return nil
}
