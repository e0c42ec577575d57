// Bench compares the telemetry frame with what one would use instead, on real recordings, in one run: bytes per reading,
// and the time to encode and decode one. A reading is a nanosecond timestamp and one number; vectors are flattened.
//
// The codecs take turns, round after round, and of each the fastest round counts: what else the machine does then disturbs
// all of them alike.
//
// It is a module of its own, so that whoever uses the framework does not inherit what it is compared with.
//
//	cd bench && go run .
//
// The recordings are read from $FULMAR_TEST_DATA, by default ../../shared/data.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/fulmar-io/fulmar/telemetry"
)

// A codec turns a batch of records into bytes and back.
type codec interface {
	name() string
	// encode returns the bytes of a batch. They may be overwritten by the next call.
	encode(batch []telemetry.Record) ([]byte, error)
	// decode returns what is in the bytes.
	decode(b []byte) (tally, error)
}

// A tally is what a batch holds, as far as it can be compared between codecs: a decoder that drops or changes a value
// has another one.
type tally struct {
	readings int
	sum      uint64 // of the values: float64 bits of a float, two's complement of an integer
}

var files = []string{"sample.ulg", "sample_px4_events.ulg", "sample_log_small.ulg"}

func main() {
	rounds := flag.Int("rounds", 5, "how often each recording is encoded and decoded; the fastest counts")
	flag.Parse()
	dir := os.Getenv("FULMAR_TEST_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "data")
	}
	if err := run(filepath.Join(dir, "px4-pyulog"), *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(dir string, rounds int) error {
	fmt.Printf("%s %s/%s, one core\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	runtime.GOMAXPROCS(1)
	for _, file := range files {
		for _, every := range []time.Duration{time.Second, 10 * time.Second} {
			f, err := load(filepath.Join(dir, file), every)
			if err != nil {
				return err
			}
			fmt.Printf("\n%s, a frame per %v: %d readings in %d records, %d frames\n\n", file, every, f.tally.readings, f.records, len(f.batches))
			fmt.Println("| encoding | bytes/reading | encode ns | decode ns |")
			fmt.Println("| --- | --- | --- | --- |")
			if err := compare([]codec{newLight(f), newGorilla(f), newParquet(), newOTLP(), newJSON()}, f, rounds); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
		}
	}
	return nil
}

// result is what was measured of one codec.
type result struct {
	size           int
	encode, decode time.Duration // of the fastest round
}

func compare(codecs []codec, f *flight, rounds int) error {
	results := make([]result, len(codecs))
	for range rounds {
		for i, c := range codecs {
			if err := results[i].round(c, f); err != nil {
				return fmt.Errorf("%s: %w", c.name(), err)
			}
		}
	}
	n := float64(f.tally.readings)
	for i, c := range codecs {
		r := results[i]
		fmt.Printf("| %s | %.3f | %.1f | %.1f |\n", c.name(), float64(r.size)/n, float64(r.encode.Nanoseconds())/n, float64(r.decode.Nanoseconds())/n)
	}
	return nil
}

func (r *result) round(c codec, f *flight) error {
	var frames [][]byte
	var got tally
	r.size = 0
	encode := time.Duration(0)
	for _, batch := range f.batches {
		start := time.Now()
		b, err := c.encode(batch)
		encode += time.Since(start)
		if err != nil {
			return err
		}
		frames = append(frames, append([]byte(nil), b...))
		r.size += len(b)
	}
	start := time.Now()
	for _, b := range frames {
		t, err := c.decode(b)
		if err != nil {
			return err
		}
		got.readings += t.readings
		got.sum += t.sum
	}
	decode := time.Since(start)
	if r.encode == 0 || encode < r.encode {
		r.encode = encode
	}
	if r.decode == 0 || decode < r.decode {
		r.decode = decode
	}
	if got != f.tally && c.name() != jsonName { // JSON has no NaN
		return fmt.Errorf("decoded %+v, want %+v", got, f.tally)
	}
	return nil
}
