// Package bench compares the telemetry frame with what one would use instead, on real recordings. It is a module of its
// own, so that whoever uses the framework does not inherit what it is compared with. Nothing imports it.
package bench
