package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/fulmar-io/fulmar/sched/host"
)

// errUnfit is a host's, and no mistake of the user's.
var errUnfit = errors.New("loops will be late on this host")

func doctorCommand() *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Is this host fit for real time? What to change, with the command that changes it",
		Long: `Look at what decides how late a loop may be on this host: its kernel, clock, processors, limits and rights. Nothing is
changed. The exit status is 1 if something is found that makes loops late. What it comes to, "fulmar bench loop" measures.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			found := host.Inspect("/")
			if asJSON {
				return errors.Join(json.NewEncoder(c.OutOrStdout()).Encode(found), fitness(found))
			}
			for _, f := range found {
				fmt.Fprintf(c.OutOrStdout(), "%-28s %-16s %s\n", f.What, f.Grade, f.Detail)
				if f.Cure != "" {
					fmt.Fprintf(c.OutOrStdout(), "%-28s %-16s try: %s\n", "", "", f.Cure)
				}
			}
			return fitness(found)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON array on stdout")
	return c
}

func fitness(found []host.Finding) error {
	for _, f := range found {
		if f.Grade == host.Bad {
			return errUnfit
		}
	}
	return nil
}
