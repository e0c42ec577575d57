package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/fulmar-io/fulmar/config"
	"github.com/fulmar-io/fulmar/node"
)

// settleTime is how long a file must rest until it is read: editors write in several steps.
const settleTime = 200 * time.Millisecond

// watch puts changes of the machine's file into effect until ctx ends. Its folder is watched, for editors and configuration
// management put another file in the place of the one before.
func (m *machineFile) watch(ctx context.Context, n *node.Node) (err error) {
	w, err := fsnotify.NewWatcher()
	if err == nil {
		defer func() { err = errors.Join(err, w.Close()) }()
		err = w.Add(filepath.Dir(m.path))
	}
	if err != nil {
		return fmt.Errorf("watch %s: %w", m.path, err)
	}
	hangUp := make(chan os.Signal, 1)
	notifyHangUp(hangUp)
	defer signal.Stop(hangUp)
	settled := time.NewTimer(0)
	<-settled.C
	waits := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-w.Errors:
			slog.Error("changes of the machine's file may go unnoticed; SIGHUP makes it be read", "error", err)
		case e := <-w.Events:
			// What happens to other files may be a link of ours that leads elsewhere now; it must not put the reading off for ever.
			if !waits || filepath.Clean(e.Name) == filepath.Clean(m.path) {
				waits = true
				settled.Reset(settleTime)
			}
		case <-settled.C:
			waits = false
			switch b, err := os.ReadFile(m.path); {
			case err != nil && m.text != nil:
				m.text = nil // so that it is told once, and that what comes back is read
				slog.Warn("the machine's file cannot be read; what is in effect stays", "error", err)
			case err == nil && !bytes.Equal(b, m.text):
				m.text = b
				m.reload(ctx, n, m.path)
			}
		case <-hangUp:
			m.reload(ctx, n, "SIGHUP")
		}
	}
}

// reload reads the file again. How it went the node tells, in its log and to the ground.
func (m *machineFile) reload(ctx context.Context, n *node.Node, from string) {
	_, changes, err := n.Reload(ctx, from, func() ([]node.Configured, error) {
		next, err := readMachine(m.path, m.overrides...)
		if err != nil {
			return nil, err
		}
		return next.parts, m.sameMachine(next)
	})
	if err == nil && len(changes) == 0 {
		slog.Info("the machine's file changes nothing", "from", from)
	}
}

// sameMachine says what has changed beside the components: all that is read once.
func (m *machineFile) sameMachine(next *machineFile) error {
	then, now := m.settings, next.settings
	then.Components, now.Components = nil, nil
	before := make(map[string]string)
	for _, v := range config.ValuesOf(&then) {
		before[v.Key] = v.Value
	}
	for _, v := range config.ValuesOf(&now) {
		if before[v.Key] != v.Value {
			return fmt.Errorf("%s is %s and was %s: %w", v.Key, v.Value, before[v.Key], node.ErrRestart)
		}
	}
	return nil
}
