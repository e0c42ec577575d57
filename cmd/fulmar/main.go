package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/drivers/baro"
	"github.com/fulmar-io/fulmar/drivers/gnss"
	"github.com/fulmar-io/fulmar/drivers/imu"
	"github.com/fulmar-io/fulmar/drivers/power"
	"github.com/fulmar-io/fulmar/drivers/pwm"
	"github.com/fulmar-io/fulmar/drivers/rangefinder"
	"github.com/fulmar-io/fulmar/ground/broker"
	"github.com/fulmar-io/fulmar/machines/rover"
)

// Exit statuses, as the documentation promises them.
const (
	exitHeld  = 0 // it held
	exitNot   = 1 // it did not
	exitUsage = 2 // wrong usage or configuration
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second Ctrl-C ends the process at once. One that comes together with the first, as from programs that signal a
	// process and then its group, is none.
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// outliveReaders lets a command go on when whoever reads its output or its log has ended.
func outliveReaders() { signal.Ignore(syscall.SIGPIPE) }

// types are the types of components that a machine's file can name here.
func types() *fulmar.Types {
	t := new(fulmar.Types)
	rover.Register(t)
	gnss.Register(t)
	imu.Register(t)
	baro.Register(t)
	power.Register(t)
	rangefinder.Register(t)
	pwm.Register(t)
	return t
}

// run is main without the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitHeld
	}
	return tell(stderr, err)
}

// tell is the one place that decides how an error looks.
func tell(stderr io.Writer, err error) int {
	status := exitNot
	var usage *usageError
	if errors.As(err, &usage) || wrongAddress(err) {
		status = exitUsage
	}
	fmt.Fprintln(stderr, "fulmar: "+err.Error())
	if hint := hintFor(err); hint != "" {
		fmt.Fprintln(stderr, "hint: "+hint)
	}
	return status
}

// usageError is the user's: exit status 2.
type usageError struct {
	err  error
	hint string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// hintedError carries what to do next.
type hintedError struct {
	err  error
	hint string
}

func (e *hintedError) Error() string { return e.err.Error() }
func (e *hintedError) Unwrap() error { return e.err }

func hintFor(err error) string {
	var usage *usageError
	if errors.As(err, &usage) && usage.hint != "" {
		return usage.hint
	}
	var hinted *hintedError
	if errors.As(err, &hinted) {
		return hinted.hint
	}
	var port *broker.PortError
	if errors.As(err, &port) {
		return portHint(port)
	}
	return stateHint(err)
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "fulmar",
		Short: "Autonomous machines whose loops run on time and whose telemetry arrives whole",
		Long: `Fulmar runs autonomous machines and the ground that they report to.

Try first:  fulmar demo
            then open http://127.0.0.1:8080`,
		Version:       thisVersion().String(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          knownCommand,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetVersionTemplate("{{.Version}}")
	root.Flags().Bool("version", false, "say which build this is")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &usageError{err: err, hint: "see " + c.CommandPath() + " --help"}
	})
	var verbose bool
	root.PersistentFlags().BoolVarP(&verbose, "verbose", "v", false, "log more")
	root.PersistentPreRun = func(c *cobra.Command, _ []string) {
		level := slog.LevelInfo
		if verbose {
			level = slog.LevelDebug
		}
		slog.SetDefault(slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: level})))
	}
	root.AddCommand(demoCommand(), runCommand(), groundCommand(), keysCommand(), usersCommand(), replayCommand(), giveCommand(), exportCommand(), inspectCommand(), checkCommand(), doctorCommand(),
		benchCommand(), versionCommand())
	return root
}

// noArgs is cobra.NoArgs with this program's exit status.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return &usageError{err: fmt.Errorf("%s takes no argument, got %q", c.CommandPath(), args[0]), hint: "see " + c.CommandPath() + " --help"}
}

// atMostOneArg wants one argument, which usage calls what, or none.
func atMostOneArg(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) <= 1 {
			return nil
		}
		return &usageError{err: fmt.Errorf("%s wants at most one argument, %s; got %d", c.CommandPath(), what, len(args)),
			hint: "see " + c.CommandPath() + " --help"}
	}
}

// first returns the first argument, or "".
func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// oneArg wants exactly one argument, which usage calls what.
func oneArg(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		return &usageError{err: fmt.Errorf("%s wants one argument, %s; got %d", c.CommandPath(), what, len(args)),
			hint: "see " + c.CommandPath() + " --help"}
	}
}
