// Package pwm drives chips that put out pulses, for servos, motor controllers and lights.
//
//	component ──▶ hal.PWM: Channel(n) ──▶ pwm ──▶ hal.I2C
//
// A channel is a hal.PWM like a pin of the host: what is written against that runs over either. Components import it.
//
// The PCA9685's registers are those of NXP's document PCA9685, revision 4, section 7.3.
package pwm
