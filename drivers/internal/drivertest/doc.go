// Package drivertest is what each driver of this room must stand: a wrong chip, a bus that is silent, stuck or disturbed at
// any moment, a device that is unplugged, and a loop that takes no memory.
//
// A model of the chip and a way to open the driver flow in; a test that fails says at which transaction. Only tests of the
// rooms below drivers import it.
package drivertest
