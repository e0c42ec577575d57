// Package linux is the hardware of a Linux host: pins, buses and lines by the names that the kernel gives them.
//
//	component ──▶ handle ──▶ Host ──▶ /dev/gpiochip*, /dev/i2c-*, /dev/spidev*, /dev/tty*, CAN sockets
//	                              ──▶ /sys/class/pwm, /sys/bus/iio, /sys/bus/counter
//
// A resource comes in and a handle goes out; the names are those of hal.Resource. An error of Open says what a person can do:
// which group to join, which names exist, which was probably meant.
//
// The kernel's own queues are used, without blocking: there is no goroutine here, and no call allocates once it is open
// unless it fails. A transfer on a bus takes as long as it takes there; where a device holds the bus, until the kernel's
// driver gives up. Handles belong to one goroutine; closing may come from another, and waits for a call that is under way.
//
// On other systems there is nothing of that, and Open says so. Machines import it; drivers and components do not.
//
// Sources: the kernel's documentation of the GPIO character device (uAPI v2), i2c/dev-interface and i2c/fault-codes, spidev,
// CAN sockets, and its ABI of pwm, iio and counter in sysfs; and the headers linux/gpio.h, linux/i2c-dev.h, linux/spi/spidev.h
// and linux/can.h.
package linux
