package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// buildVersion is which build this is.
type buildVersion struct {
	Version  string `json:"version"`            // the module's
	Revision string `json:"revision,omitempty"` // of the checkout that it was built from; empty if it was none
	Time     string `json:"time,omitempty"`     // of the revision, RFC 3339
	Modified bool   `json:"modified"`           // files differed from the revision
	Go       string `json:"go"`
	Platform string `json:"platform"` // operating system/architecture
}

// versionOf reads what the go command wrote into a binary; info may be nil.
func versionOf(info *debug.BuildInfo) buildVersion {
	v := buildVersion{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info == nil {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

// String is the version in two lines, or three if it is known from which revision the binary was built.
func (v buildVersion) String() string {
	text := "fulmar " + v.Version + "\n"
	if v.Revision != "" {
		text += "revision " + v.Revision
		if v.Time != "" {
			text += " of " + v.Time
		}
		if v.Modified {
			text += ", with changes"
		}
		text += "\n"
	}
	return text + fmt.Sprintf("built with %s for %s\n", v.Go, v.Platform)
}

func thisVersion() buildVersion {
	info, _ := debug.ReadBuildInfo() // without it, nil
	return versionOf(info)
}

func versionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "version",
		Short: "Say which build this is",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if asJSON {
				return json.NewEncoder(c.OutOrStdout()).Encode(thisVersion())
			}
			_, err := io.WriteString(c.OutOrStdout(), thisVersion().String())
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print it as one JSON object on stdout")
	return c
}
