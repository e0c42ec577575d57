// Package sandbox has a process give up the rights that it does not need: files with Linux's Landlock, system calls with seccomp. Whoever
// takes the process over later has what is left, and nothing gives it back, also to the processes that it starts.
//
// In flows what the process goes on to need, as Needs; out comes what was obtained, as Obtained: an older kernel restricts less, another
// system nothing, and who runs the process is to see which. A program calls Enter once, before it has real-time threads: each of its
// threads is stopped for a moment.
//
// It is for programs; packages of the project do not import it.
//
// Sources: Documentation/userspace-api/landlock.rst and seccomp_filter.rst of the kernel; landlock(7), seccomp(2).
package sandbox
