package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/fulmar-io/fulmar/config"
)

// Whatever a file holds, it is read or refused, at a place that is in it.
func FuzzLoad(f *testing.F) {
	for name, content := range sameInAllFormats {
		f.Add(filepath.Ext(name), []byte(content))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, ext string, content []byte) {
		switch ext {
		case ".yaml", ".toml", ".json":
		default:
			return
		}
		path := filepath.Join(dir, "s"+ext)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		s := defaults()
		loaded, err := config.Load(path, &s, config.Options{})
		if err == nil {
			if loaded.Values() == nil {
				t.Error("no values")
			}
			return
		}
		var ce *config.Error
		if !errors.As(err, &ce) || len(ce.Problems) == 0 {
			t.Fatalf("error %v", err)
		}
		lines := 1
		for _, b := range content {
			if b == '\n' {
				lines++
			}
		}
		for _, p := range ce.Problems {
			if p.Message == "" || p.Line > lines {
				t.Errorf("problem %+v in a file of %d lines", p, lines)
			}
		}
	})
}
