// Package node is the machine: it takes components, checks that their declarations fit together, starts them in the order
// of their dependencies, runs their tasks, tells how they are, and stops them backwards. Beside them it runs the
// courier, which brings what they publish to the ground.
//
//	n, err := node.New(node.Options{Device: "rover-7", Components: []fulmar.Component{imu, drive}, Disk: disk, Links: links})
//	if err != nil {
//		return err // names the component and what is wrong with it
//	}
//	return n.Run(ctx)
//
// Run does all of it in one process. RunControl and RunCourier are its two halves, each in a process of its own, which meet in the
// ring alone; CourierProcess is the one seen from the other. While either runs, Reload and Set change parameters.
//
// A Node has no goroutines of its own until Run; Open, Start, Tasks, Attend and Stop are what Run is made of, and what a world in
// virtual time calls instead. It is imported by the binary and by sim.
package node
