package grpc

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// endpoint is where a ground listens.
type endpoint struct {
	address string // host:port
	host    string
	secure  bool
}

// String is the endpoint as a URL.
func (e endpoint) String() string {
	if e.secure {
		return "grpcs://" + e.address
	}
	return "grpc://" + e.address
}

// parseURL reads grpc://host:port, or grpcs:// with the same. Its errors do not repeat the URL: somebody may have put a
// password there.
func parseURL(raw string) (endpoint, error) {
	u, err := url.Parse(raw)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return endpoint{}, fmt.Errorf("grpc: ground's URL: %w", err)
	}
	switch {
	case u.Scheme != "grpc" && u.Scheme != "grpcs", u.Hostname() == "", u.Port() == "", strings.Trim(u.Path, "/") != "", u.RawQuery != "", u.Fragment != "":
		return endpoint{}, errors.New("grpc: ground's URL: want grpcs://host:port or grpc://host:port with nothing after it")
	case u.User != nil:
		return endpoint{}, errors.New("grpc: ground's URL: it has no user and no password; a machine is known by its certificate")
	}
	return endpoint{address: u.Host, host: u.Hostname(), secure: u.Scheme == "grpcs"}, nil
}

// CheckURL reports what is wrong with the URL of a ground.
func CheckURL(raw string) error {
	_, err := parseURL(raw)
	return err
}
