package carrier

import (
	"net/url"
	"path/filepath"
	"strconv"

	"github.com/fulmar-io/fulmar/link/serial"
)

// Uses is what the machine's end of a link uses of its host.
type Uses struct {
	Port    uint16   // of TCP that is connected to; 0 if there is none, or it is not known before
	AnyPort bool     // others too: a cluster tells of its servers
	Folder  string   // in which files are made and removed
	Device  string   // the line's
	Read    []string // files
}

// Uses returns what the machine's end uses. Settings that are not valid use nothing.
func (s Settings) Uses() Uses {
	u, err := s.parse()
	if err != nil {
		return Uses{}
	}
	var uses Uses
	for _, path := range []string{s.CA, s.Cert, s.Key} {
		if path != "" {
			uses.Read = append(uses.Read, path)
		}
	}
	switch u.Scheme {
	case "mqtt":
		uses.Port = port(u, 1883)
	case "mqtts":
		uses.Port = port(u, 8883)
	case "grpc", "grpcs":
		uses.Port = port(u, 0)
	case "serial":
		uses.Device, _, _ = serial.ParseURL(string(s.URL)) // parse has seen that it is one
	case "file":
		uses.Folder = filepath.Clean(folder(u))
	default:
		uses.AnyPort = true
	}
	return uses
}

func port(u *url.URL, otherwise uint16) uint16 {
	if n, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		return uint16(n)
	}
	return otherwise
}
