// Package imu reads inertial sensors: acceleration and rate of turn.
//
//	component ──OpenMPU6050, Read──▶ imu ──▶ hal.I2C
//
// Readings are in the chip's own axes; how it is mounted is the machine's matter. Components import it.
//
// The MPU-6050's registers and scales are those of InvenSense's documents RM-MPU-6000A (register map, revision 4.2) and
// PS-MPU-6000A (product specification).
package imu
