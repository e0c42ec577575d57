package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/fulmar-io/fulmar/config"
)

type checkOptions struct {
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
key kind in a file says what it is for. The exit status is 2 if one of them is wrong.`,
		RunE: func(c *cobra.Command, args []string) error { return check(c, args, o) },
	}
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

// completeKinds are the kinds for the shell.
func completeKinds(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return slices.Sorted(maps.Keys(kinds)), cobra.ShellCompDirectiveNoFileComp
}
