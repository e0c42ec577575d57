package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An index may be damaged where nothing looks when the ground starts. Who asks is told what to do, and that is what helps.
func TestDamageThatAQueryMeets(t *testing.T) {
	data := t.TempDir()
	g := startGround(t, data)
	replayed(t, exitHeld, flight(t, 500), "--to", g.mqtt, "--device", "rover")
	const question = "/api/v1/machines/rover/events"
	if status, body := g.get(t, question); status != http.StatusOK {
		t.Fatal(status, body)
	}
	g.stop(t)
	damageTable(t, filepath.Join(data, "index.sqlite"), "event_by_time")

	g = startGround(t, data)
	status, body := g.get(t, question)
	var problem struct{ Detail, Hint string }
	if err := json.Unmarshal([]byte(body), &problem); err != nil {
		t.Fatal(err)
	}
	if status != http.StatusInternalServerError || !strings.Contains(problem.Detail, "index is damaged") || !strings.Contains(problem.Hint, "fulmar inspect --reindex") {
		t.Errorf("%d %s", status, body)
	}
	if said := g.stop(t); !strings.Contains(said, "hint=") || !strings.Contains(said, "malformed") {
		t.Errorf("the log has neither cause nor hint:\n%s", said)
	}

	var out bytes.Buffer
	if status := run(t.Context(), []string{"inspect", data, "--reindex"}, &out, &out); status != exitHeld {
		t.Fatalf("inspect --reindex: status %d\n%s", status, out.String())
	}
	g = startGround(t, data)
	if status, body := g.get(t, question); status != http.StatusOK {
		t.Errorf("after it: %d %s", status, body)
	}
}

// damageTable overwrites the first page of a table or an index in a database that nobody has open.
func damageTable(t *testing.T, path, name string) {
	t.Helper()
	if err := os.Remove(path + ".sum"); err != nil { // as after a ground that was killed
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	var page, size int64
	if err := db.QueryRow("SELECT rootpage, page_size FROM sqlite_master, pragma_page_size WHERE name = ?", name).Scan(&page, &size); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xa5}, int(size)), (page-1)*size); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
