//go:build race

package node

// raceDetector: its own locks spin. A real-time thread that spins keeps whoever holds the lock from the processor, and so the machine
// from everything else, as long as it lasts.
const raceDetector = true
