package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed openapi.yaml
var openAPI []byte

//go:embed dist
var dist embed.FS

// asset is one file of the page, as it is sent.
type asset struct {
	body        []byte
	contentType string
	cache       string
	etag        string
}

// page serves the files of dist: those below assets/ carry a hash of their content in their name and never change.
type page struct{ files map[string]asset }

// Types are named here because the system's table, which package mime reads, can say anything.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".svg":  "image/svg+xml",
	".txt":  "text/plain; charset=utf-8",
}

func newPage(insecure bool) (*page, error) {
	p := &page{files: make(map[string]asset)}
	err := fs.WalkDir(dist, "dist", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := dist.ReadFile(name)
		if err != nil {
			return err
		}
		a := asset{body: b, contentType: contentTypes[path.Ext(name)], cache: "no-cache", etag: etag(b)}
		if a.contentType == "" {
			return fmt.Errorf("web: page: %s: no content type for this ending", name)
		}
		url := strings.TrimPrefix(name, "dist")
		if strings.HasPrefix(url, "/assets/") {
			a.cache = "public, max-age=31536000, immutable"
		}
		p.files[url] = a
		return nil
	})
	if err != nil {
		return nil, err
	}
	index, ok := p.files["/index.html"]
	if !ok {
		return nil, fmt.Errorf("web: page: dist/index.html is missing: run npm ci && npm run build in ground/web/ui")
	}
	if insecure {
		body := bytes.Replace(index.body, []byte("<body>"), []byte("<body data-insecure>"), 1)
		if bytes.Equal(body, index.body) {
			return nil, errors.New("web: page: dist/index.html has no body to mark as insecure")
		}
		index.body, index.etag = body, etag(body)
		p.files["/index.html"] = index
	}
	p.files["/"] = index
	return p, nil
}

func etag(b []byte) string {
	sum := sha256.Sum256(b)
	return `"` + hex.EncodeToString(sum[:12]) + `"`
}

// ServeHTTP implements http.Handler.
func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a, ok := p.files[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	a.serve(w, r)
}

func (a asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("Cache-Control", a.cache)
	h.Set("ETag", a.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.body))
}

func serveOpenAPI(w http.ResponseWriter, r *http.Request, _ *query) error {
	asset{body: openAPI, contentType: "application/yaml", cache: "no-cache", etag: etag(openAPI)}.serve(w, r)
	return nil
}
