package sandbox

import (
	"encoding/binary"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// A system call in the manner of another architecture has other numbers, and is refused whatever its number.
func TestOtherArchitecturesAreRefused(t *testing.T) {
	vm, err := bpf.NewVM(onlyArchitecture(unix.AUDIT_ARCH_X86_64))
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[uint32]uint32{
		unix.AUDIT_ARCH_X86_64:  unix.SECCOMP_RET_ALLOW,
		unix.AUDIT_ARCH_I386:    unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM),
		unix.AUDIT_ARCH_AARCH64: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM),
	} {
		data := make([]byte, 64) // struct seccomp_data: nr, arch, and more; the VM reads numbers as packets have them
		binary.BigEndian.PutUint32(data[4:], id)
		if got, err := vm.Run(data); err != nil || uint32(got) != want {
			t.Errorf("%x: %x, %v", id, got, err)
		}
	}
}
