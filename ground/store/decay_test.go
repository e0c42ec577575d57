package store_test

import (
	"context"
	"database/sql"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/fulmar-io/fulmar/ground"
	"github.com/fulmar-io/fulmar/ground/store"
	"github.com/fulmar-io/fulmar/internal/extent"
)

// askAll returns what an index says to the questions of a page, or that it is damaged.
func askAll(x *store.Index) (list []any, err error) {
	ctx := context.Background()
	ask := func(answer any, e error) {
		list = append(list, answer)
		if err == nil {
			err = e
		}
	}
	machines, e := x.Machines(ctx)
	ask(machines, e)
	series, e := x.Series(ctx, "rover")
	ask(series, e)
	traces, e := x.Range(ctx, ground.RangeQuery{Device: "rover", Series: []string{"imu/sample.ticks"}, To: 1 << 60, Buckets: 5000})
	ask(traces, e)
	return list, err
}

// Whatever bit of the index is another: it opens, and answers as before, or says that it is damaged.
func TestAnyBitOfAnIndexMayFlip(t *testing.T) {
	r := newRig(t)
	r.fill(1000 * second)
	before, err := askAll(r.index)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.index.Close(); err != nil {
		t.Fatal(err)
	}
	sound, err := os.ReadFile(r.path)
	if err != nil {
		t.Fatal(err)
	}
	bits := uint64(len(sound)) * 8
	first, end := extent.Of(t, 150)
	first, end = min(first, bits), min(end, bits)
	rebuilt, told, wrong := 0, 0, 0
	for i := first; i < end; i++ {
		b := append([]byte(nil), sound...)
		bit := i * 2_147_483_647 % bits // a prime: scattered over all of it
		b[bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(r.path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		index, noticed, err := store.OpenIndex(context.Background(), r.path, r.frames)
		if err != nil {
			t.Fatalf("case %d, bit %d: %v", i, bit, err)
		}
		after, err := askAll(index)
		switch {
		case err != nil && strings.Contains(err.Error(), "damaged"):
			told++
		case err != nil:
			t.Errorf("case %d, bit %d: %v", i, bit, err)
		case !reflect.DeepEqual(before, after):
			wrong++
			t.Errorf("case %d, byte %d, bit %d: answers differ, rebuilt %v", i, bit/8, bit%8, noticed)
		}
		if noticed != nil {
			rebuilt++
		}
		if err := index.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d noticed and rebuilt, %d told when asked, %d wrong", rebuilt, told, wrong)
	extent.Covered(t, end-first, "flipped bits of an index")
	extent.All(t, bits, "flipped bits of an index")
}

// A ground that was killed left no checksum, and its index is not taken for a damaged one. What then contradicts the frames is built anew.
func TestAChecksumIsOfAnIndexThatWasClosed(t *testing.T) {
	r := newRig(t)
	r.fill(1000 * second)
	if _, err := os.Stat(r.path + ".sum"); !os.IsNotExist(err) {
		t.Fatalf("an open index has a checksum: %v", err)
	}
	killed, err := os.ReadFile(r.path) // with what SQLite has not moved into it yet
	if err != nil {
		t.Fatal(err)
	}
	wal, err := os.ReadFile(r.path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, r.index)
	if err := r.index.Close(); err != nil {
		t.Fatal(err)
	}
	if rebuilt := r.open(); rebuilt != nil {
		t.Errorf("closed and opened: %v", rebuilt)
	}
	if err := r.index.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(r.path + ".sum"); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{r.path: killed, r.path + "-wal": wal} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if rebuilt := r.open(); rebuilt != nil {
		t.Errorf("killed and opened: %v", rebuilt)
	}
	if after := snapshot(t, r.index); !reflect.DeepEqual(before, after) {
		t.Errorf("answers differ:\n%+v\n%+v", before, after)
	}
	if err := r.index.Close(); err != nil {
		t.Fatal(err)
	}

	if err := os.Remove(r.path + ".sum"); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", r.path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("UPDATE boot SET device = device + 1"); err != nil { // a bit of a number
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	r.open()
	if after := snapshot(t, r.index); !reflect.DeepEqual(before, after) {
		t.Errorf("answers differ after a contradiction:\n%+v\n%+v", before, after)
	}
}
