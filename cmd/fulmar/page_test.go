package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/secure/access"
)

// needs skips a test for want of a tool, unless nothing may be skipped.
func needs(t *testing.T, what string, found bool) {
	t.Helper()
	if found {
		return
	}
	if os.Getenv("FULMAR_REQUIRE_TOOLS") == "1" {
		t.Fatalf("%s is missing, and FULMAR_REQUIRE_TOOLS=1", what)
	}
	t.Skipf("%s is missing", what)
}

// cable is a connection between machines and a broker that can be cut.
type cable struct {
	l  net.Listener
	to string

	mu    sync.Mutex
	cut   bool                  // guarded by mu
	conns map[net.Conn]struct{} // guarded by mu
	wg    sync.WaitGroup
}

func newCable(t *testing.T, to string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{l: l, to: to, conns: make(map[net.Conn]struct{})}
	c.wg.Add(1)
	go c.accept()
	t.Cleanup(func() { _ = l.Close(); c.setCut(true); c.wg.Wait() })
	return c
}

func (c *cable) accept() {
	defer c.wg.Done()
	for {
		a, err := c.l.Accept()
		if err != nil {
			return
		}
		b, err := net.Dial("tcp", c.to)
		if err != nil || !c.keep(a, b) {
			_ = a.Close()
			if b != nil {
				_ = b.Close()
			}
			continue
		}
		for _, pair := range [][2]net.Conn{{a, b}, {b, a}} {
			c.wg.Add(1)
			go func() {
				defer c.wg.Done()
				_, _ = io.Copy(pair[0], pair[1])
				_ = a.Close()
				_ = b.Close()
			}()
		}
	}
}

func (c *cable) keep(conns ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range conns {
		c.conns[k] = struct{}{}
	}
	return !c.cut
}

func (c *cable) setCut(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
	if cut {
		for k := range c.conns {
			_ = k.Close()
		}
		clear(c.conns)
	}
}

// waitReady waits until the ground answers.
func waitReady(ctx context.Context, url string) error {
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
		if err != nil {
			return err
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// pageTools returns what runs the page's tests, and where they are.
func pageTools(t *testing.T) (nodeJS, ui string) {
	t.Helper()
	ui, err := filepath.Abs("../../ground/web/ui")
	if err != nil {
		t.Fatal(err)
	}
	nodeJS, err = exec.LookPath("node")
	needs(t, "node", err == nil)
	chromium := os.Getenv("CHROMIUM")
	if chromium == "" {
		chromium = "/usr/bin/chromium"
	}
	_, err = os.Stat(chromium)
	needs(t, "chromium", err == nil)
	_, err = os.Stat(filepath.Join(ui, "node_modules"))
	needs(t, "the page's node_modules (npm ci)", err == nil)
	return nodeJS, ui
}

// People sign in to the page of a demo, and command its rover, in Chromium.
func TestSigningInToThePage(t *testing.T) {
	nodeJS, ui := pageTools(t)
	dir, page := t.TempDir(), freePort(t)
	accounts := accountsIn(filepath.Join(dir, "ground"))
	if err := makeFolder(accounts.Path); err != nil {
		t.Fatal(err)
	}
	const password = "correct horse battery"
	if err := errors.Join(accounts.Add("ada", access.Operator, password), accounts.Add("vic", access.Viewer, password)); err != nil {
		t.Fatal(err)
	}
	demo := child("fulmar", "demo", "--data", dir, "--http", page, "--mqtt", "127.0.0.1:0")
	demo.cmd.Env = append(demo.cmd.Env, insecure+"=false")
	demo.cmd.Stderr = nil
	stderr, err := demo.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := demo.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = demo.end(syscall.SIGTERM) }()
	link := ""
	lines := bufio.NewScanner(stderr)
	for link == "" && lines.Scan() {
		if i := strings.Index(lines.Text(), "http://"); i >= 0 {
			link = lines.Text()[i:]
		}
	}
	go func() {
		for lines.Scan() { // what it says further is nobody's
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := waitReady(ctx, "http://"+page); err != nil || !strings.Contains(link, "#signin=") {
		t.Fatal(link, err)
	}
	cmd := exec.CommandContext(ctx, nodeJS, "--test", "--test-concurrency=1", "test/signin.test.mjs")
	cmd.Dir = ui
	cmd.Env = append(os.Environ(), "FULMAR_URL=http://"+page, "FULMAR_LINK="+link, "FULMAR_PASSWORD="+password)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatal(fmt.Errorf("%w\n%s", err, out))
	}
}

// The page in Chromium, before a rover and a ground in processes of their own, while the ground is killed and the link cut.
func TestThePageAgainstARunningMachine(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	nodeJS, ui := pageTools(t)
	dir := t.TempDir()
	mqtt, page := freePort(t), freePort(t)
	url := "http://" + page
	start := func() *process {
		return startChild(t, "fulmar", "ground", "--data", filepath.Join(dir, "ground"), "--http", page, "--mqtt", mqtt)
	}
	ground := start()
	defer func() { _ = ground.end(syscall.SIGTERM) }()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := waitReady(ctx, url); err != nil {
		t.Fatal(err)
	}
	link := newCable(t, mqtt)
	machine := startChild(t, "rover", "rover", filepath.Join(dir, "rover"), "mqtt://"+link.l.Addr().String(), "1")
	defer func() { _ = machine.end(syscall.SIGTERM) }()

	control := http.NewServeMux()
	handle := func(path string, do func() error) {
		control.HandleFunc("POST "+path, func(w http.ResponseWriter, _ *http.Request) {
			if err := do(); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			w.WriteHeader(http.StatusNoContent)
		})
	}
	handle("/kill-ground", func() error { _ = ground.end(syscall.SIGKILL); return nil })
	handle("/start-ground", func() error { ground = start(); return waitReady(ctx, url) })
	handle("/cut-link", func() error { link.setCut(true); return nil })
	handle("/heal-link", func() error { link.setCut(false); return nil })
	server := httptest.NewServer(control)
	defer server.Close()

	cmd := exec.CommandContext(ctx, nodeJS, "--test", "--test-concurrency=1", "test/demo.test.mjs")
	cmd.Dir = ui
	cmd.Env = append(os.Environ(), "FULMAR_URL="+url, "FULMAR_CONTROL="+server.URL)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatal(fmt.Errorf("%w\n%s", err, out))
	}
}
