package sandbox

import "strings"

// Needs is what a process goes on to need. Paths are of files or of folders with all that is below them; those that do not exist are
// left out. A file that is replaced, as editors and package managers do, is another one to the kernel: for those name its folder.
type Needs struct {
	Read    []string
	Write   []string // and read, create, rename, remove
	Devices []string // and read, write and control: of files of devices, or of their folders
	Execute []string // and read. Without any no program can be started
	// Ports are those of TCP that may be connected to; none can be listened on. Nil leaves both as they are.
	Ports []uint16
	// Families of sockets, as unix.AF_INET, beside those that every process may have: internet, unix and netlink.
	Families []int
	// Alone is that no signal is sent to a process outside, and no abstract unix socket of one is used.
	Alone bool
}

// Obtained is what a process cannot do any more.
type Obtained struct {
	Files bool // use others than those of its Needs
	Ports bool // connect to others, or listen
	Alone bool // reach processes outside
	Calls bool // make system calls that no part of a machine has use for
	// Lacks says what of it the system does not have, with the reason; empty if it has everything.
	Lacks string
}

// String names what was obtained, as "files, system calls", or is "nothing".
func (o Obtained) String() string {
	var names []string
	for _, e := range []struct {
		has  bool
		name string
	}{{o.Files, "files"}, {o.Ports, "ports"}, {o.Alone, "processes"}, {o.Calls, "system calls"}} {
		if e.has {
			names = append(names, e.name)
		}
	}
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}
