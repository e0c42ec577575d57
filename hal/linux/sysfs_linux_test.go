package linux

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/hal"
)

// tree is a sysfs of files.
func tree(t testing.TB, files map[string]string) (*Host, string) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		put(t, filepath.Join(dir, name), content)
	}
	return New(Options{Sys: dir}), dir
}

func put(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// get returns the first line of a file.
func get(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return line
}

func TestADC(t *testing.T) {
	const dev = "bus/iio/devices/iio:device0/"
	h, dir := tree(t, map[string]string{
		dev + "in_voltage0_raw": "2048\n", dev + "in_voltage_scale": "0.805664062\n",
		dev + "in_voltage1_raw": "-100\n", dev + "in_voltage1_scale": "2.5\n", dev + "in_voltage1_offset": "20\n",
		dev + "in_voltage4-voltage5_raw": "-1000\n", dev + "in_voltage-voltage_scale": "0.125\n",
		dev + "in_temp_raw": "1\n", dev + "in_temp_scale": "1\n",
		"bus/iio/devices/iio:device1/in_voltage0_raw": "1\n",
	})
	for channel, want := range map[string]float64{"voltage0": 2048 * 0.805664062e-3, "voltage1": -80 * 2.5e-3, "voltage4-voltage5": -0.125} {
		handle, closing, err := h.Open(hal.Resource{Kind: hal.KindADC, Path: "iio:device0/" + channel})
		if err != nil {
			t.Fatal(err)
		}
		a := handle.(hal.ADC)
		if v, err := a.Volts(); err != nil || math.Abs(v-want) > 1e-12 {
			t.Errorf("%s: %v V, %v, want %v", channel, v, err, want)
		}
		raw := filepath.Join(dir, dev, "in_"+channel+"_raw")
		put(t, raw, "0\n")
		if v, err := a.Volts(); err != nil || v == want {
			t.Errorf("%s: it is not read again: %v, %v", channel, v, err)
		}
		put(t, raw, "soon\n")
		if _, err := a.Volts(); !errors.Is(err, errNumber) {
			t.Error(err)
		}
		put(t, raw, "7\n")
		if n := testing.AllocsPerRun(100, func() { _, _ = a.Volts() }); n != 0 {
			t.Errorf("%v allocations", n)
		}
		if err := closing(); err != nil {
			t.Error(err)
		}
		if _, err := a.Volts(); !errors.Is(err, hal.ErrGone) {
			t.Error(err)
		}
	}
	for path, want := range map[string]string{
		"iio:device2/voltage0": "did you mean iio:device0? there is iio:device0, iio:device1",
		"iio:device0/voltage2": "iio:device0 has no channel voltage2: did you mean voltage0? there is voltage0, voltage1, voltage4-voltage5",
		"iio:device1/voltage0": "the scale of voltage0",
		"iio:device0/temp":     "temp is no channel of volts",
		"voltage0":             "want a name as iio:device0/voltage3",
		"../x":                 "want a name as",
	} {
		if _, _, err := h.Open(hal.Resource{Kind: hal.KindADC, Path: path}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestCounter(t *testing.T) {
	const dev = "bus/counter/devices/counter0/count0/"
	h, dir := tree(t, map[string]string{dev + "count": "65530\n", dev + "ceiling": "65535\n", dev + "enable": "0\n"})
	handle, closing, err := h.Open(hal.Resource{Kind: hal.KindCounter, Path: "counter0/count0"})
	if err != nil {
		t.Fatal(err)
	}
	if on := get(t, filepath.Join(dir, dev, "enable")); on != "1" {
		t.Errorf("enable is %s", on)
	}
	c := handle.(hal.Counter)
	for _, step := range []struct {
		at   string
		want int64
	}{{"65530", 0}, {"65535", 5}, {"3", 9}, {"65535", 5}, {"65000", -530}, {"40000", -25530}, {"15000", -50530}, {"60000", -71066}} {
		put(t, filepath.Join(dir, dev, "count"), step.at+"\n")
		if n, err := c.Count(); n != step.want || err != nil {
			t.Errorf("at %s: %d, %v, want %d", step.at, n, err, step.want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = c.Count() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if err := closing(); err != nil {
		t.Error(err)
	}
	if _, err := c.Count(); !errors.Is(err, hal.ErrGone) {
		t.Error(err)
	}
	if _, _, err := h.Open(hal.Resource{Kind: hal.KindCounter, Path: "counter0/count1"}); err == nil || !strings.Contains(err.Error(), "did you mean count0?") {
		t.Error(err)
	}
}

// However it moves, by less than half of its range at a time, the count is the sum.
func TestCounterNeverWraps(t *testing.T) {
	h, dir := tree(t, map[string]string{"bus/counter/devices/counter0/count0/count": "0\n"})
	folder := filepath.Join(dir, "bus/counter/devices/counter0/count0")
	rapid.Check(t, func(rt *rapid.T) {
		ceiling := rapid.SampledFrom([]uint64{0, 999, 1<<16 - 1, 1<<32 - 1, math.MaxUint64}).Draw(rt, "ceiling")
		if ceiling == 0 {
			os.Remove(filepath.Join(folder, "ceiling"))
		} else {
			put(t, filepath.Join(folder, "ceiling"), fmt.Sprintf("%d\n", ceiling))
		}
		modulus := ceiling + 1 // 0: 2⁶⁴
		if ceiling == 0 {
			modulus = 0
		}
		var hardware uint64
		put(t, filepath.Join(folder, "count"), "0\n")
		handle, closing, err := h.Open(hal.Resource{Kind: hal.KindCounter, Path: "counter0/count0"})
		if err != nil {
			rt.Fatal(err)
		}
		defer closing()
		total := int64(0)
		for _, move := range rapid.SliceOfN(rapid.Int64Range(-499, 499), 1, 20).Draw(rt, "moves") {
			total += move
			hardware += uint64(move)
			if modulus != 0 {
				hardware = uint64((int64(hardware)%int64(modulus) + int64(modulus)) % int64(modulus))
			}
			put(t, filepath.Join(folder, "count"), fmt.Sprintf("%d\n", hardware))
			if n, err := handle.(hal.Counter).Count(); n != total || err != nil {
				rt.Fatalf("%d, %v, want %d", n, err, total)
			}
		}
	})
}

func TestPWM(t *testing.T) {
	const dev = "class/pwm/pwmchip0/pwm1/"
	h, dir := tree(t, map[string]string{dev + "period": "0\n", dev + "duty_cycle": "0\n", dev + "enable": "0\n", "class/pwm/pwmchip0/npwm": "2\n"})
	handle, closing, err := h.Open(hal.Resource{Kind: hal.KindPWM, Path: "pwmchip0/1"})
	if err != nil {
		t.Fatal(err)
	}
	p := handle.(hal.PWM)
	state := func() string {
		return get(t, filepath.Join(dir, dev, "period")) + " " + get(t, filepath.Join(dir, dev, "duty_cycle")) + " " + get(t, filepath.Join(dir, dev, "enable"))
	}
	if s := state(); s != "0 0 0" {
		t.Errorf("opening it makes it %s", s)
	}
	for _, c := range []struct {
		period, high int64
		want         string
	}{{20_000_000, 1_500_000, "20000000 1500000 1"}, {1000, 999, "1000 999 1"}, {1000, 0, "1000 0 1"}, {50_000, 50_000, "50000 50000 1"}} {
		if err := p.Set(c.period, c.high); err != nil || state() != c.want {
			t.Errorf("%v: %s, want %s", err, state(), c.want)
		}
	}
	for _, c := range [][2]int64{{100, 101}, {100, -1}, {0, 0}} {
		if err := p.Set(c[0], c[1]); !errors.Is(err, hal.ErrRange) || state() != "50000 50000 1" {
			t.Errorf("%v: %v, %s", c, err, state())
		}
	}
	i := int64(0)
	if n := testing.AllocsPerRun(100, func() { i++; _ = p.Set(1000+i%7, i%100) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if err := closing(); err != nil || !strings.HasSuffix(state(), " 0 0") {
		t.Error(err, state())
	}
	if err := p.Set(10, 1); !errors.Is(err, hal.ErrGone) {
		t.Error(err)
	}
	for path, want := range map[string]string{"pwmchip1/0": "did you mean pwmchip0?", "pwmchip0/x": "want a number", "pwmchip0": "want a name as pwmchip0/1"} {
		if _, _, err := h.Open(hal.Resource{Kind: hal.KindPWM, Path: path}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// pipe makes a pipe of a file, and calls what is to happen with each line that is written to it, until the pipe is closed.
func pipe(t *testing.T, path string, happens func(line string)) (done chan struct{}) {
	t.Helper()
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	done = make(chan struct{})
	go func() {
		defer close(done)
		f, err := os.Open(path)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		b := make([]byte, 16)
		n, _ := f.Read(b)
		happens(strings.TrimSpace(string(b[:n])))
	}()
	return done
}

// A channel that nobody has exported yet is exported, waited for, and given back.
func TestPWMIsExported(t *testing.T) {
	h, dir := tree(t, map[string]string{"class/pwm/pwmchip0/npwm": "2\n"})
	chip := filepath.Join(dir, "class/pwm/pwmchip0")
	exported := pipe(t, filepath.Join(chip, "export"), func(line string) {
		for _, file := range []string{"enable", "duty_cycle", "period"} {
			put(t, filepath.Join(chip, "pwm"+line, file), "0\n")
		}
	})
	given := ""
	unexported := pipe(t, filepath.Join(chip, "unexport"), func(line string) { given = line })
	handle, closing, err := h.Open(hal.Resource{Kind: hal.KindPWM, Path: "pwmchip0/1"})
	if err != nil {
		t.Fatal(err)
	}
	<-exported
	if err := handle.(hal.PWM).Set(2000, 1000); err != nil || get(t, filepath.Join(chip, "pwm1/duty_cycle")) != "1000" {
		t.Error(err)
	}
	if err := closing(); err != nil {
		t.Error(err)
	}
	if <-unexported; given != "1" {
		t.Errorf("%q was given back", given)
	}
}

// At no moment is the pulse longer than the period, which the kernel would refuse, whatever comes after what.
func TestPWMKeepsTheOrder(t *testing.T) {
	const dev = "class/pwm/pwmchip0/pwm0/"
	h, dir := tree(t, map[string]string{dev + "period": "700\n", dev + "duty_cycle": "300\n", dev + "enable": "1\n"})
	handle, _, err := h.Open(hal.Resource{Kind: hal.KindPWM, Path: "pwmchip0/0"})
	if err != nil {
		t.Fatal(err)
	}
	d := handle.(*pwm)
	// Taking one file away stops Set in the middle: what is then in the other shows which was written first.
	for _, c := range []struct {
		period, high  int64
		first, second **attribute
		file          string
	}{{500, 400, &d.duty, &d.period, "duty_cycle"}, {900, 800, &d.period, &d.duty, "period"}} {
		d.now, d.high = 700, 300
		kept := *c.second
		closed, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		closed.Close()
		*c.second = &attribute{f: closed}
		if err := d.Set(c.period, c.high); err == nil {
			t.Error("no error")
		}
		want := fmt.Sprint(c.high)
		if c.file == "period" {
			want = fmt.Sprint(c.period)
		}
		if got := get(t, filepath.Join(dir, dev, c.file)); got != want {
			t.Errorf("%s is %s, want %s", c.file, got, want)
		}
		*c.second, d.lost = kept, false
		// After an error nothing is known of the chip, and the next Set begins with no pulse.
		if err := d.Set(100, 50); err != nil || get(t, filepath.Join(dir, dev, "period")) != "100" || get(t, filepath.Join(dir, dev, "duty_cycle")) != "50" {
			t.Error(err)
		}
	}
}

// A person is told which group to join. Root may open everything, and is told nothing.
func TestPermissions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "i2c-1")
	put(t, path, "")
	if err := os.Chmod(path, 0o660); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, -1, 20); err != nil { // dialout, on Debian
		t.Skipf("this user may not give files to groups: %v", err)
	}
	err := explain(&os.PathError{Op: "open", Path: path, Err: unix.EACCES}, path, "")
	if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "usermod -aG ") || !strings.Contains(err.Error(), "log in again") {
		t.Error(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := explain(unix.EACCES, path, ""); !strings.Contains(err.Error(), "for root alone") {
		t.Error(err)
	}
	if err := explain(unix.EBUSY, path, ""); !strings.Contains(err.Error(), "somebody has it already") {
		t.Error(err)
	}
}
