package main

import (
	"context"
	crand "crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/fulmar-io/fulmar/config"
	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/node"
	"github.com/fulmar-io/fulmar/sched/host"
	"github.com/fulmar-io/fulmar/secure/identity"
)

type runOptions struct {
	duration time.Duration
	single   bool
	json     bool
	courier  bool   // this is the courier half
	region   string // of the control half that lives already
}

var machineFlags = flagKeys{"data": "data", "link": "links", "identity": "identity", "insecure": "insecure"}

func runCommand() *cobra.Command {
	o := runOptions{}
	c := &cobra.Command{
		Use:   "run MACHINE.yaml",
		Short: "Run a machine",
		Long: `Run the machine that the file names: its components, and the courier that brings what they publish to the ground.

On Linux these are two processes, which meet in shared memory alone: the control half runs the loops in real-time threads, if
this process may have them (fulmar doctor), without a network and without its garbage collector; the courier half does
everything that talks. If one of them is killed, the other goes on, and nothing that was published is lost. --single makes them
one process.

Ctrl-C stops it in order: components backwards, then what was published is brought to the spool and, as far as linger says, to the
ground. The exit status is 1 if the machine went to its safe state meanwhile.`,
		Args: oneArg("a machine's file"),
		RunE: func(c *cobra.Command, args []string) error { return runMachine(c, args[0], o) },
	}
	d := node.DefaultSettings()
	c.Flags().DurationVar(&o.duration, "for", 0, "stop after this long; 0 for Ctrl-C")
	c.Flags().BoolVar(&o.single, "single", runtime.GOOS != "linux", "run both halves in one process")
	c.Flags().String("data", d.Data, "folder of what must outlive the process")
	c.Flags().StringArray("link", nil, "URL of a way to the ground, most preferred first; may be repeated")
	c.Flags().String("identity", d.Identity, "folder of the machine's identity; empty for identity below data")
	c.Flags().Bool("insecure", d.Insecure, "for the bench: nothing is sealed, no identity is wanted, links may be without TLS")
	c.Flags().BoolVar(&o.json, "json", false, "print how the machine was as one JSON object on stdout")
	c.Flags().BoolVar(&o.courier, "courier-half", false, "")
	c.Flags().StringVar(&o.region, "region", "", "")
	for _, hidden := range []string{"courier-half", "region"} { // between the halves
		_ = c.Flags().MarkHidden(hidden) // it fails only for a flag that is not there
	}
	return c
}

func runMachine(c *cobra.Command, path string, o runOptions) error {
	if o.duration < 0 {
		return &usageError{err: fmt.Errorf("run: --for %s", o.duration), hint: "name a duration as 20s, or leave it out and stop with Ctrl-C"}
	}
	m, err := readMachine(path, machineFlags.overrides(c)...)
	if err != nil {
		return err
	}
	outliveReaders()
	if o.courier {
		return m.courierHalf(c, o.region)
	}
	ctx := c.Context()
	if o.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.duration)
		defer cancel()
	}
	if err := hasMachineKeys(m.settings); err != nil {
		return err
	}
	if m.settings.Insecure {
		warnInsecure("what this machine sends can be read and changed on its way, and so can what it is told")
	}
	var keys *identity.Keyring
	if o.single {
		if keys, err = machineKeys(m.settings); err != nil {
			return err
		}
	}
	n, err := m.node(keys, false)
	if err != nil {
		return err
	}
	text := m.text // what the machine is of; watch goes on to other ones
	watched := make(chan error, 1)
	watchCtx, stopWatching := context.WithCancel(ctx)
	go func() { watched <- m.watch(watchCtx, n) }()
	if o.single {
		err = m.whole(ctx, n, keys)
	} else {
		err = m.halves(ctx, c, n, text)
	}
	stopWatching()
	switch s := machineSummaryOf(n); {
	case err != nil && !s.ran(): // there is nothing to tell but why
	case o.json:
		err = errors.Join(err, json.NewEncoder(c.OutOrStdout()).Encode(s))
	default:
		s.print(c.OutOrStdout())
	}
	return errors.Join(err, <-watched)
}

// halves runs the control half here and the courier half in another process.
func (m *machineFile) halves(ctx context.Context, c *cobra.Command, n *node.Node, text []byte) (err error) {
	same, err := m.keepText(text)
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	defer func() { _ = os.Remove(same) }() // what stays the next start removes
	courier := &node.CourierProcess{Command: func(region string) *exec.Cmd { return m.courierCommand(c, same, region) },
		Carry: n.Command, Logger: slog.Default()}
	region, err := courier.Start(ctx)
	if errors.Is(err, node.ErrNotBegun) {
		slog.Info("the machine is stopped before it has begun")
		return nil
	}
	if err != nil {
		return err
	}
	m.dropTexts(same)
	fmt.Fprintf(c.ErrOrStderr(), "%s runs: %d components, in two processes. Ctrl-C stops it.\n", m.settings.Device, len(m.settings.Components))
	return errors.Join(n.RunControl(ctx, region), courier.Finish())
}

// keptText is what the names of the files of keepText begin with.
const keptText = "running-"

// keepText keeps the machine's file as it was read: another life of the courier half must be of the same machine, whatever has become
// of the file meanwhile. The copy is of this process alone: another that is started on the same data, in vain, has one of its own.
func (m *machineFile) keepText(text []byte) (path string, err error) {
	f, err := os.CreateTemp(m.settings.Data, keptText+"*"+filepath.Ext(m.path))
	if err != nil {
		return "", err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// dropTexts removes what processes that were killed have left of keepText. The data are this machine's by now.
func (m *machineFile) dropTexts(same string) {
	left, _ := filepath.Glob(filepath.Join(m.settings.Data, keptText+"*")) // it fails only for a pattern that is none
	for _, path := range left {
		if path != same {
			_ = os.Remove(path) // the next start tries again
		}
	}
}

// machineFile is a machine's file, read.
type machineFile struct {
	path      string
	overrides []config.Override
	text      []byte // of the file, as it was read last
	settings  node.Settings
	loaded    *config.Loaded
	parts     []node.Configured
}

// readMachine reads a machine's file and makes its components.
func readMachine(path string, overrides ...config.Override) (*machineFile, error) {
	kind, err := kindOf(path)
	if err != nil {
		return nil, err
	}
	if kind != "machine" {
		return nil, &usageError{err: fmt.Errorf("%s is of kind %s", path, kind), hint: "fulmar run wants a machine's file; fulmar ground runs a ground"}
	}
	m := &machineFile{path: path, overrides: overrides, settings: node.DefaultSettings()}
	if m.text, err = os.ReadFile(path); err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	if m.loaded, err = load(kind, path, &m.settings, overrides...); err != nil {
		return nil, err
	}
	if m.parts, err = m.settings.NewComponents(types(), m.loaded); err != nil {
		return nil, &usageError{err: err, hint: "fulmar check --types lists the types of components and what can be set of them"}
	}
	return m, nil
}

// node makes the machine, or its courier half. Nothing has happened yet but that its folder is there, and that this process has given up
// what it does not need.
func (m *machineFile) node(keys *identity.Keyring, courier bool) (*node.Node, error) {
	if len(m.parts) == 0 {
		return nil, &usageError{err: errors.New("run: the machine has no components"), hint: "name them under components; fulmar check --types lists what there is"}
	}
	disk, err := env.NewOSDisk(m.settings.Data)
	if err != nil {
		return nil, err
	}
	restricted, err := m.restrict(courier)
	if err != nil {
		return nil, err
	}
	return m.join(hardware(), keys, func(o *node.Options) { o.Disk, o.Sandbox = disk, restricted }, manage)
}

// join joins the machine's components.
func (m *machineFile) join(hardware hal.Host, keys *identity.Keyring, more ...func(*node.Options)) (*node.Node, error) {
	o, err := m.settings.Options(keys)
	if err != nil {
		return nil, err
	}
	o.Configured, o.Hardware = m.parts, hardware
	o.Random, o.Logger = crand.Reader, slog.Default()
	o.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	for _, f := range more {
		f(&o)
	}
	n, err := node.New(o)
	if err != nil {
		return nil, &usageError{err: err}
	}
	return n, nil
}

// whole runs both halves here.
func (m *machineFile) whole(ctx context.Context, n *node.Node, keys *identity.Keyring) error {
	unlock, err := lock(m.settings.Data)
	if err != nil {
		return err
	}
	return errors.Join(m.following(ctx, keys, func() error { return n.Run(ctx) }), unlock())
}

// following does something, and has what changes of the machine's keys take effect meanwhile.
func (m *machineFile) following(ctx context.Context, keys *identity.Keyring, do func() error) error {
	if keys == nil {
		return do()
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	followed := make(chan error, 1)
	go func() { followed <- followKeys(ctx, m.settings.IdentityDir(), keys, func() {}) }()
	err := do()
	stop()
	return errors.Join(err, <-followed)
}

// courierCommand runs the courier half of this machine in another process.
func (m *machineFile) courierCommand(c *cobra.Command, path, region string) *exec.Cmd {
	args := []string{"run", path, "--courier-half", "--region", region}
	for _, f := range machineFlags.overrides(c) {
		values := f.Values
		if values == nil {
			values = []string{f.Value}
		}
		for _, v := range values {
			args = append(args, f.From+"="+v)
		}
	}
	if v, err := c.Flags().GetBool("verbose"); err == nil && v {
		args = append(args, "--verbose")
	}
	cmd := exec.CommandContext(context.WithoutCancel(c.Context()), ownProgram(), args...)
	cmd.Args[0] = os.Args[0]
	cmd.Stderr = c.ErrOrStderr()
	cmd.Env = os.Environ()
	apart(cmd)
	return cmd
}

// lockPatience is how long a courier half waits for an earlier one of the same data, whose control half was killed, to finish.
const lockPatience = 30 * time.Second

// courierHalf runs the courier half in this process: until its standard input ends, whatever signals say, for these are meant
// for the control half.
func (m *machineFile) courierHalf(c *cobra.Command, region string) error {
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	if err := host.Ordinary(); err != nil {
		slog.Warn("the courier half runs with the priority of the control half", "error", err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(c.Context()))
	defer cancel()
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, c.InOrStdin()) // it ends with the control half
	}()
	unlock, err := lockPatiently(ctx, m.settings.Data)
	if err != nil {
		return err
	}
	keys, err := machineKeys(m.settings)
	if err != nil {
		return errors.Join(err, unlock())
	}
	n, err := m.node(keys, true)
	if err != nil {
		return errors.Join(err, unlock())
	}
	err = m.following(ctx, keys, func() error { return n.RunCourier(ctx, region, c.OutOrStdout()) })
	return errors.Join(err, unlock())
}

// lockPatiently waits for whoever has the folder.
func lockPatiently(ctx context.Context, dir string) (unlock func() error, err error) {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	unlock, err = env.WaitForFolder(ctx, dir, func() {
		slog.Info("another process has the machine's data, perhaps a courier half whose control half was killed; it is waited for", "data", dir, "at most", lockPatience)
	})
	return unlock, inUse(err)
}
