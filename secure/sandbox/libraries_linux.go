package sandbox

import "debug/elf"

// Libraries returns the folders that a program needs to be started in which it is linked with libraries of the host, to read and execute;
// none for one that has everything in it.
func Libraries(program string) []string {
	f, err := elf.Open(program)
	if err != nil {
		return nil // what cannot be read is not started either
	}
	defer func() { _ = f.Close() }() // it was read
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return []string{"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache"}
		}
	}
	return nil
}
