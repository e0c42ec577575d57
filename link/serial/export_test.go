package serial

// OpenPort is openPort, for tests.
var OpenPort = openPort
