// Package rangefinder reads sensors of distance.
//
//	component ──OpenVL53L1X, Read──▶ rangefinder ──▶ hal.I2C
//
// Components import it.
//
// STMicroelectronics does not document the VL53L1X's registers. Setup is that of tinygo.org/x/drivers/vl53l1x; reading follows
// the same steps as that driver and the one of Pololu that it was made from (VL53L1X for Arduino), which say that they follow
// ST's own software, STSW-IMG007.
package rangefinder
