// Package baro reads barometers: the pressure of the air, and the temperature of the chip.
//
//	component ──OpenBMP388, Read──▶ baro ──▶ hal.I2C
//
// Components import it. Height above sea level is not its matter: that takes the day's weather.
//
// The BMP388's registers are those of Bosch Sensortec's document BST-BMP388-DS001, and its compensation is that document's
// formulas in floating point, with the trimming coefficients that each chip has in its memory.
package baro
