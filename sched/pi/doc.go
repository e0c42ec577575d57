// Package pi has a mutex for what real-time threads must share outside of ports: who waits for it lends its priority to the
// thread that has it.
//
// With an ordinary lock a thread of low priority takes it, one of middle priority takes the core, and one of high
// priority that wants the lock waits for both: for as long as the middle one likes, though it never touches the lock. With
// a Mutex the low one runs at the high one's priority until it unlocks, and the wait is bounded by the section.
//
// # When to use it
//
// Never between tasks that could use a port: a task latches its inputs and publishes its outputs, and waits for nobody.
// A Mutex is for the rest: a bus that two drivers are on, a library that keeps a state of its own. The section is
//
//   - short: who waits waits for all of it, and 10 ms after its last break the Go runtime takes a thread off its processor,
//     and puts it back by way of another thread, which inherits nothing.
//   - free of what waits: no channel, no ordinary lock, no file that may block. The kernel lends a priority to the thread, and
//     a goroutine that is parked has no thread that could use it.
//   - nearly free of allocations: the runtime's own locks do not inherit, and a section that is stopped for the garbage
//     collector is stopped for all who wait. A stop itself waits for each thread that is in Go code, whatever its priority.
//
// A step that hangs in a section takes along all who want the lock. sched.Executor.Abandon cannot help them.
//
// # How it works
//
// On Linux it is the kernel's PI futex (futex(2), FUTEX_LOCK_PI): a word in memory that is 0 or the name of the thread which
// has the lock. Free, it costs no system call but the one that asks for the thread's name; else the kernel queues the thread
// by its priority, lends that along the whole chain of owners, and hands the lock over to the most urgent one. The
// goroutine is locked to its thread from Lock to Unlock. Who waits has given up its scheduler's processor: the world can be stopped
// meanwhile, and there must be a free processor when it is woken, which sched.Executor sees to.
//
// Where the kernel has no such futex, and on other systems, a Mutex is a sync.Mutex and inherits nothing: Inherits says so. There
// is no Lock with a time limit for that reason.
//
// Nothing flows in or out. Whoever is above may import it.
package pi
