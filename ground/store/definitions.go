package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/seglog"
	"github.com/fulmar-io/fulmar/telemetry"
)

// definitions are what frames cannot be understood without: the layouts of each machine, and when each of its boots was
// heard of first. They arrive in frames, or with them, and are kept in a log of their own that nothing is taken from, as
// retention takes the frames that brought them long before those that need them. Guarded by Index.mu.
type definitions struct {
	disk    env.Disk
	dir     string
	log     *seglog.Log // nil where there is none to be read
	write   bool
	devices map[string]*defined
	buf     []byte
}

// defined is what is known of one device.
type defined struct {
	catalog telemetry.Catalog
	layouts int // in the catalog, but for that of layouts
	series  int // of those
	boots   map[telemetry.Boot]heard
}

// add adds a layout to the catalog.
func (k *defined) add(l *telemetry.Layout) {
	if k.catalog.Add(l) {
		k.layouts++
		k.series += l.Series()
	}
}

// heard is when the first frame of a boot came. The offset is to be added to monotonic time where there is no wall time.
type heard struct{ received, offset int64 }

// The kinds of a record of the log. Behind the kind come the length of the device's name in a byte and the name; then the
// binary form of a layout; or the boot, and when it was heard of: two int64, little-endian.
const (
	definedLayout = 1
	definedBoot   = 2
)

const maxDefinition = 2 + telemetry.MaxDevice + telemetry.MaxLayoutBinary

// openDefinitions opens the log in a folder. What is damaged in it is left out: the index knows it too and puts it back,
// and a layout that is missing all the same is asked for.
func openDefinitions(disk env.Disk, dir string, readOnly bool) (*definitions, error) {
	d := &definitions{disk: disk, dir: dir, write: !readOnly, devices: make(map[string]*defined)}
	if err := d.read(); err != nil {
		return nil, fmt.Errorf("store: open definitions: %w", err)
	}
	return d, nil
}

// read opens the log, in the place of the one that is open, and takes up what is in it.
func (d *definitions) read() error {
	log, err := seglog.Open(d.disk, d.dir, seglog.Options{MaxRecord: maxDefinition, ReadOnly: !d.write})
	if !d.write && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for i := log.First(); i < log.Next(); i++ {
		b, err := log.ReadAt(i, nil)
		if err != nil && !errors.Is(err, seglog.ErrDamaged) {
			return errors.Join(err, log.Close())
		}
		if err == nil {
			d.parse(b)
		}
	}
	old := d.log
	d.log = log
	if old != nil {
		return old.Close()
	}
	return nil
}

// refresh takes up what another process, which this one reads beside, has written since.
func (d *definitions) refresh() error {
	if d.write {
		return nil
	}
	if err := d.read(); err != nil {
		return fmt.Errorf("store: read definitions again: %w", err)
	}
	return nil
}

// parse takes up a record. One that it does not understand is one of a later build.
func (d *definitions) parse(b []byte) {
	if len(b) < 2 || len(b) < 2+int(b[1]) {
		return
	}
	name, body := string(b[2:2+b[1]]), b[2+int(b[1]):]
	switch b[0] {
	case definedLayout:
		if l, err := telemetry.ParseLayout(body); err == nil {
			d.of(name).add(l)
		}
	case definedBoot:
		if len(body) == 32 {
			d.of(name).boots[telemetry.Boot(body[:16])] = heard{received: int64(binary.LittleEndian.Uint64(body[16:])),
				offset: int64(binary.LittleEndian.Uint64(body[24:]))}
		}
	}
}

// of returns what is known of a device, to which it may be added by layout and boot only.
func (d *definitions) of(device string) *defined {
	k := d.devices[device]
	if k == nil {
		k = &defined{boots: make(map[telemetry.Boot]heard)}
		k.catalog.Add(telemetry.LayoutRecords)
		d.devices[device] = k
	}
	return k
}

// layout remembers a layout. One that is known is left as it is.
func (d *definitions) layout(device string, l *telemetry.Layout) error {
	k := d.of(device)
	if k.catalog.Layout(l.ID()) != nil {
		return nil
	}
	if err := d.append(definedLayout, device, l.AppendBinary(nil)); err != nil {
		return fmt.Errorf("store: remember layout %q of %s: %w", l.Name, device, err)
	}
	k.add(l)
	return nil
}

// boot remembers when a boot was heard of first. One that is known is left as it is.
func (d *definitions) boot(device string, boot telemetry.Boot, h heard) error {
	k := d.of(device)
	if _, known := k.boots[boot]; known {
		return nil
	}
	body := binary.LittleEndian.AppendUint64(append([]byte(nil), boot[:]...), uint64(h.received))
	if err := d.append(definedBoot, device, binary.LittleEndian.AppendUint64(body, uint64(h.offset))); err != nil {
		return fmt.Errorf("store: remember boot %s of %s: %w", boot, device, err)
	}
	k.boots[boot] = h
	return nil
}

func (d *definitions) append(kind byte, device string, body []byte) error {
	if !d.write {
		return nil
	}
	d.buf = append(append(d.buf[:0], kind, byte(len(device))), device...)
	d.buf = append(d.buf, body...)
	_, err := d.log.Append(d.buf)
	if errors.Is(err, seglog.ErrFull) {
		if err = d.log.Sync(); err == nil {
			_, err = d.log.Append(d.buf)
		}
	}
	return err
}

// sync makes what was remembered durable.
func (d *definitions) sync() error {
	if !d.write || d.log.Durable()+1 == d.log.Next() {
		return nil
	}
	if err := d.log.Sync(); err != nil {
		return fmt.Errorf("store: make definitions durable: %w", err)
	}
	return nil
}

func (d *definitions) close() error {
	if d.log == nil {
		return nil
	}
	return d.log.Close()
}
