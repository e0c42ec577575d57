// Package baro reads barometers: the pressure of the air, and the temperature of the chip.
//
//	component ──OpenBMP388, Read──▶ baro ──▶ hal.I2C
//
// Components import it. Height above sea level is not its matter: that takes the day's weather.
//
// The BMP388's registers are those of tinygo.org/x/drivers/bmp388. Its compensation is Bosch Sensortec's in floating point, with
// the trimming coefficients that each chip has in its memory; a test holds it against that driver's, which is their integer one.
package baro
