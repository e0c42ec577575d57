// Package name writes a hal.Resource as a word that a person and a recording can read, and finds the nearest of the names
// that exist when one does not.
//
//	i2c:i2c-1:0x68   uart:ttyACM0   input:gpiochip0/17
//
// A resource comes in and a word goes out, and back. The rooms below hal import it for their errors; nobody else can.
package name
