package linux

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/internal/name"
)

// attribute is an open file of sysfs that holds a number. It belongs to one goroutine, but for Close.
type attribute struct {
	f   *os.File
	buf [32]byte
}

func openAttribute(path string, flags int) (*attribute, error) {
	f, err := os.OpenFile(path, flags, 0)
	if err != nil {
		return nil, explain(err, path, filepath.Join(filepath.Dir(path), "*"))
	}
	return &attribute{f: f}, nil
}

var errNumber = errors.New("the kernel did not answer with a number")

// read takes the number. Without an error it allocates nothing.
func (a *attribute) read() (v uint64, negative bool, err error) {
	n, err := a.f.ReadAt(a.buf[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, false, err
	}
	b := a.buf[:n]
	if len(b) > 0 && b[0] == '-' {
		negative, b = true, b[1:]
	}
	digits := 0
	for ; digits < len(b) && b[digits] >= '0' && b[digits] <= '9'; digits++ {
		high, low := bits.Mul64(v, 10)
		sum, carry := bits.Add64(low, uint64(b[digits]-'0'), 0)
		if high|carry != 0 {
			return 0, false, errNumber
		}
		v = sum
	}
	if digits == 0 || digits < len(b) && b[digits] != '\n' {
		return 0, false, errNumber
	}
	return v, negative, nil
}

// write gives the number to the kernel. It allocates nothing.
func (a *attribute) write(v int64) error {
	_, err := a.f.WriteAt(append(strconv.AppendInt(a.buf[:0], v, 10), '\n'), 0)
	return err
}

// readFloat reads a number that does not change, at once.
func readFloat(path string) (float64, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(string(b)), 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return v, nil
}

// split takes a path apart at its slash.
func split(r hal.Resource, example string) (dir, file string, err error) {
	dir, file, ok := strings.Cut(r.Path, "/")
	if !ok || dir == "" || file == "" || strings.Contains(file, "/") || dir == ".." || file == ".." {
		return "", "", fmt.Errorf("want a name as %s: %w", example, hal.ErrRange)
	}
	return dir, file, nil
}

// sysfs is what the handles over sysfs have in common.
type sysfs struct {
	device
	files []*attribute
}

func (d *sysfs) attribute(path string, flags int) (*attribute, error) {
	a, err := openAttribute(path, flags)
	if err == nil {
		d.files = append(d.files, a)
	}
	return a, err
}

func (d *sysfs) closeFiles() error {
	var errs []error
	for _, a := range d.files {
		errs = append(errs, a.f.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("linux: close %s: %w", d.what, err)
	}
	return nil
}

// said makes an error of the kernel, or of a file that is closed, the caller's.
func (d *sysfs) said(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return d.gone
	}
	return d.fail(err)
}

type adc struct {
	sysfs
	raw           *attribute
	offset, scale float64 // volts = (raw + offset) × scale
}

func (h *Host) openADC(r hal.Resource) (any, func() error, error) {
	dir, channel, err := split(r, "iio:device0/voltage3")
	if err != nil {
		return nil, nil, err
	}
	if !strings.HasPrefix(channel, "voltage") {
		return nil, nil, fmt.Errorf("%s is no channel of volts: %w", channel, hal.ErrRange)
	}
	folder := filepath.Join(h.sys, "bus/iio/devices", dir)
	if _, err := os.Stat(folder); err != nil {
		return nil, nil, explain(err, folder, filepath.Join(h.sys, "bus/iio/devices/iio:device*"))
	}
	d := &adc{}
	d.init(system{}, -1, name.Of(r))
	path := filepath.Join(folder, "in_"+channel+"_raw")
	if d.raw, err = d.attribute(path, os.O_RDONLY); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, err
		}
		have, _ := filepath.Glob(filepath.Join(folder, "in_voltage*_raw")) // a pattern of ours has no error
		for i := range have {
			have[i] = strings.TrimSuffix(strings.TrimPrefix(filepath.Base(have[i]), "in_"), "_raw")
		}
		return nil, nil, fmt.Errorf("%s has no channel %s: %s: %w", dir, channel, name.Listed(channel, have), fs.ErrNotExist)
	}
	// A scale, in mV, and an offset are the channel's own or those of all of its kind.
	kind := strings.TrimRight(channel, "0123456789")
	if plus, minus, differs := strings.Cut(channel, "-"); differs {
		kind = strings.TrimRight(plus, "0123456789") + "-" + strings.TrimRight(minus, "0123456789")
	}
	scale, err := firstFloat(filepath.Join(folder, "in_"+channel+"_scale"), filepath.Join(folder, "in_"+kind+"_scale"))
	if err == nil {
		d.scale = scale / 1000
		d.offset, err = firstFloat(filepath.Join(folder, "in_"+channel+"_offset"), filepath.Join(folder, "in_"+kind+"_offset"))
		if errors.Is(err, fs.ErrNotExist) {
			err = nil // 0
		}
	}
	if err != nil {
		_ = d.closeFiles() // the first error is the one that matters
		return nil, nil, fmt.Errorf("the scale of %s: %w", channel, err)
	}
	return d, d.closeFiles, nil
}

func firstFloat(paths ...string) (v float64, err error) {
	for _, p := range paths {
		if v, err = readFloat(p); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return v, err
		}
	}
	return 0, err
}

// Volts implements hal.ADC.
func (d *adc) Volts() (float64, error) {
	if d.lost {
		return 0, d.gone
	}
	v, negative, err := d.raw.read()
	if err != nil {
		return 0, d.said(err)
	}
	raw := float64(v)
	if negative {
		raw = -raw
	}
	return (raw + d.offset) * d.scale, nil
}

type counter struct {
	sysfs
	count   *attribute
	ceiling uint64 // the count wraps behind it; 0: at 64 bits
	last    uint64
	total   int64
}

func (h *Host) openCounter(r hal.Resource) (any, func() error, error) {
	dir, count, err := split(r, "counter0/count0")
	if err != nil {
		return nil, nil, err
	}
	folder := filepath.Join(h.sys, "bus/counter/devices", dir, count)
	if _, err := os.Stat(folder); err != nil {
		return nil, nil, explain(err, folder, filepath.Join(h.sys, "bus/counter/devices/counter*/count[0-9]*"))
	}
	d := &counter{}
	d.init(system{}, -1, name.Of(r))
	if ceiling, err := os.ReadFile(filepath.Join(folder, "ceiling")); err == nil {
		if d.ceiling, err = strconv.ParseUint(strings.TrimSpace(string(ceiling)), 10, 64); err != nil {
			return nil, nil, fmt.Errorf("its ceiling: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "enable"), []byte("1\n"), 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, explain(err, filepath.Join(folder, "enable"), "")
	}
	if d.count, err = d.attribute(filepath.Join(folder, "count"), os.O_RDONLY); err != nil {
		return nil, nil, err
	}
	if d.last, _, err = d.count.read(); err != nil {
		_ = d.closeFiles() // the first error is the one that matters
		return nil, nil, fmt.Errorf("read its count: %w", err)
	}
	return d, d.closeFiles, nil
}

// Count implements hal.Counter. Between two calls the hardware must not move by half of its range or more.
func (d *counter) Count() (int64, error) {
	if d.lost {
		return 0, d.gone
	}
	now, _, err := d.count.read()
	if err != nil {
		return 0, d.said(err)
	}
	moved := now - d.last // modulo 2⁶⁴
	if n := d.ceiling + 1; n != 0 && d.ceiling != 0 {
		if now < d.last {
			moved += n // modulo n
		}
		if moved > n/2 {
			moved -= n // it went down
		}
	}
	d.last = now
	d.total += int64(moved)
	return d.total, nil
}

type pwm struct {
	sysfs
	period, duty, enable *attribute
	now, high            int64 // as the kernel has them
	on                   bool
	number               string
	unexport             string
}

func (h *Host) openPWM(r hal.Resource) (any, func() error, error) {
	dir, number, err := split(r, "pwmchip0/1")
	if err != nil {
		return nil, nil, err
	}
	if _, err := strconv.ParseUint(number, 10, 32); err != nil {
		return nil, nil, fmt.Errorf("want a number behind the chip: %w", hal.ErrRange)
	}
	folder := filepath.Join(h.sys, "class/pwm", dir)
	if _, err := os.Stat(folder); err != nil {
		return nil, nil, explain(err, folder, filepath.Join(h.sys, "class/pwm/pwmchip*"))
	}
	d := &pwm{number: number}
	d.init(system{}, -1, name.Of(r))
	channel := filepath.Join(folder, "pwm"+number)
	if _, err := os.Stat(channel); errors.Is(err, fs.ErrNotExist) {
		if err := os.WriteFile(filepath.Join(folder, "export"), []byte(number+"\n"), 0); err != nil {
			return nil, nil, d.notExported(err, folder)
		}
		d.unexport = filepath.Join(folder, "unexport")
	}
	if err := d.openFiles(channel); err != nil {
		return nil, nil, errors.Join(err, d.release())
	}
	return d, d.release, nil
}

func (d *pwm) notExported(err error, folder string) error {
	if n, numberErr := os.ReadFile(filepath.Join(folder, "npwm")); numberErr == nil && errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("the chip has %s channels: %w", strings.TrimSpace(string(n)), err)
	}
	return explain(err, filepath.Join(folder, "export"), filepath.Join(folder, "*"))
}

// openFiles opens the channel's files. After an export, udev may take a moment to give them to their group.
func (d *pwm) openFiles(channel string) (err error) {
	retry := time.NewTicker(10 * time.Millisecond)
	defer retry.Stop()
	for range 100 {
		if d.period, err = d.attribute(filepath.Join(channel, "period"), os.O_RDWR); err == nil ||
			d.unexport == "" || !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrNotExist) {
			break
		}
		<-retry.C
	}
	if err != nil {
		return err
	}
	if d.duty, err = d.attribute(filepath.Join(channel, "duty_cycle"), os.O_RDWR); err != nil {
		return err
	}
	if d.enable, err = d.attribute(filepath.Join(channel, "enable"), os.O_RDWR); err != nil {
		return err
	}
	for _, x := range []struct {
		a *attribute
		v *int64
	}{{d.period, &d.now}, {d.duty, &d.high}} {
		v, _, err := x.a.read()
		if err != nil {
			return fmt.Errorf("%s: %w", x.a.f.Name(), err)
		}
		*x.v = int64(v)
	}
	return nil
}

// release switches the output off and gives the channel back.
func (d *pwm) release() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lost = true
	var errs []error
	if d.enable != nil {
		errs = append(errs, d.duty.write(0), d.enable.write(0))
	}
	errs = append(errs, d.closeFiles())
	if d.unexport != "" {
		errs = append(errs, os.WriteFile(d.unexport, []byte(d.number+"\n"), 0))
	}
	return errors.Join(errs...)
}

// Set implements hal.PWM.
func (d *pwm) Set(period, high int64) error {
	if high < 0 || high > period || period <= 0 {
		return hal.ErrRange
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lost {
		return d.gone
	}
	if err := d.set(period, high); err != nil {
		d.now = -1 // whatever it is
		return d.said(err)
	}
	return nil
}

func (d *pwm) set(period, high int64) error {
	if d.now < 0 { // then no pulse fits for certain but none
		if err := d.duty.write(0); err != nil {
			return err
		}
	}
	// At no moment may the pulse be longer than the period.
	first, second := d.period, d.duty
	a, b := period, high
	if period < d.now {
		first, second, a, b = d.duty, d.period, high, period
	}
	if period != d.now || high != d.high {
		if err := first.write(a); err != nil {
			return err
		}
		if err := second.write(b); err != nil {
			return err
		}
		d.now, d.high = period, high
	}
	if !d.on {
		if err := d.enable.write(1); err != nil {
			return err
		}
		d.on = true
	}
	return nil
}
