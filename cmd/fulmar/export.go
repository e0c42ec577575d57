package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/ground"
	"github.com/fulmar-io/fulmar/ground/export"
	"github.com/fulmar-io/fulmar/ground/store"
)

type exportOptions struct {
	data, format, out, device string
	series                    []string
	from, to                  string
}

func exportCommand() *cobra.Command {
	o := exportOptions{}
	c := &cobra.Command{
		Use:   "export --data FOLDER --format csv|mcap --out FILE",
		Short: "Write what a ground has stored as CSV or MCAP",
		Long: `Write records of a ground's store to a file, every value and timestamp bit for bit. The ground may run meanwhile: then
the export reads all its frames once, and leaves out what is committed after it began, and what is let go meanwhile. The
exit status is 1 if records are stored that cannot be read; the rest is in the file, which says what is missing.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return exportStore(c, o) },
	}
	c.Flags().StringVar(&o.data, "data", "fulmar-ground", "the ground's folder")
	c.Flags().StringVar(&o.format, "format", "mcap", "csv or mcap")
	c.Flags().StringVar(&o.out, "out", "", "file to write; it must not exist")
	c.Flags().StringVar(&o.device, "device", "", "only this machine; empty for all")
	c.Flags().StringSliceVar(&o.series, "series", nil, "only these series, separated by commas")
	c.Flags().StringVar(&o.from, "from", "", "only from this time on, as 2026-01-31T12:00:00Z")
	c.Flags().StringVar(&o.to, "to", "", "only before this time")
	return c
}

func exportStore(c *cobra.Command, o exportOptions) (err error) {
	ctx := c.Context()
	if o.out == "" {
		return &usageError{err: errors.New("export: no file"), hint: "say where to with --out FILE"}
	}
	if o.format != "csv" && o.format != "mcap" {
		return &usageError{err: fmt.Errorf("export: format %q", o.format), hint: "formats are csv and mcap"}
	}
	from, err := instant("--from", o.from)
	if err != nil {
		return err
	}
	to, err := instant("--to", o.to)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(o.data, "frames")); err != nil {
		return &hintedError{err: err, hint: "name the folder that fulmar ground was given with --data"}
	}
	indexPath := filepath.Join(o.data, "index.sqlite")
	unlock, err := env.LockFolder(o.data)
	switch {
	case err == nil:
		defer func() { err = errors.Join(err, unlock()) }()
	case errors.Is(err, env.ErrLocked):
		// The ground runs and writes its index: what is exported is found by one of our own.
		dir, err := os.MkdirTemp("", "fulmar-export-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		indexPath = filepath.Join(dir, "index.sqlite")
	default:
		return err
	}
	disk, err := env.NewOSDisk(o.data)
	if err != nil {
		return err
	}
	frames, err := store.OpenFrames(disk, "frames", store.FramesOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, frames.Close()) }()
	index, _, err := store.OpenIndex(ctx, indexPath, frames)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, index.Close()) }()
	var done ground.Exported
	err = writeNew(o.out, func(w io.Writer) (err error) {
		done, err = export.New(index).Export(ctx, w, o.format, o.device, o.series, from, to)
		return err
	})
	switch {
	case errors.Is(err, ground.ErrNotFound):
		return &hintedError{err: err, hint: o.known(ctx, index)}
	case err != nil:
		return err
	case done.Unread > 0:
		return &hintedError{err: fmt.Errorf("export: %d records are stored and could not be read; the first: %w", done.Unread, done.Cause),
			hint: fmt.Sprintf("the other %d are in %s, which says what is missing", done.Records, o.out)}
	case done.Records == 0:
		fmt.Fprintf(c.ErrOrStderr(), "No record matches: %s has none.\n", o.out)
	default:
		fmt.Fprintf(c.ErrOrStderr(), "%d records are in %s.\n", done.Records, o.out)
	}
	return nil
}

// known says what there is to be exported.
func (o exportOptions) known(ctx context.Context, source ground.Source) string {
	const most = 20
	machines, err := source.Machines(ctx)
	if err != nil || len(machines) == 0 {
		return "this ground has heard of no machine"
	}
	var names, series []string
	for _, m := range machines {
		names = append(names, m.Device)
		if o.device != "" && m.Device != o.device {
			continue
		}
		list, err := source.Series(ctx, m.Device)
		if err != nil {
			return ""
		}
		for _, s := range list {
			series = append(series, s.Name)
		}
	}
	what, all := "machines are ", names
	if o.device == "" || slices.Contains(names, o.device) {
		what, all = "series are ", slices.Compact(slices.Sorted(slices.Values(series)))
	}
	if len(all) > most {
		return what + strings.Join(all[:most], ", ") + fmt.Sprintf(" and %d more", len(all)-most)
	}
	return what + strings.Join(all, ", ")
}

// instant reads a time of a flag, in ns since 1970; 0 for none.
func instant(flag, s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return 0, &usageError{err: fmt.Errorf("export: %s %q: %w", flag, s, err), hint: "a time looks like 2026-01-31T12:00:00Z"}
	}
	return t.UnixNano(), nil
}

// writeNew makes a file that must not exist, and removes it again if it could not be written whole.
func writeNew(path string, write func(io.Writer) error) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if errors.Is(err, fs.ErrExist) {
		return &hintedError{err: err, hint: "nothing is written over; choose another file with --out, or remove this one"}
	}
	if err != nil {
		return err
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
