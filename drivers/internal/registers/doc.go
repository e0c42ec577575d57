// Package registers reads and writes the registers of a chip on an I2C bus, for the drivers of this room: it names the
// operation in each error, counts how the device is, and takes no memory, also where a bus stays silent.
//
// Register numbers and bytes flow in, bytes and errors out. Only the rooms below drivers can import it.
package registers
