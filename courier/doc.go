// Package courier is the machine's delivery: what producers left in the ring becomes frames in the spool, and what is
// in the spool reaches the ground.
//
//	ring → sorter → batcher → spool → delivery → link
//	                            ↑         │
//	                            └─ done ←─┘ acknowledgement
//
// A record that somebody waits for (PublishDurable) does not wait for its frame: of classes normal and bulk it is made durable in a log of its
// own, ahead, and is in the frame that it would have been in anyway; what is urgent makes a frame at once.
//
// Courier is a state machine over a disk: its methods are the events, it calls the disk (through env.Disk) but neither
// starts goroutines nor reads a clock, and what concerns links is told as Effects. So it runs in virtual time, with crashes, as
// it does on a machine. Run is the rim around it that a machine uses: goroutines, clocks and real links.
//
// The sub-packages are its parts: batch, spool and delivery. It is imported by node, and by nothing of the control half.
package courier
