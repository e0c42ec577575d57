package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fulmar-io/fulmar/courier"
	"github.com/fulmar-io/fulmar/courier/spool"
	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/ground/ingest"
	"github.com/fulmar-io/fulmar/ground/store"
	"github.com/fulmar-io/fulmar/seglog"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

type inspectOptions struct {
	verify, reindex, dead, resend, orders, json bool
}

func inspectCommand() *cobra.Command {
	o := inspectOptions{}
	c := &cobra.Command{
		Use:   "inspect FOLDER",
		Short: "Look into a machine's spool or a ground's data: what is there, whether it is whole, its ledger",
		Long: `Look into the data of a machine (the folder that holds "spool", or the spool itself) or of a ground (the folder that
holds "frames"). Nothing is changed without --reindex or --resend; those want the machine or the ground stopped.
The exit status is 1 if --verify finds damage.`,
		Args: oneArg("a folder"),
		RunE: func(c *cobra.Command, args []string) error { return inspect(c, args[0], o) },
	}
	c.Flags().BoolVar(&o.verify, "verify", false, "read everything and tell what is damaged")
	c.Flags().BoolVar(&o.reindex, "reindex", false, "of a ground: build the index again from the frames")
	c.Flags().BoolVar(&o.dead, "dead", false, "of a machine: list the frames that the ground refused")
	c.Flags().BoolVar(&o.resend, "resend", false, "of a machine: put the refused frames back into the spool")
	c.Flags().BoolVar(&o.orders, "orders", false, "list the commands that were given, by whom, and what became of them")
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON object on stdout; of --orders one a line")
	return c
}

func inspect(c *cobra.Command, path string, o inspectOptions) (err error) {
	has := func(name string) bool {
		st, err := os.Stat(filepath.Join(path, name))
		return err == nil && st.IsDir()
	}
	isSpool := has("urgent") && has("bulk")
	if o.reindex || o.resend {
		if _, err := os.Stat(path); err != nil {
			return err
		}
		locked := path
		if isSpool { // the machine holds the folder around it
			locked = filepath.Dir(filepath.Clean(path))
		}
		unlock, lockErr := lock(locked)
		if lockErr != nil {
			return lockErr
		}
		defer func() { err = errors.Join(err, unlock()) }()
	}
	switch {
	case o.orders && has("frames"):
		return groundOrders(c, path, o.json)
	case o.orders && has("spool"):
		return machineOrders(c, path, "spool", o.json)
	case o.orders && isSpool:
		return machineOrders(c, filepath.Dir(filepath.Clean(path)), filepath.Base(filepath.Clean(path)), o.json)
	case has("frames"):
		if o.dead || o.resend {
			return &usageError{err: fmt.Errorf("%s is a ground's: dead letters are with the machines", path)}
		}
		return inspectGround(c, path, o)
	case has("spool"):
		return inspectSpool(c, path, "spool", o)
	case isSpool:
		return inspectSpool(c, filepath.Dir(filepath.Clean(path)), filepath.Base(filepath.Clean(path)), o)
	}
	if _, err := os.Stat(path); err != nil {
		return err
	}
	return &usageError{err: fmt.Errorf("%s holds neither a spool nor a ground's frames", path),
		hint: "name the folder given to --data, or the one below it that has spool or frames in it"}
}

// damage is what --verify found in one log.
type damage struct {
	Log     string   `json:"log"`
	Records uint64   `json:"records"`
	Bytes   int64    `json:"bytes"`
	Lost    uint64   `json:"lost"`
	Where   []string `json:"where,omitempty"`
}

func damageOf(name string, v seglog.Verification) damage {
	d := damage{Log: name, Records: v.Records, Bytes: v.Bytes, Lost: v.Lost}
	for _, e := range v.Damaged {
		d.Where = append(d.Where, e.Error())
	}
	for _, h := range v.Headers {
		d.Where = append(d.Where, "segment "+h+": header or checkpoint damaged, no record lost")
	}
	return d
}

var errDamaged = errors.New("damage was found")

// classReport is one class of a spool.
type classReport struct {
	Class     string            `json:"class"`
	Boot      string            `json:"boot"`
	Clean     bool              `json:"ended_cleanly"`
	Numbered  uint64            `json:"numbered"`
	Delivered uint64            `json:"delivered"`
	Waiting   uint64            `json:"waiting"`
	Lost      uint64            `json:"lost"`
	LostBy    map[string]uint64 `json:"lost_by,omitempty"`
}

type spoolReport struct {
	Bytes   int64         `json:"bytes"`
	Quota   int64         `json:"quota_default"`
	Classes []classReport `json:"classes"`
	Dead    []letter      `json:"dead_letters,omitempty"`
	Damage  []damage      `json:"verified,omitempty"`
	Resent  int           `json:"resent,omitempty"`
}

type letter struct {
	Index   uint64 `json:"index"`
	Stream  string `json:"stream"`
	First   uint64 `json:"first"`
	Records uint64 `json:"records"`
	Code    string `json:"code"`
	Reason  string `json:"reason"`
}

func lostBy(a ledger.Account) map[string]uint64 {
	m := make(map[string]uint64)
	for r := range ledger.Reason(ledger.Reasons) {
		if a.LostBy[r] > 0 {
			m[r.String()] = a.LostBy[r]
		}
	}
	return m
}

func inspectSpool(c *cobra.Command, root, dir string, o inspectOptions) (err error) {
	disk, err := env.NewOSDisk(root)
	if err != nil {
		return err
	}
	s, err := spool.Open(disk, dir, "inspect", spool.Options{ReadOnly: !o.resend})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	var r spoolReport
	r.Bytes, r.Quota = s.Bytes()
	for i := range packet.Classes {
		class := packet.ClassAt(i)
		state, a := s.State(class), s.Account(class)
		r.Classes = append(r.Classes, classReport{Class: class.String(), Boot: state.Boot.String(), Clean: state.Clean,
			Numbered: a.Numbered, Delivered: a.Delivered, Waiting: a.Waiting, Lost: a.Lost(), LostBy: lostBy(a)})
	}
	if o.dead || o.resend {
		if err := r.letters(disk, dir, s, o.resend); err != nil {
			return err
		}
	}
	if o.verify {
		found, err := s.Verify()
		if err != nil {
			return err
		}
		for i, v := range found {
			r.Damage = append(r.Damage, damageOf(packet.ClassAt(i).String(), v))
		}
	}
	if err := r.print(c.OutOrStdout(), o); err != nil {
		return err
	}
	return verdict(r.Damage)
}

// letters lists the dead letters and, with resend, puts them back.
func (r *spoolReport) letters(disk env.Disk, dir string, s *spool.Spool, resend bool) (err error) {
	var d *courier.DeadLetters
	if resend {
		d, err = courier.OpenDeadLetters(disk, dir+"/dead", 0)
	} else {
		d, err = courier.ReadDeadLetters(disk, dir+"/dead")
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	var failed error
	type numbers struct {
		stream telemetry.Stream
		first  uint64
	}
	// A machine that died before it had noted a refusal was refused again, and has the letter twice.
	resent := make(map[numbers]bool)
	err = d.Each(func(l courier.DeadLetter) bool {
		h, err := frame.Peek(l.Frame)
		if err != nil {
			return true
		}
		r.Dead = append(r.Dead, letter{Index: l.Index, Stream: h.Stream.String(), First: h.First, Records: h.Count, Code: l.Code.String(), Reason: l.Reason})
		if n := (numbers{h.Stream, h.First}); resend && !resent[n] {
			resent[n] = true
			if failed = s.Again(l.Class, l.Frame); failed != nil {
				return false
			}
			r.Resent++
		}
		return true
	})
	if err = errors.Join(err, failed); err != nil || !resend {
		return err
	}
	if err := s.Sync(); err != nil {
		return err
	}
	return d.Clear()
}

func verdict(found []damage) error {
	for _, d := range found {
		if d.Lost > 0 || len(d.Where) > 0 {
			return errDamaged
		}
	}
	return nil
}

func (r spoolReport) print(w io.Writer, o inspectOptions) error {
	if o.json {
		return json.NewEncoder(w).Encode(r)
	}
	fmt.Fprintf(w, "spool of %d bytes\n\n%-8s %10s %10s %10s %10s  %s\n", r.Bytes, "class", "numbered", "delivered", "waiting", "lost", "boot")
	for _, k := range r.Classes {
		end := ""
		if !k.Clean {
			end = ", not ended"
		}
		fmt.Fprintf(w, "%-8s %10d %10d %10d %10d  %s%s\n", k.Class, k.Numbered, k.Delivered, k.Waiting, k.Lost, k.Boot, end)
	}
	for _, l := range r.Dead {
		fmt.Fprintf(w, "dead letter %d: records %d to %d of %s: %s: %s\n", l.Index, l.First, l.First+l.Records-1, l.Stream, l.Code, l.Reason)
	}
	if o.dead && len(r.Dead) == 0 {
		fmt.Fprintln(w, "no dead letters")
	}
	if o.resend {
		fmt.Fprintf(w, "%d frames are back in the spool\n", r.Resent)
	}
	printDamage(w, r.Damage)
	return nil
}

func printDamage(w io.Writer, found []damage) {
	for _, d := range found {
		fmt.Fprintf(w, "verified %s: %d records of %d bytes whole, %d lost\n", d.Log, d.Records, d.Bytes, d.Lost)
		for _, where := range d.Where {
			fmt.Fprintln(w, "  "+where)
		}
	}
}

type groundReport struct {
	Frames   uint64         `json:"frames"`
	Bytes    int64          `json:"bytes"`
	Indexed  uint64         `json:"indexed"`
	Machines []machineEntry `json:"machines"`
	Damage   []damage       `json:"verified,omitempty"`
}

type machineEntry struct {
	Device    string            `json:"device"`
	Records   uint64            `json:"records"`
	Readings  uint64            `json:"readings"`
	Numbered  uint64            `json:"numbered"`
	Delivered uint64            `json:"delivered"`
	Missing   uint64            `json:"missing"`
	LostBy    map[string]uint64 `json:"lost_by,omitempty"`
}

func inspectGround(c *cobra.Command, path string, o inspectOptions) (err error) {
	disk, err := env.NewOSDisk(path)
	if err != nil {
		return err
	}
	in, err := ingest.OpenIntake(disk, "frames", ingest.Options{}, store.FramesOptions{ReadOnly: !o.reindex})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	frames := in.Frames()
	r := groundReport{Frames: frames.Next() - frames.First(), Bytes: frames.Bytes()}
	if err := r.index(c.Context(), in, filepath.Join(path, "index.sqlite"), o); err != nil {
		return err
	}
	if o.verify {
		v, definitions, err := frames.Verify()
		if err != nil {
			return err
		}
		r.Damage = append(r.Damage, damageOf("frames", v), damageOf("definitions", definitions))
	}
	if o.json {
		err = json.NewEncoder(c.OutOrStdout()).Encode(r)
	} else {
		r.print(c.OutOrStdout())
	}
	return errors.Join(err, verdict(r.Damage))
}

// index reads what the index tells, if there is one or it is to be made.
func (r *groundReport) index(ctx context.Context, in *ingest.Intake, path string, o inspectOptions) (err error) {
	for _, device := range slices.Sorted(slices.Values(in.Devices())) {
		a, _ := in.Account(device)
		r.Machines = append(r.Machines, machineEntry{Device: device, Numbered: a.Numbered, Delivered: a.Delivered, Missing: a.Waiting, LostBy: lostBy(a)})
	}
	if _, err := os.Stat(path); err != nil && !o.reindex {
		return nil
	}
	x, rebuilt, err := store.OpenIndex(ctx, path, in.Frames())
	if o.reindex && rebuilt == nil {
		// The old one was opened, as it may know layouts that are damaged among the definitions.
		if err == nil {
			err = x.Close()
		}
		if err != nil && !errors.Is(err, store.ErrVersion) {
			return err
		}
		x, err = newIndex(ctx, path, in.Frames())
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	r.Indexed = x.Next() - in.Frames().First()
	machines, err := x.Machines(ctx)
	if err != nil {
		return err
	}
	for i := range r.Machines {
		for _, m := range machines {
			if m.Device == r.Machines[i].Device {
				r.Machines[i].Records, r.Machines[i].Readings = m.Records, m.Readings
			}
		}
	}
	return nil
}

// newIndex removes an index and makes it again from the frames.
func newIndex(ctx context.Context, path string, frames *store.Frames) (*store.Index, error) {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	x, _, err := store.OpenIndex(ctx, path, frames)
	return x, err
}

func (r groundReport) print(w io.Writer) {
	fmt.Fprintf(w, "%d frames of %d bytes, %d indexed\n\n%-20s %12s %12s %12s %12s  %s\n", r.Frames, r.Bytes, r.Indexed, "machine", "records",
		"readings", "delivered", "missing", "declared lost")
	for _, m := range r.Machines {
		var lost []string
		for _, reason := range slices.Sorted(maps.Keys(m.LostBy)) {
			lost = append(lost, fmt.Sprintf("%s %d", reason, m.LostBy[reason]))
		}
		fmt.Fprintf(w, "%-20s %12d %12d %12d %12d  %s\n", m.Device, m.Records, m.Readings, m.Delivered, m.Missing, strings.Join(lost, ", "))
	}
	printDamage(w, r.Damage)
}
