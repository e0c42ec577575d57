package main

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/fulmar-io/fulmar/ground/station"
	"github.com/fulmar-io/fulmar/secure/access"
)

func usersCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "users",
		Short: "Who may use a ground's page and API",
		Long: `Make and keep the accounts of a ground, which people sign in to its page with, and the tokens of programs. A viewer sees everything, an
operator commands machines as well, an admin does whatever can be done. A change takes effect within a second, on what is open too; the ground
may run meanwhile or not.

    fulmar users add ada --role operator
    fulmar users token add ci --role viewer --expires 90d`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	data := c.PersistentFlags().String("data", station.DefaultSettings().Data, "the ground's folder")
	accounts := func() access.Accounts { return accountsIn(*data) }
	c.AddCommand(usersAdd(accounts), usersPassword(accounts), usersRole(accounts), usersRemove(accounts), usersList(accounts), usersToken(accounts))
	return c
}

// accountsIn is the accounts of a ground's folder.
func accountsIn(data string) access.Accounts {
	return access.Accounts{Path: filepath.Join(data, access.FileName), Now: time.Now, Random: rand.Reader}
}

func roleFlag(c *cobra.Command) *string {
	return c.Flags().String("role", string(access.Viewer), "viewer, operator or admin")
}

func parseRole(s string) (access.Role, error) {
	r := access.Role(s)
	if !r.Valid() {
		return r, &usageError{err: fmt.Errorf("users: role %q", s), hint: "roles are viewer, operator and admin"}
	}
	return r, nil
}

func usersAdd(accounts func() access.Accounts) *cobra.Command {
	c := &cobra.Command{Use: "add NAME", Short: "Make an account", Args: oneArg("a name")}
	role, fromStdin := roleFlag(c), passwordFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		r, err := parseRole(*role)
		if err != nil {
			return err
		}
		if err := access.ValidateName(args[0]); err != nil {
			return &usageError{err: err}
		}
		password, err := readPassword(c, *fromStdin)
		if err != nil {
			return err
		}
		if err := makeFolder(accounts().Path); err != nil {
			return err
		}
		return usersHint(accounts().Add(args[0], r, password))
	}
	return c
}

// makeFolder makes the folder of a ground that has not run yet.
func makeFolder(path string) error { return os.MkdirAll(filepath.Dir(path), 0o750) }

// usersHint says what to do about an error of accounts.
func usersHint(err error) error {
	var damaged *access.DamagedError
	switch {
	case errors.As(err, &damaged):
		return &hintedError{err: err, hint: "put a copy of the file in its place, or move it away and make the accounts anew"}
	case errors.Is(err, access.ErrNoSuch):
		return &hintedError{err: err, hint: "fulmar users list says who there is; is --data the ground's folder?"}
	case errors.Is(err, access.ErrExists):
		return &hintedError{err: err, hint: "fulmar users passwd and role change an account; a token is removed and made anew"}
	}
	return err
}

func usersPassword(accounts func() access.Accounts) *cobra.Command {
	c := &cobra.Command{Use: "passwd NAME", Short: "Give an account another password, and end its sessions", Args: oneArg("a name")}
	fromStdin := passwordFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		password, err := readPassword(c, *fromStdin)
		if err != nil {
			return err
		}
		return usersHint(accounts().SetPassword(args[0], password))
	}
	return c
}

func usersRole(accounts func() access.Accounts) *cobra.Command {
	c := &cobra.Command{Use: "role NAME", Short: "Give an account another role, and end its sessions", Args: oneArg("a name")}
	role := roleFlag(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		r, err := parseRole(*role)
		if err != nil {
			return err
		}
		return usersHint(accounts().SetRole(args[0], r))
	}
	return c
}

func usersRemove(accounts func() access.Accounts) *cobra.Command {
	return &cobra.Command{Use: "remove NAME", Short: "Remove an account, and end its sessions", Args: oneArg("a name"),
		RunE: func(_ *cobra.Command, args []string) error { return usersHint(accounts().Remove(args[0])) }}
}

func passwordFlag(c *cobra.Command) *bool {
	return c.Flags().Bool("password-stdin", false, "read the password from standard input, up to the end of its line")
}

// readPassword asks for a password without showing it, twice; or reads it, once.
func readPassword(c *cobra.Command, fromStdin bool) (string, error) {
	if fromStdin {
		line, err := bufio.NewReader(io.LimitReader(c.InOrStdin(), 2*access.MaxPasswordBytes)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		return checked(strings.TrimRight(line, "\r\n"))
	}
	in, ok := c.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return "", &usageError{err: errors.New("users: nobody can be asked for a password"), hint: "--password-stdin reads it from standard input"}
	}
	var typed [2]string
	for i, say := range []string{"Password: ", "Again: "} {
		fmt.Fprint(c.ErrOrStderr(), say)
		b, err := term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(c.ErrOrStderr())
		if err != nil {
			return "", err
		}
		typed[i] = string(b)
	}
	if typed[0] != typed[1] {
		return "", &usageError{err: errors.New("users: the two are not the same")}
	}
	return checked(typed[0])
}

func checked(password string) (string, error) {
	if err := access.CheckPassword(password); err != nil {
		return "", &usageError{err: err}
	}
	return password, nil
}

// listed are accounts or tokens without what is secret of them.
type listed struct {
	Kind    string      `json:"kind"` // account or token
	Name    string      `json:"name"`
	Role    access.Role `json:"role"`
	Created time.Time   `json:"created"`
	Expires *time.Time  `json:"expires,omitempty"`
	Used    *time.Time  `json:"used,omitempty"`
}

func usersList(accounts func() access.Accounts) *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List accounts and tokens", Args: noArgs}
	asJSON := c.Flags().Bool("json", false, "print them as JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		book, err := accounts().Read()
		if err != nil {
			return usersHint(err)
		}
		list := []listed{}
		for _, a := range book.Accounts {
			list = append(list, listed{Kind: "account", Name: a.Name, Role: a.Role, Created: a.Created})
		}
		for _, t := range book.Tokens {
			list = append(list, listed{Kind: "token", Name: t.Name, Role: t.Role, Created: t.Created, Expires: t.Expires, Used: t.Used})
		}
		if *asJSON {
			return json.NewEncoder(c.OutOrStdout()).Encode(list)
		}
		w := tabwriter.NewWriter(c.OutOrStdout(), 0, 4, 2, ' ', 0)
		fmt.Fprintln(w, "KIND\tNAME\tROLE\tCREATED\tEXPIRES\tLAST USE")
		for _, l := range list {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", l.Kind, l.Name, l.Role, l.Created.Format(time.DateTime), moment(l.Expires), moment(l.Used))
		}
		return w.Flush()
	}
	return c
}

func moment(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Format(time.DateTime)
}

func usersToken(accounts func() access.Accounts) *cobra.Command {
	c := &cobra.Command{Use: "token", Short: "Tokens of programs", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	add := &cobra.Command{Use: "add NAME", Short: "Make a token, and print it: it is nowhere else", Args: oneArg("a name")}
	role := roleFlag(add)
	expires := add.Flags().String("expires", "", "after that it counts no more, as 90d or 12h; empty for never")
	add.RunE = func(c *cobra.Command, args []string) error {
		r, err := parseRole(*role)
		if err != nil {
			return err
		}
		until := time.Time{}
		if *expires != "" {
			life, err := parseDays(*expires)
			if err != nil || life <= 0 {
				return &usageError{err: fmt.Errorf("users: --expires %q", *expires), hint: "write for example 90d or 12h"}
			}
			until = time.Now().Add(life)
		}
		if err := makeFolder(accounts().Path); err != nil {
			return err
		}
		token, err := accounts().AddToken(args[0], r, until)
		if err != nil {
			return usersHint(err)
		}
		fmt.Fprintln(c.OutOrStdout(), token)
		return nil
	}
	remove := &cobra.Command{Use: "remove NAME", Short: "Remove a token", Args: oneArg("a name"),
		RunE: func(_ *cobra.Command, args []string) error { return usersHint(accounts().RemoveToken(args[0])) }}
	c.AddCommand(add, remove)
	return c
}

// parseDays reads a duration that may be written in days.
func parseDays(s string) (time.Duration, error) {
	if n, ok := strings.CutSuffix(s, "d"); ok {
		days, err := strconv.ParseUint(n, 10, 15)
		return time.Duration(days) * 24 * time.Hour, err
	}
	return time.ParseDuration(s)
}
