package main

import (
	"runtime"
	"runtime/debug"
	"testing"
)

// What the go command writes into a binary, and where it wrote less.
func TestVersionOfBuilds(t *testing.T) {
	built := "built with " + runtime.Version() + " for " + runtime.GOOS + "/" + runtime.GOARCH + "\n"
	revision := []debug.BuildSetting{{Key: "GOOS", Value: "plan9"}, {Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: "40a8c30df1ab"},
		{Key: "vcs.time", Value: "2026-07-31T12:00:00Z"}}
	for _, c := range []struct {
		name string
		info *debug.BuildInfo
		want string
	}{
		{"nothing is known", nil, "fulmar unknown\n" + built},
		{"as a test", &debug.BuildInfo{}, "fulmar unknown\n" + built},
		{"installed by its version", &debug.BuildInfo{Main: debug.Module{Version: "v0.3.1"}}, "fulmar v0.3.1\n" + built},
		{"from a checkout", &debug.BuildInfo{Main: debug.Module{Version: "v0.3.2-0.20260731120000-40a8c30df1ab"}, Settings: revision},
			"fulmar v0.3.2-0.20260731120000-40a8c30df1ab\nrevision 40a8c30df1ab of 2026-07-31T12:00:00Z\n" + built},
		{"from one with changes", &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: append(revision, debug.BuildSetting{Key: "vcs.modified", Value: "true"})},
			"fulmar (devel)\nrevision 40a8c30df1ab of 2026-07-31T12:00:00Z, with changes\n" + built},
	} {
		if got := versionOf(c.info).String(); got != c.want {
			t.Errorf("%s: got\n%swant\n%s", c.name, got, c.want)
		}
	}
}
