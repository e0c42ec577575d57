// Package rover is a machine to start from: a two-wheeled rover that drives a figure of eight, as nine components.
//
//	world ──signals──▶ imu, encoders, gnss, battery, motors      the simulated hardware, read through drivers
//	imu, encoders, gnss ──▶ navigator ──pose──▶ drive            where am I
//	drive: heading (50 Hz) ──▶ speed (200 Hz) ──▶ motors         a course, then two wheel speeds, then two duties
//	motors ──duty──▶ world                                       and round again
//	drive, battery, motors ──▶ mission                           what a person wants to be told
//
// All but world would run on a real rover: they know the plant by its ports alone. Whoever builds one replaces world by
// drivers that write the same values, and keeps the rest. Copy a file, change what it reads.
//
// What the files show, one thing each:
//
//   - imu.go: the smallest driver, at 200 Hz, in class Bulk; and why it hands on a sum beside its samples.
//   - encoders.go: a speed from ticks, by the sensor's time and not by one's own.
//   - gnss.go: a device that answers at its own rate, and degraded health while it has no fix.
//   - battery.go, motors.go: state kept over steps; an actuator that stops when nobody commands it any more.
//   - navigator.go: an estimator over three sensors of three rates.
//   - drive.go: two loops of two rates in one component, which meet in a port and nowhere else.
//   - mission.go: events with severities, told once and with hysteresis.
//
// Between two tasks there is no shared field. A field of a component belongs to the one task that its comment names.
//
// Units are SI and in the ports' tags as UCUM. The local frame is east, north, up; headings are counter-clockwise from
// east in radians.
package rover
