//go:build !race

package linktest

const raceDetector = false
