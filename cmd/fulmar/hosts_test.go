package main

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// Under the names of the settings, and no others, a browser reaches the page and the API.
func TestHostsOfTheSettings(t *testing.T) {
	settings := filepath.Join(t.TempDir(), "ground.yaml")
	if err := os.WriteFile(settings, []byte("kind: ground\nhosts: [ground.example, Other.Example]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	named, plain := startGround(t, t.TempDir(), settings), startGround(t, t.TempDir())
	for _, c := range []struct {
		ground *runningGround
		host   string
		want   int
	}{
		{named, "ground.example", http.StatusOK},
		{named, "ground.example:8443", http.StatusOK},
		{named, "other.example", http.StatusOK},
		{named, "localhost", http.StatusOK},
		{named, "evil.example", http.StatusMisdirectedRequest},
		{named, "www.ground.example", http.StatusMisdirectedRequest},
		{plain, "ground.example", http.StatusMisdirectedRequest},
	} {
		for _, path := range []string{"/", "/api/v1/machines"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.ground.url+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = c.host
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != c.want {
				t.Errorf("%s of host %s: %d, want %d", path, c.host, res.StatusCode, c.want)
			}
		}
	}
}
