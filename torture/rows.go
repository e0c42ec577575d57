package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// row is one line of the table.
type row struct {
	name, what string
	parts      []part
}

// part is a test that a row is made of.
type part struct {
	pkg, test string
	args      []string // more that the test is given
	chunk     uint64   // how many cases are done at a time: about a minute's worth
	fuzz      bool     // it is a fuzz target, and cases are seconds
	bug       *bug     // to be planted; then there is no test of its own
	// want is what is to be covered, by the unit that the test counts in. Without any, the test is all there is, and is run once.
	want map[string]uint64
}

// all stands for as many as the test says there are.
const all = 0

func (p *part) name() string { return p.pkg + " " + p.test }

// rows is the table. Its order is the issue's; what is done first is what is furthest behind.
func rows() []row {
	return []row{
		{"crash", "a crash after every operation of the disk, and again within the recovery", []part{
			{pkg: "./seglog", test: "TestCrashAfterEveryOperation", chunk: 500, want: map[string]uint64{"crash points": 1_000_000, "crashes within a recovery": 10_000}},
		}},
		{"world", "whole systems in virtual time, ten minutes each: loss, duplication, reordering, partitions, crashes, clock jumps, two links", []part{
			{pkg: "./sim/world", test: "TestEveryRecordIsAccountedFor", args: []string{"-world.minutes=10"}, chunk: 40, want: map[string]uint64{"worlds": 10_000}},
		}},
		{"forge", "frames, session openings and commands forged or replayed", []part{
			{pkg: "./ground/ingest", test: "TestNothingForgedOrReplayedIsAccepted", chunk: 50_000, want: map[string]uint64{"forged or replayed frames and openings": 600_000}},
			{pkg: "./courier", test: "TestNoCommandThatIsForgedOrReplayedIsCarriedOut", chunk: 50_000, want: map[string]uint64{"forged or replayed commands": 400_000}},
		}},
		{"counters", "a key and a counter that come twice, over starts of either end", []part{
			{pkg: "./secure/seal", test: "TestNoKeyAndCounterComeTwice", chunk: 500, want: map[string]uint64{"restarts": 10_000}},
		}},
		{"kill", "SIGKILL of either half, of the ground, of Mosquitto and of NATS, under load", []part{
			{pkg: "./cmd/fulmar", test: "TestHalvesAreKilled"},
			{pkg: "./cmd/fulmar", test: "TestOutageWithRealProcesses", chunk: 20, want: map[string]uint64{"kills of a ground": 100}},
			{pkg: "./cmd/fulmar", test: "TestBrokersAreKilled", chunk: 20, want: map[string]uint64{"kills of a broker": 200}},
			{pkg: "./cmd/fulmar", test: "TestSecuredThroughKills"},
		}},
		{"disk", "the k-th call of the disk fails, once and for good; the disk is full", []part{
			{pkg: "./seglog", test: "TestEveryCallFailing", chunk: 40, want: map[string]uint64{"failing calls of a log's disk": 16_000}},
			{pkg: "./seglog", test: "TestDiskFull"},
			{pkg: "./cmd/fulmar", test: "TestTheMachinesDiskIsFull"},
			{pkg: "./cmd/fulmar", test: "TestTheGroundsDiskIsFull"},
			{pkg: "./cmd/fulmar", test: "TestAMachineStartsWithAFullDisk"},
			{pkg: "./cmd/fulmar", test: "TestTheLoopsKeepTheirRateOnAFullDisk"},
		}},
		{"damage", "every bit flipped, and files cut at every byte", []part{
			{pkg: "./seglog", test: "TestFlipEveryBit"},
			{pkg: "./seglog", test: "TestTruncateEverywhere"},
			{pkg: "./courier/spool", test: "TestAnyBitOfASpoolMayFlip", chunk: 20_000, want: map[string]uint64{"flipped bits of a spool": all}},
			{pkg: "./courier/spool", test: "TestASpoolMayBeCutAnywhere", chunk: 20_000, want: map[string]uint64{"cuts of a spool": all}},
			{pkg: "./ground/ingest", test: "TestAnyBitOfAFrameLogMayFlip", chunk: 20_000, want: map[string]uint64{"flipped bits of a frame log": all}},
			{pkg: "./ground/ingest", test: "TestAFrameLogMayBeCutAnywhere", chunk: 20_000, want: map[string]uint64{"cuts of a frame log": all}},
			{pkg: "./ground/store", test: "TestEveryPageOfTheIndexMayBeDamaged"},
			{pkg: "./ground/store", test: "TestAnyBitOfAnIndexMayFlip", chunk: 2000, want: map[string]uint64{"flipped bits of an index": all}},
		}},
		{"servers", "malformed MQTT, NATS, gRPC, serial and HTTP input to running servers, with neighbours that must be served", []part{
			{pkg: "./cmd/fulmar", test: "TestServersOutliveMalformedInput", chunk: 1000, want: map[string]uint64{"malformed inputs to running servers": 3000}},
		}},
	}
}

// fuzzing is a row of every fuzz target of the project, for ten minutes each.
func fuzzing() (row, error) {
	r := row{name: "fuzz", what: "every decoder that a peer can reach, and the others that have a target"}
	target := regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") || strings.Contains(path, "node_modules") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range target.FindAllSubmatch(b, -1) {
			r.parts = append(r.parts, part{pkg: "./" + filepath.ToSlash(filepath.Dir(path)), test: string(m[1]), fuzz: true, chunk: 60,
				want: map[string]uint64{fuzzSeconds: 600}})
		}
		return nil
	})
	if err == nil && len(r.parts) == 0 {
		err = errors.New("none found")
	}
	if err != nil {
		return r, fmt.Errorf("torture: fuzz targets: %w", err)
	}
	return r, nil
}

// planting is a row of the planted bugs, each of which must be caught.
func planting(bugs []bug) row {
	r := row{name: "bugs", what: "planted bugs, each of which a test must catch"}
	for i := range bugs {
		r.parts = append(r.parts, part{pkg: bugDir, test: bugs[i].name, bug: &bugs[i]})
	}
	return r
}

const fuzzSeconds = "seconds of fuzzing"

// choose returns the rows of these names, or all.
func choose(all []row, names []string) ([]row, error) {
	if len(names) == 0 {
		return all, nil
	}
	var list []row
	for _, name := range names {
		found := false
		for _, r := range all {
			if r.name == name {
				list, found = append(list, r), true
			}
		}
		if !found {
			return nil, fmt.Errorf("torture: no row %q", name)
		}
	}
	return list, nil
}

// thousands writes a number as people read it.
func thousands(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
