package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/internal/sabotage"
	"github.com/fulmar-io/fulmar/machines/rover"
)

// failingRover returns the demo's rover, each of whose components but the world is killed, stalled and panics, one after the other,
// and when that is over.
func failingRover(hang <-chan struct{}) (list []fulmar.Component, names []string, over time.Duration) {
	hows := []func() error{
		func() error { return errors.New("killed") },
		func() error { <-hang; return nil },
		func() error { panic("for the test") },
	}
	list = rover.Components(1)
	plans := make([][]sabotage.Failure, len(list))
	over = 2 * time.Second
	for range hows {
		for i := 1; i < len(list); i++ {
			plans[i] = append(plans[i], sabotage.Failure{At: over, How: hows[len(plans[i])]})
			over += 1500 * time.Millisecond // a step that hangs is given up after a second
		}
	}
	for i := range list {
		if i > 0 {
			names = append(names, rover.Components(1)[i].Spec().Name)
		}
		list[i] = sabotage.Wrap(list[i], plans[i]...)
	}
	return list, names, over
}

// In a demo that runs, each component but the world is killed, stalled and panics. The demo holds all the same: every record
// arrives, and the ground is told of each failure and of each return. What becomes of it without its world the rover's own tests
// show.
func TestEachComponentOfARunningDemoFails(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 45 s")
	}
	hang := make(chan struct{})
	defer close(hang)
	components, names, over := failingRover(hang)
	t.Setenv("FULMAR_HTTP", "127.0.0.1:0")
	t.Setenv("FULMAR_MQTT", "127.0.0.1:0")
	data := t.TempDir()
	var out, log strings.Builder
	c := &cobra.Command{}
	c.SetOut(&out)
	c.SetErr(&log)
	c.SetContext(t.Context())
	if err := demo(c, demoOptions{components: components, duration: over + 2*time.Second, data: data, json: true}); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	var s summary
	if err := json.Unmarshal([]byte(out.String()), &s); err != nil {
		t.Fatal(err)
	}
	if s.Waiting != 0 || s.Lost > 24 { // of a step that hangs, at most one record each
		t.Errorf("%+v", s)
	}
	csv := filepath.Join(data, "events.csv")
	if status := run(t.Context(), []string{"export", "--data", filepath.Join(data, "ground"), "--format", "csv", "--out", csv, "--series", "node/event.text"}, &out, &log); status != exitHeld {
		t.Fatal(log.String())
	}
	b, err := os.ReadFile(csv)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		for _, how := range []string{"killed", "its step does not end", "panic: for the test"} {
			if n := strings.Count(string(b), how); n < len(names) || !strings.Contains(string(b), "component "+name+" failed: task ") {
				t.Errorf("%s: %q is told %d times", name, how, n)
			}
		}
		if n := strings.Count(string(b), "component "+name+" failed: "); n != 3 {
			t.Errorf("the ground was told %d times that %s failed, not 3 times", n, name)
		}
		if n := strings.Count(string(b), "component "+name+" is up again"); n < 3 {
			t.Errorf("the ground was told %d times that %s is up again", n, name)
		}
	}
	if strings.Contains(string(b), "stays down") || strings.Contains(string(b), "safe state") {
		t.Errorf("the machine did not hold:\n%s", b)
	}
}
