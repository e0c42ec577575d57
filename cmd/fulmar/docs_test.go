package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/fulmar-io/fulmar/config"
)

var update = flag.Bool("update", false, "write docs/configuration.md anew")

const configurationIntro = `<!-- Generated from the settings' declarations: go test ./cmd/fulmar -run TestConfigurationIsDocumented -update -->

# Settings

A file of settings is YAML, TOML or JSON, by its name's ending. Its key ` + "`kind`" + ` says what it is for. Over the file go variables of
the environment, and over those the flags of the command line:

    FULMAR_COURIER__BATCH__MAX_AGE=500ms fulmar demo
    fulmar ground ground.yaml --http 127.0.0.1:9090

A variable's name is FULMAR_ and the key in capitals, with two underscores for each dot; a list is written a,b,c, and an
empty variable sets nothing.

` + "`fulmar check FILE`" + ` says what is wrong with a file, where, and what was probably meant; ` + "`--print`" + ` prints every setting in effect and
where it came from; ` + "`fulmar check --schema machine`" + ` prints the JSON Schema for an editor. An unknown key, a wrong type or an
impossible value is an error, never passed over. A relative path is relative to the folder in which fulmar runs.

    # rover.yaml
    kind: machine
    device: rover-7
    links:
      - mqtts://ground.example:8883
      - file:///media/stick/fulmar
    courier:
      batch: {max_age: 2s}
      spool: {max_bytes: 4GiB}
    filters:
      - match: "imu/*"           # one of ten
        one_of: 10
      - match: "battery/state"   # where it moved by half a percent, and every 10 s all the same
        deadband: {relative: 0.005, max_silence: 10s}
      - min_severity: info       # events

A duration has its unit: 500ms, 2s, 1h30m. A size is in bytes, or with a unit: 64MiB, 1GB.
`

// What can be written is in docs/configuration.md, and nothing else.
func TestConfigurationIsDocumented(t *testing.T) {
	var b strings.Builder
	b.WriteString(configurationIntro)
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		fmt.Fprintf(&b, "\n## kind: %s\n\n| key | what to write | default | range | |\n| --- | --- | --- | --- | --- |\n", kind)
		for _, s := range config.Describe(kinds[kind]()) {
			def := s.Default
			if def != "" {
				def = "`" + def + "`"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", s.Key, s.Type, def, s.Range, s.Doc)
		}
	}
	const path = "../../docs/configuration.md"
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != b.String() {
		t.Errorf("%s is not what the settings declare; run this test with -update", path)
	}
}

// The file that the documentation shows is one that is right.
func TestDocumentedSettingsAreRight(t *testing.T) {
	var lines []string
	for _, l := range strings.Split(configurationIntro, "\n") {
		if rest, ok := strings.CutPrefix(l, "    "); ok && !strings.Contains(rest, "fulmar ") {
			lines = append(lines, rest)
		}
	}
	path := t.TempDir() + "/rover.yaml"
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, log strings.Builder
	if status := run(t.Context(), []string{"check", path}, &out, &log); status != exitHeld || !strings.Contains(out.String(), "nothing is wrong") {
		t.Errorf("status %d\n%s%s", status, out.String(), log.String())
	}
}
