package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fulmar-io/fulmar/config"
)

func Example() {
	type courier struct {
		MaxAge time.Duration `doc:"how old a batch may become" min:"1ms" max:"1h"`
	}
	type machine struct {
		Device  string `doc:"name of the machine" required:"true"`
		Courier courier
	}
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "rover.yaml")
	if err := os.WriteFile(path, []byte("device: rover-7\n"), 0o600); err != nil {
		panic(err)
	}
	m := machine{Courier: courier{MaxAge: time.Second}}
	loaded, err := config.Load(path, &m, config.Options{Environ: []string{"FULMAR_COURIER__MAX_AGE=500ms"}})
	if err != nil {
		panic(err)
	}
	for _, v := range loaded.Values() {
		fmt.Println(v.Key, "=", v.Value, "from", filepath.Base(v.Origin))
	}
	// Output:
	// device = rover-7 from rover.yaml:1
	// courier.max_age = 500ms from FULMAR_COURIER__MAX_AGE
}
