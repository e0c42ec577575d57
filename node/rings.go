package node

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fulmar-io/fulmar/ring"
	"github.com/fulmar-io/fulmar/telemetry"
)

// Rings makes the regions of a machine's boots, and finds those that earlier processes left. Regions belong to a spool, which
// takes what they hold, and bear its identity.
type Rings interface {
	Create(spool string, o ring.Options) (*ring.Region, error)
	// Leftovers returns the regions of earlier boots of the device on the spool, by name: oldest first, as far as the spool
	// remembered those before when each was named.
	Leftovers(spool, device string) ([]*ring.Region, error)
}

// SharedRings keeps regions as files in a folder of shared memory. The zero value's folder is the system's: /dev/shm on
// Linux, and elsewhere the folder for temporary files. Where memory cannot be shared, regions die with the process.
type SharedRings struct {
	Dir    string
	Logger *slog.Logger
}

// prefix is what the names of a device's regions on a spool begin with. No device has a dot in its name.
func prefix(spool, device string) string { return "fulmar-" + spool + "." + device + "-" }

const ringSuffix = ".ring"

func (s SharedRings) dir() string {
	if s.Dir != "" {
		return s.Dir
	}
	return SharedFolder()
}

// SharedFolder is the folder of memory that processes share: /dev/shm on Linux, and elsewhere that for temporary files.
func SharedFolder() string {
	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
		return "/dev/shm"
	}
	return os.TempDir()
}

// Create implements Rings. What a power cut would lose is in the spool's hands; what SIGKILL would is in this file.
func (s SharedRings) Create(spool string, o ring.Options) (*ring.Region, error) {
	r, err := ring.Create(filepath.Join(s.dir(), prefix(spool, o.Device)+o.Boot.String()+ringSuffix), o)
	if err != nil {
		return nil, err
	}
	if !r.Survives() {
		s.Logger.Warn("this system shares no memory between processes: a crash of this one loses what is not yet spooled")
	}
	return r, nil
}

// Leftovers implements Rings. A region that another process uses means that the machine is running already, on this spool or
// on the one that it was copied from.
func (s SharedRings) Leftovers(spool, device string) ([]*ring.Region, error) {
	entries, err := os.ReadDir(s.dir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("node: look for what an earlier process left: %w", err)
	}
	var found []*ring.Region
	for _, e := range entries {
		boot, ok := strings.CutPrefix(e.Name(), prefix(spool, device))
		boot, ok2 := strings.CutSuffix(boot, ringSuffix)
		if _, err := telemetry.ParseBoot(boot); !ok || !ok2 || err != nil {
			continue
		}
		path := filepath.Join(s.dir(), e.Name())
		r, err := ring.Open(path)
		if errors.Is(err, ring.ErrFormat) {
			s.Logger.Error("an earlier process left a ring that cannot be read; it is set aside", "file", path, "error", err)
			if err = os.Rename(path, path+".unreadable"); err == nil {
				continue
			}
			err = fmt.Errorf("set aside: %w", err)
		}
		if err != nil {
			for _, r := range found {
				err = errors.Join(err, r.Close())
			}
			return nil, leftoverError(device, err)
		}
		found = append(found, r)
	}
	slices.SortFunc(found, func(a, b *ring.Region) int { return a.Boot().Compare(b.Boot()) })
	return found, nil
}

// leftoverError says what keeps a machine from what an earlier process of it left.
func leftoverError(device string, err error) error {
	switch {
	case errors.Is(err, ring.ErrInUse):
		return fmt.Errorf("node: a machine named %q is running already on this spool, or on one that it was copied from (without its folder identity a copy is a spool of its own): %w", device, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("node: an earlier process of %q ran as another user; start it as that one, or remove the file and with it what is only there: %w", device, err)
	}
	return fmt.Errorf("node: recover what an earlier process of %q left: %w", device, err)
}
