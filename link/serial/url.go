package serial

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"
)

// ParseURL reads serial:///dev/ttyUSB0?baud=57600, or serial:///COM3 on Windows. Without baud it is DefaultBaud.
func ParseURL(raw string) (port string, baud int, err error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", 0, fmt.Errorf("serial: %w", err)
	}
	port = u.Path
	if dir, name := path.Split(port); dir == "/" && strings.HasPrefix(strings.ToUpper(name), "COM") {
		port = name
	}
	switch {
	case u.Scheme != "serial":
		return "", 0, fmt.Errorf("serial: scheme %q: want serial", u.Scheme)
	case u.Host != "" || u.User != nil || u.Opaque != "" || u.Fragment != "" || port == "" || strings.HasSuffix(port, "/"):
		return "", 0, errors.New("serial: the URL names no port; write serial:///dev/ttyUSB0?baud=57600, with three slashes")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "", 0, fmt.Errorf("serial: %w", err)
	}
	baud = DefaultBaud
	for key, values := range query {
		if key != "baud" || len(values) != 1 {
			return "", 0, fmt.Errorf("serial: %q: all that a serial port's URL may say is baud, once", key)
		}
		if baud, err = strconv.Atoi(values[0]); err != nil || baud < MinBaud || baud > MaxBaud {
			return "", 0, fmt.Errorf("serial: baud %q: want %d to %d", values[0], MinBaud, MaxBaud)
		}
	}
	return port, baud, nil
}

// name is the URL of a line.
func name(port string, baud int) string {
	if baud == 0 {
		baud = DefaultBaud
	}
	return fmt.Sprintf("serial:///%s?baud=%d", strings.TrimPrefix(port, "/"), baud)
}
