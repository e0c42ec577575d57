package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/config"
	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/node"
	"github.com/fulmar-io/fulmar/sched"
)

type checkOptions struct {
	graph  bool
	timing bool
	flows  bool
	types  bool
	schema string
	print  bool
	json   bool
}

func checkCommand() *cobra.Command {
	o := checkOptions{}
	c := &cobra.Command{
		Use:   "check FILE…",
		Short: "Check files of settings: what is wrong, where, and what was probably meant",
		Long: `Check files of settings (YAML, TOML or JSON) as the command that reads them would, the environment over them. The
key kind in a file says what it is for. Of a machine's, its components are made and joined, though not started, and it is
computed whether their tasks meet their deadlines, as far as they have budgets. The exit status is 2 if one of the files is wrong.`,
		RunE: func(c *cobra.Command, args []string) error { return check(c, args, o) },
	}
	c.Flags().BoolVar(&o.graph, "graph", false, "draw the components of a machine and what each depends on, as Mermaid")
	c.Flags().BoolVar(&o.flows, "flows", false, "with --graph, draw what goes from port to port too")
	c.Flags().BoolVar(&o.timing, "timing", false, "print by when each task of a machine ends at the latest, as far as budgets are known")
	c.Flags().BoolVar(&o.types, "types", false, "list the types of components that a machine can be made of, and what can be set of each")
	c.Flags().StringVar(&o.schema, "schema", "", "print the JSON Schema of settings of this kind, machine or ground, for an editor")
	_ = c.RegisterFlagCompletionFunc("schema", completeKinds) // it fails only for a flag that is not there
	c.Flags().BoolVar(&o.print, "print", false, "print every setting in effect, and where it came from")
	c.Flags().BoolVar(&o.json, "json", false, "print what is wrong, or with --print what is in effect, as JSON on stdout")
	return c
}

func check(c *cobra.Command, files []string, o checkOptions) error {
	if o.schema != "" {
		defaults, ok := kinds[o.schema]
		if !ok {
			return &usageError{err: fmt.Errorf("no settings are of kind %q", o.schema), hint: "kinds are machine and ground"}
		}
		b, err := config.Schema(defaults(), "Settings of a fulmar "+o.schema)
		if err == nil {
			_, err = c.OutOrStdout().Write(b)
		}
		return err
	}
	if o.types {
		return printTypes(c.OutOrStdout(), types())
	}
	if o.graph || o.timing {
		return graph(c, files, o)
	}
	if len(files) == 0 {
		return &usageError{err: errors.New("check: no file"), hint: "name files of settings, or a kind with --schema"}
	}
	var errs []error
	reports := make([]checkReport, 0, len(files))
	for _, f := range files {
		r := checkReport{File: f}
		loaded, err := r.check(f)
		if err != nil {
			errs = append(errs, err)
		} else if o.print {
			r.Values = loaded.Values()
		}
		reports = append(reports, r)
	}
	if o.json {
		if err := json.NewEncoder(c.OutOrStdout()).Encode(reports); err != nil {
			return err
		}
		if len(errs) > 0 {
			return &usageError{err: fmt.Errorf("%d of %d files are wrong", len(errs), len(files))}
		}
		return nil
	}
	for _, r := range reports {
		r.print(c.OutOrStdout(), o.print)
	}
	return errors.Join(errs...)
}

// checkReport is what is told of one file.
type checkReport struct {
	File     string           `json:"file"`
	Kind     string           `json:"kind,omitempty"`
	OK       bool             `json:"ok"`
	Problems []config.Problem `json:"problems,omitempty"`
	Values   []config.Value   `json:"values,omitempty"`
}

func (r *checkReport) check(path string) (*config.Loaded, error) {
	var err error
	var loaded *config.Loaded
	if r.Kind, err = kindOf(path); err == nil {
		loaded, err = load(r.Kind, path, kinds[r.Kind]())
	}
	if err == nil && r.Kind == "machine" {
		_, err = checkMachine(path)
	}
	r.OK = err == nil
	var wrong *config.Error
	if errors.As(err, &wrong) {
		r.Problems = wrong.Problems
	} else if err != nil {
		r.Problems = []config.Problem{{File: path, Message: err.Error(), Hint: hintFor(err)}}
	}
	return loaded, err
}

func (r *checkReport) print(w io.Writer, values bool) {
	if !r.OK {
		return
	}
	if !values {
		fmt.Fprintf(w, "%s: a %s, nothing is wrong\n", r.File, r.Kind)
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, v := range r.Values {
		fmt.Fprintf(t, "%s\t%s\t%s\n", v.Key, v.Value, v.Origin)
	}
	_ = t.Flush()
}

// checkMachine reads a machine's file and joins its components. A file that names none is one of settings for a machine that
// brings its own.
func checkMachine(path string) (*node.Node, error) {
	m, err := readMachine(path)
	if err != nil || len(m.parts) == 0 {
		return nil, err
	}
	return m.join(anyHardware{}, nil)
}

// anyHardware stands for a host that has everything: here nothing is opened.
type anyHardware struct{}

func (anyHardware) Open(r hal.Resource) (any, func() error, error) {
	return nil, nil, fmt.Errorf("check opens no hardware, as %s", r.Path)
}

func graph(c *cobra.Command, files []string, o checkOptions) error {
	if len(files) != 1 {
		return &usageError{err: fmt.Errorf("check --graph and --timing want one file, got %d", len(files)), hint: "name a machine's file"}
	}
	n, err := checkMachine(files[0])
	if err != nil {
		return err
	}
	if n == nil {
		return &usageError{err: fmt.Errorf("%s names no components", files[0]), hint: "name them under components; fulmar check --types lists what there is"}
	}
	if o.graph {
		return n.WriteGraph(c.OutOrStdout(), o.flows)
	}
	return printTiming(c.OutOrStdout(), n.Analyze())
}

// printTiming prints what the analysis of response times says, the most urgent task first.
func printTiming(w io.Writer, bounds []sched.Bound) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "task\tperiod\tdeadline\tbudget\tends within\tof a core")
	for _, b := range bounds {
		budget, within := "-", "at least "+b.Response.String()
		if b.Timing.Budget > 0 {
			budget = time.Duration(b.Timing.Budget).String()
		}
		if b.Known {
			within = b.Response.String()
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%.0f %%\n", b.Name, time.Duration(b.Timing.Period), time.Duration(b.Timing.Deadline), budget, within, 100*b.Load)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "Of a core: the task with all that can hold it up. Tasks that are not pinned are bounded as if all shared one.")
	return nil
}

// printTypes lists types of components with their parameters, hardware and tasks.
func printTypes(w io.Writer, types *fulmar.Types) error {
	for _, name := range types.Names() {
		t, _ := types.Get(name)
		s := t.New().Spec()
		fmt.Fprintf(w, "%s\n  %s\n", t.Name, t.Doc)
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		if s.Parameters != nil {
			for _, p := range s.Parameters.Declared() {
				value := strings.TrimSpace(p.Default + " " + p.Tag.Get("unit"))
				if p.Tag.Get("rebuild") == "true" {
					p.Doc += "; a change rebuilds the component"
				}
				fmt.Fprintf(table, "  parameter\t%s\t%s\t%s\t%s\n", p.Key, value, p.Range, p.Doc)
			}
		}
		for _, h := range s.Hardware {
			r := h.Resource()
			fmt.Fprintf(table, "  hardware\t%s\t%s\t%s\t\n", h.Name(), r.Kind, place(r))
		}
		for _, t := range s.Tasks {
			fmt.Fprintf(table, "  task\t%s\t%s\t\t\n", t.Name, t.Period)
		}
		if err := table.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	return nil
}

// place is where a piece of hardware is, unless the machine's file says otherwise.
func place(r hal.Resource) string {
	switch {
	case r.Kind == hal.KindI2C:
		return fmt.Sprintf("%s at %#02x", r.Path, r.Address)
	case r.RateHz > 0:
		return fmt.Sprintf("%s at %d Hz", r.Path, r.RateHz)
	}
	return r.Path
}

// completeKinds are the kinds for the shell.
func completeKinds(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return slices.Sorted(maps.Keys(kinds)), cobra.ShellCompDirectiveNoFileComp
}
