package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fulmar-io/fulmar/config"
	"github.com/fulmar-io/fulmar/ground/station"
	"github.com/fulmar-io/fulmar/node"
	"github.com/fulmar-io/fulmar/recording/ulog"
)

// kinds are the kinds of settings, and their top-level keys: a variable FULMAR_… that is meant for one is none of the
// others' business.
var kinds = map[string]func() any{
	"machine": func() any { s := node.DefaultSettings(); return &s },
	"ground":  func() any { s := station.DefaultSettings(); return &s },
}

// foreign returns the keys of the other kinds.
func foreign(kind string) []string {
	var keys []string
	for k, defaults := range kinds {
		if k != kind {
			keys = append(keys, config.Keys(defaults())...)
		}
	}
	return keys
}

// flagKeys say which setting a flag sets.
type flagKeys map[string]string

var groundFlags = flagKeys{"data": "data", "http": "http", "mqtt": "mqtt", "nats": "nats", "grpc": "grpc", "broker": "brokers", "queue": "queue",
	"profiles": "profiles", "keys": "keys", "enroll": "enroll", "insecure": "insecure"}

// overrides are the settings that flags of the command line set.
func (k flagKeys) overrides(c *cobra.Command) []config.Override {
	var list []config.Override
	for flag, key := range k {
		if f := c.Flags().Lookup(flag); f != nil && f.Changed {
			o := config.Override{Key: key, Value: f.Value.String(), From: "--" + flag}
			if v, ok := f.Value.(interface{ GetSlice() []string }); ok {
				o.Values = v.GetSlice()
			}
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b config.Override) int { return strings.Compare(a.Key, b.Key) })
	return list
}

// kindOf returns which kind of settings a file holds.
func kindOf(path string) (string, error) {
	kind, err := config.Kind(path)
	var wrong *config.Error
	switch {
	case errors.As(err, &wrong) && isRecording(path):
		return "", recordingGiven(path)
	case errors.As(err, &wrong):
		return "", &usageError{err: err}
	case err != nil:
		return "", &usageError{err: fmt.Errorf("settings: %w", err)}
	case kinds[kind] == nil:
		said := "does not say what it is for"
		if kind != "" {
			said = fmt.Sprintf("says kind %q, which there is not", kind)
		}
		return "", &usageError{err: fmt.Errorf("%s %s", path, said), hint: "begin it with kind: machine or kind: ground"}
	}
	return kind, nil
}

// isRecording reports whether what is no settings is a recording that replay reads.
func isRecording(path string) bool {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() { // a pipe would be waited for
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	_, err = ulog.NewReader(f, ulog.Options{})
	return errors.Join(err, f.Close()) == nil
}

// recordingGiven is the error where a recording was given for settings.
func recordingGiven(path string) error {
	return &usageError{err: &config.Error{Problems: []config.Problem{{File: path, Message: "a PX4 ULog recording, no settings",
		Hint: "fulmar replay " + path + " --to URL sends it to a ground"}}}}
}

// load reads settings of a kind; path may be empty.
func load(kind, path string, into any, overrides ...config.Override) (*config.Loaded, error) {
	loaded, err := config.Load(path, into, config.Options{Environ: os.Environ(), Foreign: foreign(kind), Overrides: overrides})
	var wrong *config.Error
	if err != nil && !errors.As(err, &wrong) {
		return nil, &usageError{err: fmt.Errorf("settings: %w", err)}
	}
	if err != nil && isRecording(path) {
		return nil, recordingGiven(path)
	}
	if err != nil {
		hint := "docs/configuration.md has every setting; fulmar check --schema " + kind + " prints them for an editor"
		if !slices.ContainsFunc(wrong.Problems, func(p config.Problem) bool { return !strings.HasPrefix(p.Origin, "--") }) {
			hint = "see --help"
		}
		return nil, &usageError{err: err, hint: hint}
	}
	return loaded, nil
}
