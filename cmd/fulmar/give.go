package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/config"
)

type giveOptions struct {
	ground, confirm string
	within          time.Duration
	yes, json       bool
}

func giveCommand() *cobra.Command {
	o := giveOptions{}
	c := &cobra.Command{
		Use:   "command DEVICE [COMPONENT/COMMAND [ARGUMENT=VALUE…]]",
		Short: "Have a machine do something",
		Long: `Give a command to a machine, through its ground, and tell how far it comes: queued at the ground, sent, accepted by the
machine, and done or failed. It is carried out at most once, and not at all if it has not begun within the time that --within
says, by the machine's own clock. The exit status is 0 only when it is done. With DEVICE alone, what the machine can be told to do
is listed.

Who it is from the token in the environment's FULMAR_TOKEN says. What moves something is asked about before it is given, unless --yes says that it is
meant; what may do harm, unless --confirm names the machine.`,
		Example: "  fulmar command rover\n  fulmar command rover drive/halt\n  fulmar command rover drive/go speed=0.5 --yes",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &usageError{err: errors.New("command: which machine?"), hint: "fulmar command DEVICE lists what a machine can be told to do"}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return give(c, o, args) },
	}
	address := os.Getenv("FULMAR_GROUND")
	if address == "" {
		address = "http://127.0.0.1:8080"
	}
	c.Flags().StringVar(&o.ground, "ground", address, "where the ground's page is; FULMAR_GROUND in the environment says it as well")
	c.Flags().DurationVar(&o.within, "within", 30*time.Second, "after that it is not to be begun any more; at most 24h")
	c.Flags().BoolVar(&o.yes, "yes", false, "it is meant, though it moves something")
	c.Flags().StringVar(&o.confirm, "confirm", "", "the machine's name: it is meant, though it may do harm")
	c.Flags().BoolVar(&o.json, "json", false, "print the order as JSON on stdout when it has ended, or the list")
	return c
}

// order is a command that was given, as the ground tells of it.
type givenOrder struct {
	ID    string        `json:"id"`
	Name  string        `json:"name"`
	State command.State `json:"state"`
	Text  string        `json:"text"`
}

// giver talks to a ground.
type giver struct {
	c     *cobra.Command
	base  *url.URL
	token string
}

func give(c *cobra.Command, o giveOptions, args []string) error {
	base, err := url.Parse(o.ground)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return &usageError{err: fmt.Errorf("command: --ground %q is no address of a page", o.ground), hint: "write for example --ground http://127.0.0.1:8080"}
	}
	g := giver{c: c, base: base, token: os.Getenv("FULMAR_TOKEN")}
	var list struct {
		Declared []command.Declaration `json:"declared"`
	}
	commands := "/api/v1/machines/" + url.PathEscape(args[0]) + "/commands"
	if err := g.ask(c.Context(), http.MethodGet, commands, nil, &list); err != nil {
		return err
	}
	if len(args) == 1 {
		return g.list(list.Declared, o.json)
	}
	i := slices.IndexFunc(list.Declared, func(d command.Declaration) bool { return d.Name == args[1] })
	if i < 0 {
		return unknownCommand(args[0], args[1], list.Declared)
	}
	values, err := argumentValues(args[2:])
	if err != nil {
		return err
	}
	if err := g.meant(list.Declared[i], args[0], o); err != nil {
		return err
	}
	order, err := g.follow(commands, map[string]any{"name": args[1], "arguments": values, "within_s": o.within.Seconds()})
	if err != nil {
		return err
	}
	if o.json {
		if err := json.NewEncoder(c.OutOrStdout()).Encode(order); err != nil {
			return err
		}
	}
	if order.State != command.Done {
		return fmt.Errorf("command: %s of %s failed: %s", order.Name, args[0], order.Text)
	}
	return nil
}

func unknownCommand(device, name string, declared []command.Declaration) error {
	names := make([]string, len(declared))
	for i, d := range declared {
		names[i] = d.Name
	}
	hint := "fulmar command " + device + " lists what it can be told to do"
	if near := config.Nearest(name, names); near != "" {
		hint = "did you mean " + near + "?"
	}
	return &usageError{err: fmt.Errorf("command: %s takes no command %q", device, name), hint: hint}
}

func argumentValues(args []string) (map[string]string, error) {
	values := make(map[string]string, len(args))
	for _, a := range args {
		name, value, ok := strings.Cut(a, "=")
		if _, twice := values[name]; !ok || name == "" || twice {
			return nil, &usageError{err: fmt.Errorf("command: %q is no argument", a), hint: "write each once, as name=value"}
		}
		values[name] = value
	}
	return values, nil
}

// list prints what a machine can be told to do.
func (g *giver) list(declared []command.Declaration, asJSON bool) error {
	out := g.c.OutOrStdout()
	if asJSON {
		return json.NewEncoder(out).Encode(append([]command.Declaration{}, declared...))
	}
	if len(declared) == 0 {
		fmt.Fprintln(g.c.ErrOrStderr(), "the machine has told of no command")
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "COMMAND\tRISK\tROLE\tARGUMENTS\tWHAT IT DOES")
	for _, d := range declared {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", d.Name, d.Risk, d.Role, strings.Join(argumentNames(d), " "), d.Doc)
	}
	return w.Flush()
}

func argumentNames(d command.Declaration) []string {
	var schema struct {
		Properties map[string]struct {
			Type json.RawMessage
		}
	}
	if json.Unmarshal(d.Arguments, &schema) != nil || len(schema.Properties) == 0 {
		return []string{"-"}
	}
	var names []string
	for n := range schema.Properties {
		names = append(names, n+"=")
	}
	slices.Sort(names)
	return names
}

// meant asks whether a command is, as far as its risk wants that.
func (g *giver) meant(d command.Declaration, device string, o giveOptions) error {
	want, say := "y", fmt.Sprintf("%s: %s. Is it meant? [y/N] ", d.Name, d.Doc)
	switch {
	case d.Risk == command.Safe, d.Risk == command.Caution && o.yes, d.Risk == command.Danger && o.confirm == device:
		return nil
	case d.Risk == command.Danger:
		want, say = device, fmt.Sprintf("%s: %s. It may do harm. Write the machine's name if it is meant: ", d.Name, d.Doc)
	}
	hint := "--yes says so"
	if d.Risk == command.Danger {
		hint = "--confirm " + device + " says so"
	}
	in, ok := g.c.InOrStdin().(*os.File)
	if ok {
		info, err := in.Stat()
		ok = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	if !ok {
		return &usageError{err: fmt.Errorf("command: %s has the risk %q, and nobody can be asked whether it is meant", d.Name, d.Risk), hint: hint}
	}
	fmt.Fprint(g.c.ErrOrStderr(), say)
	answer, _ := bufio.NewReader(in).ReadString('\n')
	if strings.TrimSpace(answer) != want {
		return &usageError{err: errors.New("command: it was not given"), hint: hint}
	}
	return nil
}

// follow gives a command and tells of it until it has ended.
func (g *giver) follow(path string, request any) (order givenOrder, err error) {
	body, err := json.Marshal(request)
	if err != nil {
		return order, err
	}
	if err := g.ask(g.c.Context(), http.MethodPost, path, body, &order); err != nil {
		return order, err
	}
	begun := time.Now()
	said := command.State("")
	for {
		if order.State != said {
			said = order.State
			fmt.Fprintf(g.c.ErrOrStderr(), "%6.2f s  %s\n", time.Since(begun).Seconds(), strings.TrimSuffix(string(order.State)+": "+order.Text, ": "))
		}
		if order.State.Ended() {
			return order, nil
		}
		if err := g.ask(g.c.Context(), http.MethodGet, "/api/v1/orders/"+order.ID+"?state="+string(order.State), nil, &order); err != nil {
			return order, &hintedError{err: err, hint: "the order " + order.ID + " goes on without whoever gave it; the page tells what becomes of it"}
		}
	}
}

// maxAnswer bounds what a ground may answer.
const maxAnswer = 16 << 20

// ask asks the ground. An answer that is a problem is the error.
func (g *giver) ask(ctx context.Context, method, path string, body []byte, into any) (err error) {
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(g.base.String(), "/")+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("command: %w", err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if g.token != "" {
		r.Header.Set("Authorization", "Bearer "+g.token)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return &hintedError{err: fmt.Errorf("command: %w", err), hint: "does the ground run, and is its page at --ground " + g.base.String() + "?"}
	}
	defer func() { err = errors.Join(err, answer.Body.Close()) }()
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("command: %w", err)
	}
	if answer.StatusCode >= http.StatusBadRequest {
		return refusedBy(answer, b)
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("command: what %s answers is not a ground's: %w", g.base.Host, err)
	}
	return nil
}

func refusedBy(answer *http.Response, body []byte) error {
	var p struct {
		Detail string `json:"detail"`
		Hint   string `json:"hint"`
	}
	if json.Unmarshal(body, &p) != nil || p.Detail == "" {
		return fmt.Errorf("command: the ground answers %s", answer.Status)
	}
	err := fmt.Errorf("command: %s", p.Detail)
	switch {
	case answer.StatusCode == http.StatusUnauthorized && p.Hint == "":
		p.Hint = "put a token into the environment's FULMAR_TOKEN"
	case answer.StatusCode == http.StatusBadRequest:
		return &usageError{err: err, hint: p.Hint}
	}
	return &hintedError{err: err, hint: p.Hint}
}
