package main

import (
	"bufio"
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/ground/store"
	"github.com/fulmar-io/fulmar/internal/extent"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/carrier"
	"github.com/fulmar-io/fulmar/machines/rover"
	"github.com/fulmar-io/fulmar/node"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// journalist publishes records with an identity, and writes into its journal which of them were published: after, and
// never before, Publish has returned.
type journalist struct {
	life    uint64
	class   fulmar.Class
	period  time.Duration
	journal *os.File
	last    uint64
	out     fulmar.Out[identified]
}

type identified struct {
	ID    uint64 `fulmar:"id"`
	Noise [4]float64
}

func (j *journalist) Spec() fulmar.Spec {
	return fulmar.Spec{Name: "journalist-" + j.class.String(), Tasks: []fulmar.Task{{Name: "write", Period: j.period,
		Writes: []fulmar.Output{j.out.As("record", j.class)}, Step: j.step}}}
}

func (j *journalist) step(s *fulmar.Step) error {
	if j.last != 0 { // the record of the step before has left
		if _, err := fmt.Fprintln(j.journal, j.last); err != nil {
			return err
		}
	}
	j.last = j.life<<40 | uint64(j.class)<<32 | (s.Run + 1)
	j.out.Set(identified{ID: j.last, Noise: [4]float64{rand.NormFloat64(), rand.NormFloat64(), rand.NormFloat64(), rand.NormFloat64()}})
	return nil
}

// machineChild runs a machine until SIGTERM: journalists, or the demo's rover.
func machineChild(kind, device, dir, broker, life string) (err error) {
	parts := rover.Components(1)
	if kind == "machine" {
		if parts, err = journalists(dir, life); err != nil {
			return err
		}
	}
	unlock, err := env.LockFolder(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	o, err := childOptions(device, dir, broker, parts)
	if err != nil {
		return err
	}
	m, err := node.New(o)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return m.Run(ctx)
}

// segmentEnv makes the segments of a child's spool so many bytes.
const segmentEnv = "FULMAR_TEST_SEGMENT"

// childOptions are a child's machine.
func childOptions(device, dir, broker string, parts []fulmar.Component) (o node.Options, err error) {
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	o = node.Options{Device: device, Rings: node.SharedRings{Logger: logger}, Components: parts, Linger: 30 * time.Second,
		Courier: demoDefaults().Courier.Options(), Random: crand.Reader, Rand: rand.New(rand.NewPCG(rand.Uint64(), 1)),
		Logger: logger}
	if s := os.Getenv(segmentEnv); s != "" {
		if o.Courier.Spool.SegmentBytes, err = strconv.ParseInt(s, 10, 64); err != nil {
			return o, err
		}
	}
	if o.Disk, err = env.NewOSDisk(dir); err != nil {
		return o, err
	}
	d, err := carrier.Settings{URL: carrier.URL(broker)}.Dialer(device, nil)
	o.Links = []link.Dialer{d}
	return o, err
}

func journalists(dir, life string) ([]fulmar.Component, error) {
	n, err := strconv.ParseUint(life, 10, 20)
	if err != nil {
		return nil, err
	}
	var parts []fulmar.Component
	for i, period := range []time.Duration{200 * time.Millisecond, 10 * time.Millisecond, 5 * time.Millisecond} {
		class := packet.ClassAt(i)
		journal, err := os.OpenFile(filepath.Join(dir, "journal-"+class.String()), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return nil, err
		}
		parts = append(parts, &journalist{life: n, class: class, period: period, journal: journal})
	}
	return parts, nil
}

// The ground is killed and stays down for 20 s; in the middle of that the machine is killed; both come back. Every record
// whose Publish had returned is at the ground, once.
func TestOutageWithRealProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	first, end := extent.Of(t, 20)
	var wg sync.WaitGroup
	for i := first; i < end; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := outage(t, int(i)); err != nil {
				t.Errorf("run %d: %v", i, err)
			}
		}()
	}
	wg.Wait()
	extent.Covered(t, end-first, "kills of a ground")
}

func outage(t *testing.T, i int) error {
	rng := rand.New(rand.NewPCG(uint64(i), 5))
	dir := t.TempDir()
	machineDir, groundDir := filepath.Join(dir, "machine"), filepath.Join(dir, "ground")
	if err := os.Mkdir(machineDir, 0o750); err != nil {
		return err
	}
	device := fmt.Sprintf("outage-%d-%d", os.Getpid(), i)
	mqtt := freePort(t)
	ground := func() *process {
		return startChild(t, "fulmar", "ground", "--data", groundDir, "--http", "127.0.0.1:0", "--mqtt", mqtt)
	}
	machine := func(life int) *process {
		return startChild(t, "machine", device, machineDir, "mqtt://"+mqtt, strconv.Itoa(life))
	}
	wait := func(d time.Duration) { <-time.After(d) }
	g, m := ground(), machine(1)
	wait(3*time.Second + time.Duration(rng.IntN(1000))*time.Millisecond)
	_ = g.end(syscall.SIGKILL)
	down := time.Now()
	wait(time.Duration(3000+rng.IntN(12000)) * time.Millisecond)
	_ = m.end(syscall.SIGKILL)
	wait(time.Duration(rng.IntN(1500)) * time.Millisecond)
	m2 := machine(2)
	wait(20*time.Second - time.Since(down))
	g2 := ground()
	wait(3 * time.Second)
	if err := m2.end(syscall.SIGTERM); err != nil {
		return fmt.Errorf("machine: %w\n%s", err, m2.out.String())
	}
	if err := g2.end(syscall.SIGTERM); err != nil {
		return fmt.Errorf("ground: %w\n%s", err, g2.out.String())
	}
	return compare(machineDir, groundDir, m2, 3000, 3)
}

// compare holds the machine's journals against the ground's frames, of which at most so many numbers are declared lost.
func compare(machineDir, groundDir string, m *process, least int, most uint64) error {
	arrived, lost, err := readIDs(groundDir)
	if err != nil {
		return err
	}
	total := 0
	for i := range packet.Classes {
		f, err := os.Open(filepath.Join(machineDir, "journal-"+packet.ClassAt(i).String()))
		if err != nil {
			return err
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); total++ {
			id, err := strconv.ParseUint(lines.Text(), 10, 64)
			if err != nil {
				return err
			}
			if arrived[id] != 1 {
				return fmt.Errorf("record %x arrived %d times; the second life said:\n%s", id, arrived[id], m.out.String())
			}
		}
	}
	if total < least || lost > most {
		// A SIGKILL may hit between a number and its record, once per task: those were not published.
		return fmt.Errorf("%d records published, %d numbers declared lost", total, lost)
	}
	return nil
}

// readIDs counts the identities in a ground's frames.
func readIDs(dir string) (ids map[uint64]int, lost uint64, err error) {
	disk, err := env.NewOSDisk(dir)
	if err != nil {
		return nil, 0, err
	}
	frames, err := store.OpenFrames(disk, "frames", store.FramesOptions{ReadOnly: true})
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, frames.Close()) }()
	ids = make(map[uint64]int)
	var catalog telemetry.Catalog
	catalog.Add(telemetry.LayoutRecords)
	dec := frame.NewDecoder(frame.Limits{})
	for pass := range 2 { // the first finds the layouts
		for i := frames.First(); i < frames.Next(); i++ {
			_, data, err := frames.Read(i)
			if err != nil {
				return nil, 0, err
			}
			if _, err := dec.Decode(data, &catalog); err != nil && pass == 1 {
				return nil, 0, err
			}
			if pass == 1 && dec.Header().Mode == frame.Lost {
				lost += dec.Header().Count
			}
			for r := range dec.Records() {
				switch {
				case pass == 0 && r.Layout == telemetry.LayoutRecords:
					if l, err := telemetry.ParseDefinition(r.Packet); err == nil {
						catalog.Add(l)
					}
				case pass == 1 && r.Layout.Fields[0].Name == "id":
					ids[binary.LittleEndian.Uint64(r.Packet[packet.HeaderSize:])]++
				}
			}
		}
	}
	return ids, lost, nil
}
