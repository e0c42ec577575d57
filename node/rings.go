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

// Rings makes the regions of a machine's boots, and finds those that earlier processes left.
type Rings interface {
	Create(ring.Options) (*ring.Region, error)
	// Leftovers returns the regions of earlier boots of the device, by name: oldest first, as far as the spool remembered those
	// before when each was named.
	Leftovers(device string) ([]*ring.Region, error)
}

// SharedRings keeps regions as files in a folder of shared memory. The zero value's folder is the system's: /dev/shm on
// Linux, and elsewhere the folder for temporary files. Where memory cannot be shared, regions die with the process.
type SharedRings struct {
	Dir string
	// Scope keeps apart machines of one name that may run on one host, each with data of its own: only regions of the same
	// scope are leftovers. Letters and digits; empty for the one machine of that name.
	Scope  string
	Logger *slog.Logger
}

// prefix is what the names of a device's regions begin with.
func (s SharedRings) prefix(device string) string {
	if s.Scope != "" {
		return ringPrefix + s.Scope + "." + device + "-" // no device has a dot in its name
	}
	return ringPrefix + device + "-"
}

const (
	ringPrefix = "fulmar-"
	ringSuffix = ".ring"
)

func (s SharedRings) dir() string {
	if s.Dir != "" {
		return s.Dir
	}
	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
		return "/dev/shm"
	}
	return os.TempDir()
}

// Create implements Rings. What a power cut would lose is in the spool's hands; what SIGKILL would is in this file.
func (s SharedRings) Create(o ring.Options) (*ring.Region, error) {
	r, err := ring.Create(filepath.Join(s.dir(), s.prefix(o.Device)+o.Boot.String()+ringSuffix), o)
	if err != nil {
		return nil, err
	}
	if !r.Survives() {
		s.Logger.Warn("this system shares no memory between processes: a crash of this one loses what is not yet spooled")
	}
	return r, nil
}

// Leftovers implements Rings. A region that another process uses means that the machine is running already.
func (s SharedRings) Leftovers(device string) ([]*ring.Region, error) {
	entries, err := os.ReadDir(s.dir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("node: look for what an earlier process left: %w", err)
	}
	var found []*ring.Region
	for _, e := range entries {
		boot, ok := strings.CutPrefix(e.Name(), s.prefix(device))
		boot, ok2 := strings.CutSuffix(boot, ringSuffix)
		if _, err := telemetry.ParseBoot(boot); !ok || !ok2 || err != nil {
			continue
		}
		path := filepath.Join(s.dir(), e.Name())
		r, err := ring.Open(path)
		switch {
		case errors.Is(err, ring.ErrInUse):
			for _, r := range found {
				err = errors.Join(err, r.Close())
			}
			return nil, fmt.Errorf("node: a machine named %q is running already: %w", device, err)
		case errors.Is(err, ring.ErrFormat):
			s.Logger.Error("an earlier process left a ring that cannot be read; it is set aside", "file", path, "error", err)
			if err := os.Rename(path, path+".unreadable"); err != nil {
				return nil, fmt.Errorf("node: set aside: %w", err)
			}
			continue
		case err != nil:
			return nil, err
		}
		found = append(found, r)
	}
	slices.SortFunc(found, func(a, b *ring.Region) int { return a.Boot().Compare(b.Boot()) })
	return found, nil
}
