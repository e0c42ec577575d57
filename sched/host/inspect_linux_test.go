package host_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fulmar-io/fulmar/sched/host"
)

// hostOf is a machine in a folder, as the kernel would show it.
func hostOf(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestFindings(t *testing.T) {
	const clock = "sys/devices/system/clocksource/clocksource0/"
	for name, c := range map[string]struct {
		files        map[string]string
		what         string
		grade        host.Grade
		detail, cure string
	}{
		"a real-time kernel": {map[string]string{"sys/kernel/realtime": "1\n"}, "kernel preemption", host.Good, "PREEMPT_RT", ""},
		"a desktop's kernel": {map[string]string{"proc/version": "Linux 6.1 SMP PREEMPT_DYNAMIC x"}, "kernel preemption", host.Better, "not bounded", "linux-image-rt"},
		"a server's kernel":  {map[string]string{"proc/version": "Linux 6.1 SMP x"}, "kernel preemption", host.Bad, "milliseconds", "linux-image-rt"},
		"a slow clock": {map[string]string{clock + "current_clocksource": "hpet\n", clock + "available_clocksource": "hpet tsc acpi_pm\n"},
			"clock source", host.Bad, "hpet", "echo tsc > /" + clock + "current_clocksource"},
		"only a slow clock": {map[string]string{clock + "current_clocksource": "acpi_pm\n", clock + "available_clocksource": "acpi_pm\n"},
			"clock source", host.Bad, "acpi_pm", ""},
		"a fast clock": {map[string]string{clock + "current_clocksource": "tsc\n"}, "clock source", host.Good, "tsc", ""},
		"a governor": {map[string]string{"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n", "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor": "performance\n"},
			"frequency governor", host.Bad, "powersave on 1 of 2 cores", "cpupower"},
		"all at their best":      {map[string]string{"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance\n"}, "frequency governor", host.Good, "performance", ""},
		"no frequencies":         {nil, "frequency governor", host.Good, "does not change", ""},
		"no throttling":          {map[string]string{"proc/sys/kernel/sched_rt_runtime_us": "-1\n"}, "throttling of real time", host.Better, "for good", "sysctl"},
		"nothing but throttling": {map[string]string{"proc/sys/kernel/sched_rt_runtime_us": "0\n"}, "throttling of real time", host.Bad, "not run at all", "sysctl"},
		"a quota":                {map[string]string{"sys/fs/cgroup/cpu.max": "50000 100000\n"}, "processor quota", host.Bad, "50000 of every 100000 µs", "systemctl"},
		"no quota":               {map[string]string{"sys/fs/cgroup/cpu.max": "max 100000\n"}, "processor quota", host.Good, "none", ""},
		"an isolated core":       {map[string]string{"sys/devices/system/cpu/isolated": "2-3\n"}, "isolated cores", host.Good, "2-3", ""},
		"no isolated core":       {map[string]string{"sys/devices/system/cpu/isolated": "\n"}, "isolated cores", host.Better, "none", "isolcpus"},
		"a machine of its own":   {map[string]string{"proc/stat": "cpu  100 0 100 800 0 0 0 0 0 0\n"}, "stolen time", host.Good, "none", ""},
		"a busy host":            {map[string]string{"proc/stat": "cpu  100 0 100 700 0 0 0 100 0 0\n"}, "stolen time", host.Bad, "1s of 10s", ""},
		"no device":              {nil, "processor idle states", host.Bad, "deeply", "chmod"},
	} {
		found := false
		for _, f := range host.Inspect(hostOf(t, c.files)) {
			if f.What != c.what {
				continue
			}
			found = true
			if f.Grade != c.grade || !strings.Contains(f.Detail, c.detail) || (f.Cure == "") != (c.cure == "") || !strings.Contains(f.Cure, c.cure) {
				t.Errorf("%s: %+v", name, f)
			}
		}
		if !found {
			t.Errorf("%s: nothing is found about %s", name, c.what)
		}
	}
}

func TestStolen(t *testing.T) {
	if steal, total := host.Stolen("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 1 1 1 1 1 1 1 1 1\n"); steal != 80*time.Millisecond || total != 360*time.Millisecond {
		t.Errorf("%s of %s", steal, total)
	}
	for _, s := range []string{"", "cpu", "cpu 1 2 3 4 5 6 7", "cpu 1 2 3 4 5 6 7 x", "intr 1 2 3 4 5 6 7 8"} {
		if steal, total := host.Stolen(s); steal != 0 || total != 0 {
			t.Errorf("%q: %s of %s", s, steal, total)
		}
	}
}

// What was taken is given back, and twice is no more than once.
func TestPrepareIsUndone(t *testing.T) {
	taken := host.Prepare()
	if len(taken.Findings) != 2 {
		t.Errorf("%+v", taken.Findings)
	}
	for _, f := range taken.Findings {
		if f.Grade != host.Good && f.Cure == "" {
			t.Errorf("no cure for %+v", f)
		}
	}
	policies := func() (fifo int) {
		tids, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range tids {
			if tid, err := strconv.Atoi(e.Name()); err == nil {
				if attr, err := unix.SchedGetAttr(tid, 0); err == nil && attr.Policy == unix.SCHED_FIFO {
					fifo++
				}
			}
		}
		return fifo
	}
	switch err := taken.Raise(); {
	case errors.Is(err, unix.EPERM):
	case err != nil:
		t.Error(err)
	case policies() == 0:
		t.Error("no thread was raised")
	}
	defer func() {
		if n := policies(); n != 0 {
			t.Errorf("%d threads are raised still", n)
		}
	}()
	for range 2 {
		if err := taken.Close(); err != nil {
			t.Error(err)
		}
	}
}
