package fulmar_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Component packages are those whose code is stepped: what they touch of the world comes to them as a handle that their Spec declares,
// or as a port, a parameter or the time of a step.
var componentRooms = []string{"drivers", "machines"}

// around are the packages by which one would get at hardware, files, networks, processes, memory, clocks or chance without a handle.
var around = []string{"os", "net", "syscall", "unsafe", "plugin", "log", "io/ioutil", "runtime", "testing", "crypto/rand", "math/rand", "math/rand/v2", "golang.org/x/sys", "golang.org/x/net",
	module + "/env", module + "/hal/linux", module + "/hal/sim", module + "/link", module + "/courier", module + "/node", module + "/ring", module + "/sched", module + "/secure",
	module + "/ground", module + "/seglog"}

// clocks are what of package time asks a clock; the rest of it is about durations.
var clocks = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer"}

// goesAround reports whether an import is one of around, or below one.
func goesAround(path string) bool {
	return slices.ContainsFunc(around, func(a string) bool { return path == a || strings.HasPrefix(path, a+"/") })
}

// aroundHandles returns what in a file gets at something without a handle.
func aroundHandles(f *ast.File) (found []string) {
	timeName := ""
	for _, i := range f.Imports {
		path, _ := strconv.Unquote(i.Path.Value) // the parser has read it
		if goesAround(path) || path == "C" {
			found = append(found, "imports "+path)
		}
		if path == "time" {
			timeName = "time"
			if i.Name != nil {
				timeName = i.Name.Name
			}
		}
	}
	for _, group := range f.Comments {
		for _, c := range group.List {
			if strings.HasPrefix(c.Text, "//go:linkname") {
				found = append(found, c.Text)
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found = append(found, "starts a goroutine")
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && timeName != "" && x.Name == timeName && slices.Contains(clocks, n.Sel.Name) {
				found = append(found, "asks time."+n.Sel.Name)
			}
		}
		return true
	})
	if timeName == "." {
		found = append(found, "imports time without its name")
	}
	return found
}

// A component gets the handles that it declared, and has no way around them.
func TestComponentsDoNotGoAroundTheirHandles(t *testing.T) {
	patterns := make([]string, len(componentRooms))
	for i, r := range componentRooms {
		patterns[i] = "./" + r + "/..."
	}
	out, err := exec.Command("go", append([]string{"list", "-json=ImportPath,Dir,GoFiles"}, patterns...)...).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	files := 0
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(p.Dir, "test") { // a suite for tests is in no machine
			continue
		}
		for _, name := range p.GoFiles {
			path := filepath.Join(p.Dir, name)
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			files++
			for _, what := range aroundHandles(f) {
				t.Errorf("%s/%s %s", p.ImportPath, name, what)
			}
		}
	}
	if files < 40 {
		t.Errorf("only %d files were looked at: is the list right?", files)
	}
}

// The test above finds each way around.
func TestEachWayAroundIsFound(t *testing.T) {
	for source, want := range map[string]string{
		`import "os"`:                          "imports os",
		`import x "net/http"`:                  "imports net/http",
		`import _ "unsafe"`:                    "imports unsafe",
		`import "` + module + `/hal/linux"`:    "imports " + module + "/hal/linux",
		`import "golang.org/x/sys/unix"`:       "imports golang.org/x/sys/unix",
		"//go:linkname a time.now\nfunc a()":   "//go:linkname a time.now",
		"func a() { go a() }":                  "starts a goroutine",
		"import t \"time\"\nvar a = t.Now()":   "asks time.Now",
		"import . \"time\"\nvar a = Now()":     "imports time without its name",
		"import \"time\"\nvar a = time.After":  "asks time.After",
		"import \"time\"\nvar a = time.Second": "",
		`import "` + module + `/hal"`:          "",
		`import "oslo"`:                        "",
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\n"+source, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(aroundHandles(f), ", "); got != want {
			t.Errorf("%q: %q, for %q", source, got, want)
		}
	}
}
