//go:build !race

package fulmar

const raceEnabled = false
