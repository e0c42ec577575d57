// Package power reads monitors of current and voltage.
//
//	component ──OpenINA219, Read──▶ power ──▶ hal.I2C
//
// Components import it. What a battery still holds is not its matter.
//
// The INA219's registers are those of Texas Instruments' document SBOS448, section 8.6.
package power
