// Package imu reads inertial sensors: acceleration and rate of turn.
//
//	component ──OpenMPU6050, Read──▶ imu ──▶ hal.I2C
//
// Readings are in the chip's own axes; how it is mounted is the machine's matter. Components import it.
//
// The MPU-6050's registers are those of tinygo.org/x/drivers/mpu6050; burst reads and the temperature are those of InvenSense's
// RM-MPU-6000A, revision 4.2, section 4.18. Ranges are divided by 2¹⁵, which is what the chip's data sheet rounds to three digits.
package imu
