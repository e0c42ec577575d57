//go:build race

package linktest

// raceDetector: it makes copying slow, and what memory is taken is measured without it.
const raceDetector = true
