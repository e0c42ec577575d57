// Package world runs whole systems in virtual time, in one goroutine: machines with their components and couriers, the
// network between, and the ground; with the code that ships, on disks that forget what was not synced, fail and run full,
// with wall clocks that jump, and over a network that loses, duplicates, reorders and cuts. A seed fixes everything that
// happens. Only a machine's shared memory is the system's: files in a folder, in which nobody else looks.
//
// A World keeps a list of its own of what was published, and Judge holds the ground and the ledgers against it.
//
//	w, err := world.New(world.Config{Seed: 7, Components: components, Loss: 0.1, Kills: time.Minute})
//	…
//	defer w.Close()
//	w.Run(2 * time.Minute)
//	w.Settle(time.Hour)
//	err = w.Judge()
package world
