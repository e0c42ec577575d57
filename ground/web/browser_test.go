package web_test

import (
	"bytes"
	"context"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// needTool finds a program, or skips; with FULMAR_REQUIRE_TOOLS=1 it fails instead.
func needTool(t *testing.T, name string) string {
	t.Helper()
	p, err := exec.LookPath(name)
	if err == nil {
		return p
	}
	missing(t, err.Error())
	return ""
}

func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("FULMAR_REQUIRE_TOOLS") == "1" {
		t.Fatal(what)
	}
	t.Skip(what)
}

func needModules(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("ui/node_modules/.package-lock.json"); err != nil {
		missing(t, "ui/node_modules is missing: run npm ci in ground/web/ui")
	}
}

// TestPageIsBuiltFromItsSources builds the page anew and compares: what is embedded is what the sources say.
func TestPageIsBuiltFromItsSources(t *testing.T) {
	node := needTool(t, "node")
	needModules(t)
	dir := filepath.Join(t.TempDir(), "dist")
	cmd := exec.CommandContext(t.Context(), node, "build.mjs", dir)
	cmd.Dir = "ui"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	built, committed := files(t, dir), files(t, "dist")
	for name, b := range built {
		if !bytes.Equal(b, committed[name]) {
			t.Errorf("dist/%s is not what the sources give: run npm run build in ground/web/ui", name)
		}
	}
	for name := range committed {
		if built[name] == nil {
			t.Errorf("dist/%s is left over from an older build", name)
		}
	}
}

func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		all[filepath.ToSlash(name)], err = os.ReadFile(path)
		return err
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("%s: %d files, %v", dir, len(all), err)
	}
	return all
}

func TestTypesOfThePage(t *testing.T) {
	node := needTool(t, "node")
	needModules(t)
	cmd := exec.CommandContext(t.Context(), node, "node_modules/typescript/bin/tsc", "--noEmit")
	cmd.Dir = "ui"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestPageInABrowser serves the double and runs ui/test against it. The tests stop and start the server over a second
// one.
func TestPageInABrowser(t *testing.T) {
	node := needTool(t, "node")
	needModules(t)
	chromium := os.Getenv("CHROMIUM")
	if chromium == "" {
		chromium = "/usr/bin/chromium"
	}
	needTool(t, chromium)
	h := newHost("127.0.0.1:0")
	if err := h.start(); err != nil {
		t.Fatal(err)
	}
	defer func() { h.stop() }()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go h.run(ctx)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /stop", func(w http.ResponseWriter, _ *http.Request) {
		h.stop()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /start", func(w http.ResponseWriter, _ *http.Request) {
		if err := h.start(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	control := httptest.NewServer(mux)
	defer control.Close()
	cmd := exec.CommandContext(t.Context(), node, "--test", "--test-concurrency=1", "test/browser.test.mjs", "test/unit.test.mjs")
	cmd.Dir = "ui"
	cmd.Env = append(os.Environ(), "FULMAR_URL="+h.base(), "FULMAR_CONTROL="+control.URL, "CHROMIUM="+chromium)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, failures(out))
	}
	t.Logf("%s", out)
}

// failures returns what a run of tests, as TAP, says of those that failed; all of it if that is nothing.
func failures(tap []byte) []byte {
	var list []byte
	failed := false
	for line := range bytes.Lines(tap) {
		failed = failed && !bytes.HasPrefix(line, []byte("ok ")) || bytes.HasPrefix(line, []byte("not ok "))
		if failed {
			list = append(list, line...)
		}
	}
	if list == nil {
		return tap
	}
	return list
}
