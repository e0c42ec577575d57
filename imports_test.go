package fulmar_test

import (
	"os/exec"
	"strings"
	"testing"
)

// rows are the rooms of the design, lowest first. A package imports rooms of lower rows, and packages of its own room.
var rows = [][]string{
	0: {"env", "config", "observe"},
	1: {"telemetry", "control", "wire", "hal", "spec"},
	2: {"seglog", "ring", "recording", "command"},
	3: {""}, // the root package
	4: {"sched", "secure"},
	5: {"link", "drivers"},
	6: {"courier"},
	7: {"node", "ground"},
	8: {"sim", "replay", "machines"},
	9: {"cmd", "internal", "torture"}, // internal: servers for tests
}

const module = "github.com/fulmar-io/fulmar"

// sideways are the imports of a room by another of the same row that are meant.
var sideways = map[string]string{
	"machines": "sim",      // the demo's rover drives the simulator's plant
	"torture":  "internal", // it reads what the long tests say of themselves
}

// room returns the first element of a package's path below the module, and its row.
func room(t *testing.T, path string) (string, int) {
	name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(path, module), "/"), "/")
	for row, rooms := range rows {
		for _, r := range rooms {
			if r == name {
				return name, row
			}
		}
	}
	t.Errorf("package %s is in no room of the design: give %q a row", path, name)
	return name, -1
}

func TestImportsGoDownwards(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	checked := 0
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		paths := strings.Fields(line)
		from, row := room(t, paths[0])
		for _, imported := range paths[1:] {
			if imported != module && !strings.HasPrefix(imported, module+"/") {
				continue
			}
			to, below := room(t, imported)
			checked++
			if to == from || below < row || sideways[from] == to {
				continue
			}
			t.Errorf("%s (row %d) imports %s (row %d)", paths[0], row, imported, below)
		}
	}
	if checked < 50 {
		t.Errorf("only %d imports were looked at: is the list of packages right?", checked)
	}
}
