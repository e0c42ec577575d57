//go:build race

package serial_test

const raceDetector = true
