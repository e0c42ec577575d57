// Package drivers has what drivers of devices have in common: how a device is, and the errors that are not the bus's.
//
//	component ──Open, Read──▶ imu, baro, power, rangefinder, pwm ──▶ hal
//	                                  └──▶ tinygo ──▶ any driver of tinygo.org/x/drivers
//
// A driver is opened on a handle that the component was given: it checks that the chip is the one it is for, sets it up, and
// looks whether that arrived. Read makes a bounded number of transactions, waits for nothing, takes no memory, and returns
// readings in SI units, whether they are new, and the first error. What had an error behind it is not passed on.
//
// A device belongs to the goroutine that reads it. Components import the rooms below; these import hal, and the adapter.
//
// Each room has the component too, for machines from files: its Register makes it known. Watch is what these have in common, and
// serves a component of one's own as well: it says in the health how a device is, and when it is to be set up anew.
package drivers
