package env

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// WriteFile replaces a small file of the operating system's as a whole: after a crash at any moment it holds the old content or the
// new one, durably the new one once WriteFile has returned nil. Its folder must be there. perm is the file's, whatever it had.
func WriteFile(path string, data []byte, perm os.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // 0600
	if err != nil {
		return fmt.Errorf("disk: write file: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("disk: write %s: %w", path, err), os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(perm)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
