package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/fulmar-io/fulmar/recording/ulog/ulogtest"
)

// flightMessages is how many messages the flight has that each script finds as flight.ulg.
const flightMessages = 2000

// flightLog makes a log of two kinds of messages.
func flightLog(messages int) []byte {
	b := ulogtest.AppendHeader(nil, 0)
	b = ulogtest.AppendMessage(b, 'F', "imu:uint64_t timestamp;float[3] gyro;double temperature;")
	b = ulogtest.AppendMessage(b, 'F', "battery:uint64_t timestamp;float voltage;uint8_t cell;")
	b = ulogtest.AppendMessage(b, 'A', byte(0), uint16(1), "imu")
	b = ulogtest.AppendMessage(b, 'A', byte(0), uint16(2), "battery")
	for i := range messages {
		us := uint64(1000 * (i + 1))
		if i%10 == 9 {
			b = ulogtest.AppendMessage(b, 'D', uint16(2), us, float32(16.8)-float32(i)/1000, uint8(4))
			b = ulogtest.AppendSync(b)
			continue
		}
		b = ulogtest.AppendMessage(b, 'D', uint16(1), us, float32(i), float32(-i), float32(i*i), 20+float64(i)/100)
	}
	return b
}

// noiseLog makes a log of messages that no compression makes smaller: about 500 bytes each.
func noiseLog(messages int) []byte {
	b := ulogtest.AppendHeader(nil, 0)
	b = ulogtest.AppendMessage(b, 'F', "noise:uint64_t timestamp;double[60] x;")
	b = ulogtest.AppendMessage(b, 'A', byte(0), uint16(1), "noise")
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range messages {
		var x [60]uint64
		for j := range x {
			x[j] = rng.Uint64()
		}
		b = ulogtest.AppendMessage(b, 'D', uint16(1), uint64(1000*(i+1)), x[:])
	}
	return b
}

// Every command, from the outside. The scripts' own commands are below; each finds a flight of flightMessages in flight.ulg, and
// the machines that are part of the project in $MACHINES.
func TestScripts(t *testing.T) {
	machines, err := filepath.Abs("../../machines")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("MACHINES", machines)
			e.Setenv(insecure, "true") // but for those that set it
			return os.WriteFile(filepath.Join(e.WorkDir, "flight.ulg"), flightLog(flightMessages), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": scriptExits, "ports": scriptPorts, "ready": scriptReady, "json": scriptJSON, "flip": scriptFlip, "cut": scriptCut,
			"newer": scriptNewer, "noise": scriptNoise, "capture": scriptCapture, "eventually": scriptEventually, "setenv": scriptSetenv,
		},
	})
}

// scriptNoise writes a log of so many messages that cannot be made smaller: noise noise.ulg 1000.
func scriptNoise(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: noise FILE MESSAGES")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), noiseLog(n), 0o600))
}

// scriptExits runs a program that must end with a status: exits 2 fulmar replay. One that panics ends with 2 as well, which
// is why its words are looked at.
func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS PROGRAM [ARGUMENT]...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var ended *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &ended) {
		got = ended.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if stderr := ts.ReadFile("stderr"); strings.Contains(stderr, "panic: ") || strings.Contains(stderr, "goroutine ") {
		ts.Fatalf("it panicked")
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// scriptSetenv sets a variable to the first line of a file: setenv FULMAR_TOKEN token.
func scriptSetenv(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: setenv NAME FILE")
	}
	line, _, _ := strings.Cut(ts.ReadFile(args[1]), "\n")
	ts.Setenv(args[0], line)
}

// scriptEventually runs a program until it ends with a status: eventually 0 fulmar command rover.
func scriptEventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually STATUS PROGRAM [ARGUMENT]...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	for deadline := time.Now().Add(time.Minute); ; {
		got := 0
		var ended *exec.ExitError
		if err := ts.Exec(args[1], args[2:]...); errors.As(err, &ended) {
			got = ended.ExitCode()
		}
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("it ends with %d, want %d", got, want)
		}
		<-time.After(100 * time.Millisecond)
	}
}

// scriptPorts sets each variable to an address that is free: ports HTTP MQTT.
func scriptPorts(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: ports VARIABLE...")
	}
	for _, name := range args {
		address, err := freeAddress()
		ts.Check(err)
		ts.Setenv(name, address)
	}
}

// scriptReady waits until a ground answers that it can do its work: ready $HTTP.
func scriptReady(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ready ADDRESS")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := waitReady(ctx, "http://"+args[0]); err != nil {
		ts.Fatalf("the ground at %s is not ready: %v", args[0], err)
	}
}

// scriptJSON compares a field of an object with a number, a text or another field: json stdout delivered = produced.
// A path goes into objects and lists by dots: machines.0.device.
func scriptJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: json FILE FIELD =|!=|<|> VALUE|FIELD")
	}
	var object any
	if err := json.Unmarshal([]byte(ts.ReadFile(args[0])), &object); err != nil {
		ts.Fatalf("%s: %v", args[0], err)
	}
	left, ok := jsonField(object, args[1])
	if !ok {
		ts.Fatalf("no field %s in %s", args[1], ts.ReadFile(args[0]))
	}
	right, ok := jsonField(object, args[3])
	if !ok && json.Unmarshal([]byte(args[3]), &right) != nil {
		right = args[3]
	}
	if !compareJSON(left, args[2], right) {
		ts.Fatalf("%s is %v; want %s %v", args[1], left, args[2], right)
	}
}

// scriptCapture sets a variable to a field of an object: capture TOKEN stdout token.
func scriptCapture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: capture VARIABLE FILE FIELD")
	}
	var object any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &object))
	v, ok := jsonField(object, args[2])
	if !ok {
		ts.Fatalf("no field %s in %s", args[2], ts.ReadFile(args[1]))
	}
	ts.Setenv(args[0], fmt.Sprint(v))
}

func jsonField(v any, path string) (any, bool) {
	for name := range strings.SplitSeq(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			var ok bool
			if v, ok = in[name]; !ok {
				return nil, false
			}
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(in) {
				return nil, false
			}
			v = in[i]
		default:
			return nil, false
		}
	}
	return v, true
}

func compareJSON(a any, operator string, b any) bool {
	x, ok := a.(float64)
	y, ok2 := b.(float64)
	switch operator {
	case "=":
		return fmt.Sprint(a) == fmt.Sprint(b)
	case "!=":
		return fmt.Sprint(a) != fmt.Sprint(b)
	case "<":
		return ok && ok2 && x < y
	case ">":
		return ok && ok2 && x > y
	}
	return false
}

// scriptFlip flips one bit of a byte of the file that a pattern names: flip G/frames/*.seg 100. A negative place counts
// from the end.
func scriptFlip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: flip FILE OFFSET")
	}
	change(ts, args[0], func(b []byte) []byte {
		at, err := strconv.Atoi(args[1])
		ts.Check(err)
		if at < 0 {
			at += len(b)
		}
		b[at] ^= 0x10
		return b
	})
}

// scriptCut keeps the first bytes of a file, or with a negative number drops the last: cut flight.ulg -5.
func scriptCut(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: cut FILE BYTES")
	}
	change(ts, args[0], func(b []byte) []byte {
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		if n < 0 {
			n += len(b)
		}
		return b[:n]
	})
}

// change rewrites the one file that a pattern names.
func change(ts *testscript.TestScript, pattern string, f func([]byte) []byte) {
	names, err := filepath.Glob(ts.MkAbs(pattern))
	ts.Check(err)
	if len(names) == 0 {
		ts.Fatalf("no file %s", pattern)
	}
	name := names[len(names)-1]
	b, err := os.ReadFile(name)
	ts.Check(err)
	ts.Check(os.WriteFile(name, f(b), 0o600))
	ts.Logf("changed %s of %d bytes", name, len(b))
}

// scriptNewer makes a segment of a log look as if the next format had written it: newer D/spool/bulk/*.seg. Where a
// segment's version and checksum stay is the promise of seglog's doc.go.
func scriptNewer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: newer FILE")
	}
	change(ts, args[0], func(b []byte) []byte {
		binary.LittleEndian.PutUint32(b[8:], binary.LittleEndian.Uint32(b[8:])+1)
		binary.LittleEndian.PutUint32(b[60:], crc32.Checksum(b[:60], crc32.MakeTable(crc32.Castagnoli)))
		return b
	})
}
