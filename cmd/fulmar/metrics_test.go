package main

import (
	"context"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// watches is what an operator watches, and the metrics that tell it, of the machine and of the ground.
var watches = map[string][]string{
	"throughput": {"fulmar_machine_records_numbered_total", "fulmar_machine_records_delivered_total", "fulmar_machine_link_sent_bytes_total",
		"fulmar_machine_spool_written_bytes_total", "fulmar_machine_component_published_records_total", "fulmar_ground_records_delivered_total",
		"fulmar_ground_stored_bytes_total", "fulmar_ground_frames_total"},
	"publish-to-commit latency": {"fulmar_ground_publish_to_commit_seconds", "fulmar_ground_publish_to_commit_seconds_count"},
	"errors": {"fulmar_machine_spool_errors_total", "fulmar_machine_link_failures", "fulmar_machine_link_repeated_frames_total",
		"fulmar_machine_dead_letters_total", "fulmar_machine_component_dropped_records_total", "fulmar_ground_sync_errors_total", "fulmar_ground_duplicate_frames_total"},
	"queue depths": {"fulmar_machine_records_waiting", "fulmar_machine_ring_fullest_ratio", "fulmar_machine_spool_bytes", "fulmar_machine_spool_quota_bytes",
		"fulmar_machine_frames_in_flight", "fulmar_ground_messages_queued", "fulmar_ground_strangers", "fulmar_ground_strangers_total", "fulmar_ground_index_behind_frames", "fulmar_ground_log_bytes"},
	"ledger": {"fulmar_machine_records_lost_total", "fulmar_ground_records_missing", "fulmar_ground_records_lost_total"},
	"task timing": {"fulmar_machine_task_runs_total", "fulmar_machine_task_misses_total", "fulmar_machine_task_jitter_seconds",
		"fulmar_machine_task_execution_seconds"},
	"health":  {"fulmar_machine_component_status", "fulmar_machine_link_up", "fulmar_ground_ready"},
	"process": {"go_goroutines", "go_memstats_heap_alloc_bytes", "process_start_time_seconds"},
}

func answer(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// A ground with a machine, before Prometheus's own judge, and with a metric for everything that an operator watches.
func TestWhatAnOperatorSees(t *testing.T) {
	page := freePort(t)
	url := "http://" + page
	demo := startChild(t, "fulmar", "demo", "--http", page, "--mqtt", "127.0.0.1:0", "--profiles", "--data", t.TempDir())
	defer func() {
		if err := demo.end(syscall.SIGTERM); err != nil {
			t.Errorf("the demo ended with %v\n%s", err, demo.out.String())
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := waitReady(ctx, url); err != nil {
		t.Fatal(err)
	}
	var metrics string
	eventually(t, func() bool {
		var code int
		code, metrics = answer(t, url+"/metrics")
		return code == http.StatusOK && strings.Contains(metrics, "fulmar_ground_records_delivered_total{")
	}, "nothing was ever delivered")
	for what, names := range watches {
		for _, name := range names {
			if !strings.Contains(metrics, "\n"+name+" ") && !strings.Contains(metrics, "\n"+name+"{") {
				t.Errorf("%s: no %s", what, name)
			}
		}
	}
	if !strings.Contains(metrics, "\nfulmar_ground_insecure 0\n") {
		t.Error("the demo does not say that it is secure")
	}
	// Others may run beside it, each with its own data.
	for _, more := range [][]string{nil, {"--data", t.TempDir()}} {
		var out, log strings.Builder
		beside := append([]string{"demo", "--for", "1s", "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"}, more...)
		if status := run(t.Context(), beside, &out, &log); status != exitHeld {
			t.Errorf("a demo beside another: status %d\n%s", status, log.String())
		}
	}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/debug/pprof/": 200, "/debug/pprof/goroutine?debug=1": 200} {
		if code, body := answer(t, url+path); code != want {
			t.Errorf("%s: %d %.200s", path, code, body)
		}
	}
	promtool, err := exec.LookPath("promtool")
	needs(t, "promtool", err == nil)
	cmd := exec.CommandContext(ctx, promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(metrics)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// Profiles show much and cost something: only who asks for them gets them.
func TestProfilesAreServedOnRequestOnly(t *testing.T) {
	g := startGround(t, t.TempDir())
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/debug/pprof/": 404, "/debug/pprof/heap": 404} {
		if code, body := g.get(t, path); code != want {
			t.Errorf("%s: %d %.200s", path, code, body)
		}
	}
}
