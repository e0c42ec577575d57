package host

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Inspect looks at the machine whose root folder is given, "/" but for tests; what belongs to this process is asked of the
// kernel. It changes nothing.
func Inspect(root string) []Finding {
	m := machine{root: root}
	return []Finding{m.kernel(), m.clockSource(), m.governor(), m.throttling(), m.quota(), m.isolation(), threads(), memory(), m.idle(), m.stolen()}
}

type machine struct{ root string }

// read returns a file of the kernel's, and whether it is there.
func (m machine) read(path string) (string, bool) {
	b, err := os.ReadFile(filepath.Join(m.root, path))
	return strings.TrimSpace(string(b)), err == nil
}

func (m machine) kernel() Finding {
	f := Finding{What: "kernel preemption", Grade: Bad, Cure: "apt install linux-image-rt-amd64 && reboot"}
	version, _ := m.read("proc/version")
	realtime, _ := m.read("sys/kernel/realtime")
	switch {
	case realtime == "1" || strings.Contains(version, "PREEMPT_RT"):
		return Finding{What: f.What, Detail: "PREEMPT_RT: almost everything in the kernel can be preempted"}
	case strings.Contains(version, "PREEMPT_DYNAMIC"):
		f.Grade, f.Detail = Better, "PREEMPT_DYNAMIC: the kernel can be preempted, except while it holds a lock or serves an interrupt; a late step is rare, and not bounded"
	case strings.Contains(version, "PREEMPT"):
		f.Grade, f.Detail = Better, "PREEMPT: the kernel can be preempted, except while it holds a lock or serves an interrupt; a late step is rare, and not bounded"
	default:
		f.Detail = "a system call of another process can hold a loop up for milliseconds"
	}
	return f
}

func (m machine) clockSource() Finding {
	const dir = "sys/devices/system/clocksource/clocksource0/"
	f := Finding{What: "clock source"}
	now, ok := m.read(dir + "current_clocksource")
	switch {
	case !ok:
		f.Detail = "the kernel does not say which"
	case now == "hpet" || now == "acpi_pm" || now == "jiffies":
		f.Grade, f.Detail = Bad, now+": each look at the clock costs a microsecond or more"
		if available, _ := m.read(dir + "available_clocksource"); strings.Contains(" "+available+" ", " tsc ") {
			f.Cure = "echo tsc > /" + dir + "current_clocksource"
		}
	default:
		f.Detail = now + ": read without a system call"
	}
	return f
}

func (m machine) governor() Finding {
	f := Finding{What: "frequency governor"}
	files, _ := filepath.Glob(filepath.Join(m.root, "sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor"))
	if len(files) == 0 {
		f.Detail = "the kernel does not change the processor's frequency"
		return f
	}
	others := make(map[string]int)
	for _, file := range files {
		if b, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(b)) != "performance" {
			others[strings.TrimSpace(string(b))]++
		}
	}
	if len(others) == 0 {
		f.Detail = "performance"
		return f
	}
	f.Grade, f.Cure = Bad, "cpupower frequency-set -g performance"
	for name, n := range others {
		f.Detail = fmt.Sprintf("%s on %d of %d cores: a core that was idle begins slowly", name, n, len(files))
	}
	return f
}

func (m machine) throttling() Finding {
	f := Finding{What: "throttling of real time"}
	runtime, ok := m.read("proc/sys/kernel/sched_rt_runtime_us")
	period, _ := m.read("proc/sys/kernel/sched_rt_period_us")
	switch {
	case !ok:
		f.Detail = "the kernel does not say"
	case runtime == "-1":
		f.Grade, f.Detail = Better, "none: a loop that never sleeps takes its core for good"
		f.Cure = "sysctl kernel.sched_rt_runtime_us=950000"
	case runtime == "0":
		f.Grade, f.Detail, f.Cure = Bad, "real-time threads may not run at all", "sysctl kernel.sched_rt_runtime_us=950000"
	default:
		f.Detail = fmt.Sprintf("%s of every %s µs are for real time: the rest is left to others, whatever a loop does", runtime, period)
	}
	return f
}

func (m machine) quota() Finding {
	f := Finding{What: "processor quota", Detail: "none"}
	if quota, ok := m.read("sys/fs/cgroup/cpu.max"); ok && !strings.HasPrefix(quota, "max") {
		f.Grade, f.Detail = Bad, "the control group may use "+strings.Replace(quota, " ", " of every ", 1)+" µs, and stands still when these are used up"
		f.Cure = "systemctl set-property --runtime fulmar.service CPUQuota="
	}
	return f
}

func (m machine) isolation() Finding {
	f := Finding{What: "isolated cores", Grade: Better, Detail: "none: other threads run wherever loops do",
		Cure: "add isolcpus=managed_irq,domain,1 nohz_full=1 rcu_nocbs=1 to the kernel's command line, and pin the loops to core 1"}
	if cores, ok := m.read("sys/devices/system/cpu/isolated"); ok && cores != "" {
		f = Finding{What: f.What, Detail: cores + ": pin the loops to these"}
	}
	return f
}

// threads tells whether this process may have real-time threads.
func threads() Finding {
	f := Finding{What: "right to real-time threads"}
	var l unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_RTPRIO, &l)
	switch {
	case capable(unix.CAP_SYS_NICE):
		f.Detail = "CAP_SYS_NICE"
	case err == nil && l.Cur > 0:
		f.Detail = fmt.Sprintf("up to priority %d", l.Cur)
		if l.Cur < 80 {
			f.Grade, f.Cure = Better, "echo '* - rtprio 95' > /etc/security/limits.d/fulmar.conf"
		}
	default:
		f.Grade, f.Detail, f.Cure = Bad, "none: tasks run in ordinary time", grantRights
	}
	return f
}

// memory tells whether this process may lock its memory.
func memory() Finding {
	f := Finding{What: "right to locked memory", Detail: "unlimited"}
	if limit, bounded := lockLimit(); bounded {
		f.Grade, f.Detail, f.Cure = Better, fmt.Sprintf("%d bytes: none is locked, for the Go runtime could not get more later", limit), grantRights
	}
	return f
}

func (m machine) idle() Finding {
	f := Finding{What: "processor idle states"}
	file, err := os.OpenFile(filepath.Join(m.root, latencyDevice), os.O_WRONLY, 0)
	if err != nil {
		f.Grade, f.Detail, f.Cure = Bad, fmt.Sprintf("an idle processor may sleep deeply and wake up late: %v", err), "chmod o+w "+latencyDevice
		return f
	}
	_ = file.Close()
	f.Detail = "can be held awake while a machine runs"
	return f
}

// stolen tells of a virtual machine whose host takes its processors away.
func (m machine) stolen() Finding {
	f := Finding{What: "stolen time", Detail: "none since the machine began"}
	stat, _ := m.read("proc/stat")
	steal, total := Stolen(stat)
	if steal == 0 {
		return f
	}
	share := 100 * steal.Seconds() / total.Seconds()
	f.Grade, f.Detail = Better, fmt.Sprintf("%s of %s of processor time, %.2g %%, were taken by the host of this virtual machine: loops stood still then", steal, total, share)
	if share > 1 {
		f.Grade = Bad
	}
	return f
}
