package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// planned are the bugs that must be there.
var planned = []string{"ack-before-fsync", "breaker-discards", "counter-reset", "crc-skipped", "cursor-before-ack", "dedup-off", "ledger-off-by-one",
	"no-folder-fsync", "quota-unchecked", "replay-window-off", "ring-not-recovered", "torn-tail-accepted"}

// Each patch still applies to the code as it is, and names a test that exists.
func TestThePlantedBugsFitTheCode(t *testing.T) {
	bugs, err := bugsIn("bugs")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, b := range bugs {
		names = append(names, b.name)
		if err := apply(t.Context(), "..", b.patch, "--check"); err != nil {
			t.Errorf("%v: renew it, so that it breaks the same: %s", err, b.breaks)
		}
		if !declares(t, filepath.Join("..", b.check[0]), b.check[1]) {
			t.Errorf("%s: there is no test %s in %s", b.name, b.check[1], b.check[0])
		}
	}
	if !slices.Equal(names, planned) {
		t.Errorf("the bugs are %q, want %q", names, planned)
	}
}

// The rows are made of tests that exist.
func TestTheRowsAreMadeOfTests(t *testing.T) {
	for _, r := range rows() {
		for _, p := range r.parts {
			if !declares(t, filepath.Join("..", p.pkg), p.test) {
				t.Errorf("%s: there is no test %s in %s", r.name, p.test, p.pkg)
			}
			if len(p.want) > 0 && p.chunk == 0 {
				t.Errorf("%s: %s has no chunk", r.name, p.test)
			}
		}
	}
}

func declares(t *testing.T, dir, test string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "\nfunc "+test+"(t *testing.T)") {
			return true
		}
	}
	return false
}

// module writes a module of its own, with a function that is right, and a test of it that says what it covered.
func module(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "go.mod", "module small\n\ngo 1.26\n")
	write(t, dir, "small.go", "package small\n\nfunc add(a, b int) int { return a + b }\n")
	write(t, dir, "small_test.go", `package small

import (
	"fmt"
	"os"
	"testing"
)

func TestAdd(t *testing.T) {
	first, end := 0, 10
	fmt.Sscanf(os.Getenv("FULMAR_EXTENT"), "%d:%d", &first, &end)
	for i := first; i < end; i++ {
		if add(i, 1) != i+1 || i == bad {
			t.Fatalf("case %d", i)
		}
	}
	t.Logf("covered %d sums", end-first)
}

var bad = -1

func TestNothing(t *testing.T) {}

func TestAbsent(t *testing.T) { t.Skip("a tool is missing") }
`)
	return dir
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// patch is one that replaces the line of small.go that is not its first.
func patch(t *testing.T, line string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "bug.patch", "Breaks: sums\nCaught by: . TestAdd\n\ndiff --git a/small.go b/small.go\n--- a/small.go\n+++ b/small.go\n@@ -1,3 +1,3 @@\n"+
		" package small\n \n-func add(a, b int) int { return a + b }\n+"+line+"\n")
	return filepath.Join(dir, "bug.patch")
}

// A bug counts as caught where its test says so: not where the code does not compile, where the test sees nothing, or fails anyway.
func TestOnlyATestsVerdictCatchesABug(t *testing.T) {
	dir := module(t)
	for _, c := range []struct {
		what, line, test string
		caught           bool
		note             string
	}{
		{"a bug that is seen", "func add(a, b int) int { return a - b }", "TestAdd", true, ""},
		{"a panic", `func add(a, b int) int { panic("for the test") }`, "TestAdd", true, ""},
		{"what does not compile", "func add(a, b int) int { return c }", "TestAdd", false, "build failed"},
		{"a bug that nobody looks for", "func add(a, b int) int { return a - b }", "TestNothing", false, "with the bug: held"},
		{"a test that does not exist", "func add(a, b int) int { return a - b }", "TestNone", false, "no test ran"},
		{"a test that looks away", "func add(a, b int) int { return a - b }", "TestAbsent", false, "skipped: TestAbsent"},
	} {
		b, err := readBug(patch(t, c.line))
		if err != nil {
			t.Fatal(err)
		}
		b.check[1] = c.test
		o := plant(t.Context(), dir, b)
		if o.caught != c.caught || !strings.Contains(o.note, c.note) {
			t.Errorf("%s: caught %t, %q", c.what, o.caught, o.note)
		}
	}
	b, err := readBug(patch(t, "func add(a, b int) int { return b }"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "small.go", "package small\n\n// It is another now.\nfunc add(a, b int) int { return b + a }\n")
	if o := plant(t.Context(), dir, b); o.caught || !strings.Contains(o.note, "does not apply") {
		t.Errorf("a patch that does not fit: %+v", o)
	}
}

// smallRunner is a runner over the small module, with what was done before.
func smallRunner(t *testing.T, dir, stateDir string, out *bytes.Buffer) *runner {
	t.Helper()
	t.Chdir(dir)
	s, err := openState(stateDir, "code")
	if err != nil {
		t.Fatal(err)
	}
	return &runner{state: s, out: out, binaries: make(map[string]string), rows: []row{
		{"sums", "", []part{{pkg: ".", test: "TestAdd", chunk: 10, want: map[string]uint64{"sums": 45}}}},
		{"nothing", "", []part{{pkg: ".", test: "TestNothing"}}},
		{"absent", "", []part{{pkg: ".", test: "TestAbsent"}}},
	}}
}

// It goes on where it stopped, and what failed is kept, with what shows it again.
func TestTheTortureGoesOn(t *testing.T) {
	dir, stateDir := module(t), t.TempDir()
	var out bytes.Buffer
	r := smallRunner(t, dir, stateDir, &out)
	for range 2 {
		of, p := r.next()
		if err := r.chunk(t.Context(), of, p); err != nil {
			t.Fatal(err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.chunk(ended, &r.rows[0], &r.rows[0].parts[0]); err != nil { // cut short: it is not counted
		t.Fatal(err)
	}
	before := r.state.part(". TestAdd").Next
	b, err := os.ReadFile(filepath.Join(dir, "small_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "small_test.go", strings.Replace(string(b), "bad = -1", "bad = 25", 1))

	r = smallRunner(t, dir, stateDir, &out)
	if p := r.state.part(". TestAdd"); p.Next != before || p.Covered["sums"] != before || before == 0 {
		t.Fatalf("%+v after a restart, %d before", p, before)
	}
	if err := r.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := r.state.part(". TestAdd")
	if p.Covered["sums"] != 50 || p.Next != 60 || len(p.Failures) != 1 || p.Failures[0].First != 20 || !strings.Contains(p.Failures[0].Again, "FULMAR_EXTENT=20:30 go test .") {
		t.Errorf("%+v\n%s", p, out.String())
	}
	if said, err := os.ReadFile(p.Failures[0].Output); err != nil || !strings.Contains(string(said), "case 25") {
		t.Errorf("%q, %v", said, err)
	}
	if n := r.report(); n != 2 || !strings.Contains(out.String(), "skipped: TestAbsent") {
		t.Errorf("%d failures\n%s", n, out.String())
	}
}

func TestNoWorkBeginsWhenTheTimeIsOver(t *testing.T) {
	var out bytes.Buffer
	r := smallRunner(t, module(t), t.TempDir(), &out)
	r.until = time.Now()
	if err := r.run(t.Context()); err != nil || out.Len() > 0 {
		t.Errorf("%v, %s", err, out.String())
	}
}

func Example() {
	v := readVerdict(strings.NewReader(`=== RUN   TestNoKeyAndCounterComeTwice
    counters_test.go:73: covered 200 restarts
--- PASS: TestNoKeyAndCounterComeTwice (1.73s)
PASS
`))
	fmt.Println(v, v.covered["restarts"])
	// Output: held 200
}
