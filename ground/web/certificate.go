package web

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Certificate is what a page shows for TLS, from files that may be replaced while it is served, as the tools do that renew them. It may be
// used from several goroutines.
type Certificate struct {
	cert, key string
	log       *slog.Logger
	now       func() time.Time

	mu      sync.Mutex // guards what follows
	pair    *tls.Certificate
	state   [2]fileState // of the files, when they were read
	checked time.Time
}

type fileState struct {
	changed time.Time
	size    int64
}

// certificatePeriod is how often the files are looked at, at most.
const certificatePeriod = 10 * time.Second

// OpenCertificate reads the files, PEM: the certificate with what leads to its authority, and its key.
func OpenCertificate(cert, key string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{cert: cert, key: key, log: log, now: time.Now}
	if err := c.load(); err != nil {
		return nil, err
	}
	return c, nil
}

// TLS returns the configuration of a server.
func (c *Certificate) TLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current(), nil }}
}

// load reads the files. Locked, but for the first time.
func (c *Certificate) load() error {
	state, err := c.look()
	if err != nil {
		return fmt.Errorf("web: certificate of the page: %w", err)
	}
	c.state, c.checked = state, c.now()
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return fmt.Errorf("web: certificate of the page, %s and %s: %w", c.cert, c.key, err)
	}
	c.pair = &pair
	return nil
}

// look returns how the files are.
func (c *Certificate) look() (state [2]fileState, err error) {
	for i, path := range []string{c.cert, c.key} {
		st, err := os.Stat(path)
		if err != nil {
			return state, err
		}
		state[i] = fileState{changed: st.ModTime(), size: st.Size()}
	}
	return state, nil
}

// current returns the certificate, read again if its files have changed. What cannot be read leaves the one that was.
func (c *Certificate) current() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now().Sub(c.checked) < certificatePeriod {
		return c.pair
	}
	c.checked = c.now()
	state, err := c.look()
	if err == nil && state == c.state {
		return c.pair
	}
	if err == nil {
		err = c.load()
	}
	if err != nil {
		c.log.Error("the page's certificate is the one of before: another cannot be read", "error", err)
		return c.pair
	}
	c.log.Info("the page has another certificate", "file", c.cert)
	return c.pair
}
