package fulmar_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// noExample are the packages that have nothing to show, and why.
var noExample = map[string]string{
	"recording":                    "says what the rooms below it have in common, and has no code",
	"sim":                          "says what the rooms below it are, and has no code",
	"drivers/internal/drivertest":  "is a suite of tests; every test of a driver is an example",
	"secure/identity/identitytest": "makes identities for tests; every test that uses it is an example",
	"internal/rig":                 "runs machines for tests; every test of a component is an example",
	"internal/testbroker":          "starts programs for tests; every test that uses it is an example",
}

// listed is what go list says of a package.
type listed struct {
	ImportPath, Dir           string
	GoFiles                   []string
	TestGoFiles, XTestGoFiles []string
}

// A newcomer reads a package's doc.go and runs its example. Each room has both.
func TestEachRoomSaysWhatItIsAndShowsIt(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,TestGoFiles,XTestGoFiles", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := make(map[string]bool)
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		seen[name] = true
		// A comment of a line or two is a title; what flows in and out, and who imports it, takes more.
		if text := packageComment(t, filepath.Join(p.Dir, "doc.go")); len(text) < 100 {
			t.Errorf("%s: doc.go says %q: want what the package is for, what flows in and out, who may import it", p.ImportPath, text)
		}
		reason, excepted := noExample[name]
		switch has := hasExample(t, p.Dir, append(p.TestGoFiles, p.XTestGoFiles...)); {
		case !has && !excepted:
			t.Errorf("%s has no Example with an Output", p.ImportPath)
		case has && excepted:
			t.Errorf("%s has an Example: it is no exception any more (%s)", p.ImportPath, reason)
		}
	}
	for name := range noExample {
		if !seen[name] {
			t.Errorf("%s is an exception and does not exist", name)
		}
	}
	if len(seen) < 30 {
		t.Errorf("only %d packages were looked at: is the list right?", len(seen))
	}
}

// packageComment returns what a file says of its package, or nothing if there is no such file.
func packageComment(t *testing.T, path string) string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		return ""
	}
	return f.Doc.Text()
}

// hasExample reports whether one of the files has an example that is run and compared.
func hasExample(t *testing.T, dir string, names []string) bool {
	t.Helper()
	var files []*ast.File
	for _, name := range names {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, name), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	for _, e := range doc.Examples(files...) {
		if e.Output != "" {
			return true
		}
	}
	return false
}
