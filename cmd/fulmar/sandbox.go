package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/fulmar-io/fulmar/node"
	"github.com/fulmar-io/fulmar/secure/sandbox"
)

// resolving is where hosts' names are looked up. Its files are replaced when the network changes, so these are folders.
var resolving = []string{"/etc", "/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager", "/run/connman"}

// restrict has this process give up what neither it nor the processes that it starts need, and returns what that was.
func (m *machineFile) restrict(courier bool) (string, error) {
	if m.settings.Sandbox.Off {
		slog.Warn("this process keeps all rights of its user: sandbox.off is set")
		return "nothing: it is off", nil
	}
	needs := m.controlNeeds()
	if courier {
		needs = m.courierNeeds()
	}
	o, err := sandbox.Enter(needs)
	if err != nil {
		return "", err
	}
	if o.Lacks != "" {
		slog.Warn("this process keeps rights that it does not need", "lacking", o.Lacks, "restricted", o.String())
	} else {
		slog.Info("this process has given up what it does not need", "restricted", o.String(), "more for components", "sandbox.read and sandbox.write in the machine's file")
	}
	return o.String(), nil
}

// courierNeeds are the needs of the half that talks.
func (m *machineFile) courierNeeds() sandbox.Needs {
	s := &m.settings
	n := sandbox.Needs{
		Read:    slices.Concat([]string{"/proc/self", "/usr/share/zoneinfo"}, resolving),
		Write:   []string{s.Data, s.IdentityDir(), node.SharedFolder()}, // what is trusted comes over the links
		Devices: []string{os.DevNull},
		Ports:   []uint16{53}, // of names, where an answer is long
		Alone:   true,
	}
	for _, l := range s.Links {
		u := l.Uses()
		n.Read = append(n.Read, u.Read...)
		if u.Folder != "" { // a stick that is plugged in is mounted there, which only its parent's rights reach
			n.Write = append(n.Write, u.Folder)
			if parent := filepath.Dir(u.Folder); parent != filepath.Dir(parent) {
				n.Write = append(n.Write, parent)
			}
		}
		if u.Device != "" { // a port that is plugged in again is another file
			n.Devices = append(n.Devices, "/dev", filepath.Dir(u.Device))
		}
		switch {
		case u.AnyPort:
			n.Ports = nil
		case u.Port != 0 && n.Ports != nil:
			n.Ports = append(n.Ports, u.Port)
		}
	}
	return n
}

// controlNeeds are the needs of the half with the components, and of the other half, which it starts.
func (m *machineFile) controlNeeds() sandbox.Needs {
	n := m.courierNeeds()
	n.Ports, n.Alone = nil, false
	n.Read = append(n.Read, filepath.Dir(m.path), "/proc", "/sys")
	n.Read = append(n.Read, m.settings.Sandbox.Read...)
	n.Write = append(n.Write, m.settings.Sandbox.Write...)
	n.Devices = append(n.Devices, "/dev/cpu_dma_latency")
	n.Execute = append(sandbox.Libraries(ownProgram()), ownProgram())
	if m.usesHardware() { // whose devices come and go
		n.Devices = append(n.Devices, "/dev")
		n.Write = append(n.Write, "/sys/class", "/sys/bus", "/sys/devices")
		n.Families = hardwareSockets
	}
	return n
}

// usesHardware reports whether a component touches any.
func (m *machineFile) usesHardware() bool {
	return slices.ContainsFunc(m.parts, func(c node.Configured) bool { return len(c.Component.Spec().Hardware) > 0 })
}
