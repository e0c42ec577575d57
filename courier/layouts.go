package courier

import (
	"errors"
	"fmt"

	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/seglog"
	"github.com/fulmar-io/fulmar/telemetry"
)

// layouts is the catalog of a machine, remembered on disk: what is in the spool must stay explainable after a restart,
// and the ground may ask for a layout of an old boot.
type layouts struct {
	catalog telemetry.Catalog
	log     *seglog.Log
}

func openLayouts(disk env.Disk, dir string) (*layouts, error) {
	log, err := seglog.Open(disk, dir, seglog.Options{MaxRecord: telemetry.MaxLayoutBinary})
	if err != nil {
		return nil, fmt.Errorf("layouts: %w", err)
	}
	if err := log.Report().Unreadable; err != nil {
		return nil, errors.Join(fmt.Errorf("layouts: %w", err), log.Close())
	}
	l := &layouts{log: log}
	l.catalog.Add(telemetry.LayoutRecords)
	for i := log.First(); i < log.Next(); i++ {
		b, err := log.ReadAt(i, nil)
		if err != nil {
			if errors.Is(err, seglog.ErrDamaged) && !seglog.Unreadable(err) {
				continue // the machine defines it again if it still uses it
			}
			return nil, errors.Join(fmt.Errorf("layouts: %w", err), log.Close())
		}
		if layout, err := telemetry.ParseLayout(b); err == nil {
			l.catalog.Add(layout)
		}
	}
	return l, nil
}

// add is a no-op for a layout that is known. A layout that could not be written is known until the process ends.
func (l *layouts) add(layout *telemetry.Layout) error {
	if !l.catalog.Add(layout) {
		return nil
	}
	if _, err := l.log.Append(layout.AppendBinary(nil)); err != nil {
		return fmt.Errorf("courier: remember layout %q: %w", layout.Name, err)
	}
	return nil
}

func (l *layouts) sync() error {
	if l.log.Durable()+1 == l.log.Next() {
		return nil
	}
	return l.log.Sync()
}

func (l *layouts) close() error { return l.log.Close() }
