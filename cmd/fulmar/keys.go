package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fulmar-io/fulmar/ground/enroll"
	"github.com/fulmar-io/fulmar/ground/station"
	"github.com/fulmar-io/fulmar/node"
	"github.com/fulmar-io/fulmar/secure/identity"
)

func keysCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "keys",
		Short: "The operator's authority: who is a device of the fleet, and who its ground",
		Long: `Make and keep the keys of a fleet. An authority, made once with init, signs what devices and grounds show each other; whoever has its
folder has the fleet, so keep it readable by nobody else, with a copy in a safe place.

    fulmar keys init                 on the ground, once
    fulmar keys token rover-1        prints what to run on the machine, which gets its identity so
    fulmar keys revoke rover-1       takes effect at once, also on open connections`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(keysInit(), keysToken(), keysEnroll(), keysIssue(), keysList(), keysRevoke(), keysRotate(), keysRetire())
	return c
}

// authorityFlag says where the authority is.
func authorityFlag(c *cobra.Command) *string {
	d := station.DefaultSettings()
	return c.Flags().String("keys", d.KeysDir(), "folder of the authority")
}

// openAuthority opens it for a command.
func openAuthority(dir string) (*identity.Authority, error) {
	a, err := identity.OpenAuthority(dir, time.Now)
	return a, keysHint(err)
}

// initKeys makes an authority and, in the same folder, the identity of a ground.
func initKeys(dir, ground string, terms identity.Terms) (*identity.Authority, error) {
	a, err := identity.Create(dir, time.Now)
	if err != nil {
		return nil, err
	}
	return a, a.Equip(dir, identity.Subject{Role: identity.Ground, Name: ground}, terms)
}

func keysInit() *cobra.Command {
	c := &cobra.Command{
		Use:   "init",
		Short: "Make the authority, and the ground's identity beside it",
		Long: `Make the authority of a fleet, and in the same folder the identity of its ground, which fulmar ground finds there. Where the
authority is to be elsewhere, issue the ground an identity of its own and move the folder.`,
		Args: noArgs,
	}
	dir := authorityFlag(c)
	name := c.Flags().String("name", "ground", "of the ground")
	hosts := c.Flags().StringArray("host", nil, "name or address of the ground, for clients that check it, as browsers do; may be repeated")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if _, err := initKeys(*dir, *name, identity.Terms{Hosts: *hosts}); err != nil {
			return keysHint(err)
		}
		fmt.Fprintf(c.OutOrStdout(), "The authority of the fleet, and the identity of its ground, are in %s.\nWhoever has this folder has the fleet: keep a copy in a safe place.\nNext: fulmar ground, and for each machine fulmar keys token NAME\n", *dir)
		return nil
	}
	return c
}

func keysToken() *cobra.Command {
	c := &cobra.Command{
		Use:   "token DEVICE",
		Short: "Admit a device, once: what to run on it",
		Long:  `Make a token with which one device, of this name, gets its identity from the ground. It can be used once, and expires.`,
		Args:  oneArg("a device's name"),
	}
	dir := authorityFlag(c)
	life := c.Flags().Duration("for", 24*time.Hour, "until it expires")
	address := c.Flags().String("at", "", "address at which the ground enrolls, as the device reaches it; default that of fulmar ground's settings")
	asJSON := c.Flags().Bool("json", false, "print one JSON object on stdout")
	c.RunE = func(c *cobra.Command, args []string) error {
		if *life <= 0 {
			return &usageError{err: fmt.Errorf("keys token: --for %s", *life), hint: "name how long it is good for, as 24h"}
		}
		a, err := openAuthority(*dir)
		if err != nil {
			return err
		}
		t, err := a.NewToken(args[0], *life)
		if err != nil {
			return &usageError{err: err}
		}
		if *address == "" {
			*address = station.DefaultSettings().Enroll
		}
		if *asJSON {
			return json.NewEncoder(c.OutOrStdout()).Encode(map[string]string{"device": t.Name, "token": t.String(), "expires": time.Now().Add(*life).UTC().Format(time.RFC3339)})
		}
		fmt.Fprintf(c.OutOrStdout(), "On %s, within %s:\n\n    fulmar keys enroll %s %s\n", t.Name, *life, *address, t)
		return nil
	}
	return c
}

func keysEnroll() *cobra.Command {
	c := &cobra.Command{
		Use:   "enroll ADDRESS TOKEN",
		Short: "On a machine: get its identity from the ground, with a token",
		Long: `Make a key for this machine, and have the ground sign who it is. The key does not leave the machine. The token says which machine it is, and
by which ground it is to be believed.`,
		Args: cobra.ExactArgs(2),
	}
	dir := c.Flags().String("identity", filepath.Join(node.DefaultSettings().Data, "identity"), "folder for the identity")
	c.RunE = func(c *cobra.Command, args []string) error {
		t, err := identity.ParseToken(args[1])
		if err != nil {
			return &usageError{err: err, hint: "fulmar keys token prints the whole command"}
		}
		err = enroll.Enroll(c.Context(), args[0], t, *dir)
		switch {
		case errors.Is(err, enroll.ErrRefused):
			return &hintedError{err: err, hint: "on the ground, fulmar keys token " + t.Name + " makes another"}
		case errors.Is(err, identity.ErrUntrusted):
			return &hintedError{err: err, hint: "at " + args[0] + " is another ground than that which the token is of; nothing was sent to it"}
		case err != nil:
			return &hintedError{err: err, hint: "is fulmar ground running there, with enroll: " + args[0] + "?"}
		}
		fmt.Fprintf(c.OutOrStdout(), "This machine is %s: its identity is in %s.\n", t.Name, *dir)
		return nil
	}
	return c
}

func keysIssue() *cobra.Command {
	c := &cobra.Command{
		Use:   "issue ROLE NAME --out FOLDER",
		Short: "Make an identity by hand: of a device, a ground or a broker",
		Long: `Make an identity, key and all, in a folder, which is to be brought to where it is used by a way that nobody else sees. What was issued to
the same name before stays valid; issued into the same folder, it takes the other's place at once, without a gap.`,
		Args: cobra.ExactArgs(2),
	}
	dir := authorityFlag(c)
	out := c.Flags().String("out", "", "folder for the identity")
	life := c.Flags().Duration("for", identity.DefaultLife, "until it expires")
	hosts := c.Flags().StringArray("host", nil, "name or address of a server, for clients that check it; may be repeated")
	c.RunE = func(c *cobra.Command, args []string) error {
		if *out == "" {
			return &usageError{err: errors.New("keys issue: no folder"), hint: "say where to with --out FOLDER"}
		}
		s := identity.Subject{Role: identity.Role(args[0]), Name: args[1]}
		if err := s.Validate(); err != nil {
			return &usageError{err: err}
		}
		a, err := openAuthority(*dir)
		if err != nil {
			return err
		}
		if err := a.Equip(*out, s, identity.Terms{Life: *life, Hosts: *hosts}); err != nil {
			return keysHint(err)
		}
		fmt.Fprintf(c.OutOrStdout(), "The identity of %s %s is in %s.\n", s.Role, s.Name, *out)
		return nil
	}
	return c
}

func keysList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "What was issued", Args: noArgs}
	dir := authorityFlag(c)
	asJSON := c.Flags().Bool("json", false, "print one JSON array on stdout")
	c.RunE = func(c *cobra.Command, _ []string) error {
		a, err := openAuthority(*dir)
		if err != nil {
			return err
		}
		list, err := a.Issued()
		if err != nil {
			return err
		}
		if *asJSON {
			return json.NewEncoder(c.OutOrStdout()).Encode(list)
		}
		return printIssued(c.OutOrStdout(), list, time.Now())
	}
	return c
}

func printIssued(out io.Writer, list []identity.Issued, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "role\tname\tissued\texpires\tstate\tserial")
	for _, i := range list {
		state := "valid"
		switch {
		case i.Revoked != nil:
			state = "revoked " + i.Revoked.Format(time.DateOnly)
		case !i.Valid(now):
			state = "expired"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", i.Role, i.Name, i.At.Format(time.DateOnly), i.Expires.Format(time.DateOnly), state, i.Serial)
	}
	return w.Flush()
}

func keysRevoke() *cobra.Command {
	c := &cobra.Command{
		Use:   "revoke NAME",
		Short: "Trust a device no more, at once",
		Long: `Revoke everything that was issued to a name. A ground that runs with these keys cuts the device's connections at once and takes nothing
from it any more; other grounds do when their folder has the new trust.pem, brokers of other makers when they read crl.pem.`,
		Args: oneArg("a name"),
	}
	dir := authorityFlag(c)
	role := c.Flags().String("role", string(identity.Device), "of the name: device, ground or broker")
	c.RunE = func(c *cobra.Command, args []string) error {
		s := identity.Subject{Role: identity.Role(*role), Name: args[0]}
		if err := s.Validate(); err != nil {
			return &usageError{err: err}
		}
		a, err := openAuthority(*dir)
		if err != nil {
			return err
		}
		n, err := a.Revoke(s)
		if errors.Is(err, identity.ErrUnknown) {
			return &hintedError{err: err, hint: "fulmar keys list shows what was issued"}
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "%s %s is revoked: %s.\n", s.Role, s.Name, plural(n, "certificate"))
		return nil
	}
	return c
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

func keysRotate() *cobra.Command {
	c := &cobra.Command{
		Use:   "rotate",
		Short: "Make new keys that take the place of the ones in use, without a gap",
		Long: `Make a new key of the ground's, to which machines seal as soon as they have heard of it, and with --authority a new authority, which signs from
now on. The ones before are still good until fulmar keys retire: when every machine has been heard of since.`,
		Args: noArgs,
	}
	dir := authorityFlag(c)
	authority := c.Flags().Bool("authority", false, "a new authority too")
	c.RunE = func(c *cobra.Command, _ []string) error {
		a, err := openAuthority(*dir)
		if err != nil {
			return err
		}
		made := []string{"a new key that machines seal to"}
		if *authority {
			made = append(made, "a new authority")
			if err := a.RotateAuthority(); err != nil {
				return err
			}
		}
		if err := a.RotateSealing(); err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "There is %s. The old is good until fulmar keys retire.\n", strings.Join(made, ", and "))
		return nil
	}
	return c
}

func keysRetire() *cobra.Command {
	c := &cobra.Command{
		Use:   "retire",
		Short: "End the trust in the keys that rotate has replaced",
		Long: `End the trust in all authorities but the newest, and in all keys that machines seal to but the newest. What an older authority has signed is
worth nothing from then on: fulmar keys list shows whose certificates are older. The ground's own beside the authority is renewed; grounds and brokers
elsewhere are to have another before.`,
		Args: noArgs,
	}
	dir := authorityFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		a, err := openAuthority(*dir)
		if err != nil {
			return err
		}
		if k, err := identity.Open(*dir, time.Now, identity.Ground); err == nil { // first: those who have heard of the newest take it already
			if err := a.Equip(*dir, k.Self().Subject, identity.Terms{Newest: true}); err != nil {
				return err
			}
		}
		if err := a.Retire(); err != nil {
			return err
		}
		fmt.Fprintln(c.OutOrStdout(), "Only the newest keys are trusted now.")
		return nil
	}
	return c
}
