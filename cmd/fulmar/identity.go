package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/fulmar-io/fulmar/ground/station"
	"github.com/fulmar-io/fulmar/node"
	"github.com/fulmar-io/fulmar/secure/identity"
)

// warnInsecure says loudly what nobody should overlook.
func warnInsecure(what string) {
	slog.Warn("INSECURE: "+what+"; this is for the bench", "instead", "leave out insecure, and make keys: fulmar keys --help")
}

// machineKeys opens the identity of a machine; nil for one that is insecure, or has no links to use it on.
func machineKeys(s node.Settings) (*identity.Keyring, error) {
	if s.Insecure || len(s.Links) == 0 {
		return nil, nil
	}
	k, err := identity.Open(s.IdentityDir(), time.Now, identity.Device)
	if err != nil {
		return nil, machineKeysHint(s, err)
	}
	if k.Self().Name != s.Device {
		return nil, &hintedError{err: fmt.Errorf("the identity in %s is of %s, and the machine is %s", s.IdentityDir(), k.Self().Name, s.Device),
			hint: "name the device so, or get it an identity of its own: fulmar keys token " + s.Device}
	}
	return k, nil
}

// hasMachineKeys says what is missing before anything is begun. The control half looks no further: it has no use for the keys.
func hasMachineKeys(s node.Settings) error {
	if s.Insecure || len(s.Links) == 0 || identity.Present(s.IdentityDir()) {
		return nil
	}
	return machineKeysHint(s, fmt.Errorf("identity: %w: %s", identity.ErrNoIdentity, s.IdentityDir()))
}

func machineKeysHint(s node.Settings, err error) error {
	if !errors.Is(err, identity.ErrNoIdentity) {
		return keysHint(err)
	}
	return &hintedError{err: err, hint: "on the ground, fulmar keys token " + s.Device + " says how this machine gets one; on the bench, --insecure does without"}
}

// groundKeys opens the ground's; nil for one that is insecure.
func groundKeys(s station.Settings) (*identity.Keyring, error) {
	if s.Insecure {
		return nil, nil
	}
	k, err := identity.Open(s.KeysDir(), time.Now, identity.Ground)
	if errors.Is(err, identity.ErrNoIdentity) {
		return nil, &hintedError{err: err, hint: "fulmar keys init --keys " + s.KeysDir() + " makes them; on the bench, --insecure does without"}
	}
	return k, keysHint(err)
}

// keysHint says what to do about keys that are not as they should be.
func keysHint(err error) error {
	var mode *identity.ModeError
	switch {
	case errors.As(err, &mode):
		return &hintedError{err: err, hint: "chmod 600 " + mode.Path}
	case errors.Is(err, identity.ErrExpired):
		return &hintedError{err: err, hint: "get another: fulmar keys issue, or fulmar keys token and fulmar keys enroll; is this machine's clock right?"}
	case errors.Is(err, identity.ErrRevoked):
		return &hintedError{err: err, hint: "it was revoked with fulmar keys revoke; a machine that may come back is enrolled anew"}
	case errors.Is(err, identity.ErrNoAuthority):
		return &hintedError{err: err, hint: "fulmar keys init makes one; --keys says where it is"}
	case errors.Is(err, identity.ErrExists):
		return &hintedError{err: err, hint: "it is used as it is; another fleet's goes in another folder"}
	}
	return err
}

// followKeys reads a keyring's folder again whenever something changes there, until ctx ends, and calls changed when it is another.
func followKeys(ctx context.Context, dir string, keys *identity.Keyring, changed func()) (err error) {
	w, err := fsnotify.NewWatcher()
	if err == nil {
		defer func() { err = errors.Join(err, w.Close()) }()
		err = w.Add(dir)
	}
	if err != nil {
		return fmt.Errorf("watch %s: %w", dir, err)
	}
	// A change of which nobody tells is found too: a revocation must not wait for a start.
	tick := time.NewTicker(keysPeriod)
	defer tick.Stop()
	var told string
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-w.Errors:
			slog.Warn("changes of the keys may be seen late", "folder", dir, "error", err)
			continue
		case e := <-w.Events:
			if filepath.Ext(e.Name) != ".pem" {
				continue
			}
		case <-tick.C:
		}
		another, err := keys.Reload()
		if err != nil && err.Error() != told {
			told = err.Error()
			slog.Error("the keys cannot be read; what was read before stays in effect", "folder", dir, "error", err)
		}
		if err == nil {
			told = ""
		}
		if another {
			slog.Info("keys renewed", "folder", dir, "trust", keys.Trust().Number())
			changed()
		}
	}
}

// keysPeriod is how often keys are looked at without being told to.
const keysPeriod = 10 * time.Second
