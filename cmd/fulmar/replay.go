package main

import (
	crand "crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/node"
	"github.com/fulmar-io/fulmar/replay"
	"github.com/fulmar-io/fulmar/secure/identity"
	"github.com/fulmar-io/fulmar/telemetry"
)

type replayOptions struct {
	file  string // of settings
	speed float64
	json  bool
}

var replayFlags = flagKeys{"to": "links", "device": "device", "data": "data", "linger": "linger", "identity": "identity", "insecure": "insecure"}

func replayCommand() *cobra.Command {
	o := replayOptions{}
	c := &cobra.Command{
		Use:   "replay RECORDING --to URL",
		Short: "Send a recording to a ground as if a machine had just lived it",
		Long: `Send a PX4 ULog recording through a courier to a ground: every message is numbered, spooled and delivered like a live
one, with the recording's own monotonic times. A damaged place in the file is told and passed over where the format allows it;
the exit status is then 1.

The ground dates the messages from when the first of it arrives: as if they were live, or, faster than life, so that the
last one is dated when it is sent. None is dated into the future.

It is sent as the device whose identity it is sent with (fulmar keys issue makes one). With --insecure it goes in the clear, to a ground
that is insecure too; over mqtts the broker's certificate is then held against the system's authorities, or those in the file that
a link's setting ca names (--config), or on Linux SSL_CERT_FILE.`,
		Args: oneArg("a recording"),
		RunE: func(c *cobra.Command, args []string) error { return replayFile(c, args[0], o) },
	}
	c.Flags().StringVar(&o.file, "config", "", "file of settings, of kind machine; the flags go over it")
	c.Flags().StringArray("to", nil, "URL of the link, mqtts://host:port, tls://host:port, grpcs://host:port, serial:///port or file:///folder; may be repeated, most preferred first")
	c.Flags().String("device", "", "name under which the recording arrives; default that of the identity, without one the file's name")
	c.Flags().String("identity", "", "folder of the identity under which it is sent")
	c.Flags().Bool("insecure", false, "for the bench: nothing is sealed, no identity is wanted, links may be without TLS")
	c.Flags().String("data", "", "keep the spool in this folder; empty for a temporary one that is removed")
	c.Flags().Float64Var(&o.speed, "speed", 1, "1 is real time, 0 as fast as it goes")
	c.Flags().Duration("linger", replayLinger, "how long to wait at the end for the ground to have everything")
	c.Flags().BoolVar(&o.json, "json", false, "print the summary as one JSON object on stdout")
	return c
}

// replayLinger is how long to wait at the end, unless it is set.
const replayLinger = 30 * time.Second

// deviceOf makes a device's name of a file's.
func deviceOf(path string) string {
	base := strings.ToLower(strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)))
	name := strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' {
			return r
		}
		return '-'
	}, base)
	return name[:min(len(name), telemetry.MaxDevice)]
}

func replayFile(c *cobra.Command, path string, o replayOptions) (err error) {
	s := node.DefaultSettings()
	unnamed := deviceOf(path)
	s.Device, s.Data, s.Linger = unnamed, "", replayLinger
	if _, err := load("machine", o.file, &s, replayFlags.overrides(c)...); err != nil {
		return err
	}
	if len(s.Links) == 0 {
		return &usageError{err: errors.New("replay: no link"), hint: "say where to with --to mqtts://127.0.0.1:8883"}
	}
	if !(o.speed >= 0) || math.IsInf(o.speed, 0) { // NaN too
		return &usageError{err: fmt.Errorf("replay: speed %g", o.speed), hint: "1 is real time, 0 as fast as it goes"}
	}
	keys, err := replayKeys(&s, unnamed)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	temporary := s.Data == ""
	if temporary {
		if s.Data, err = os.MkdirTemp("", "fulmar-replay-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(s.Data)) }()
	}
	unlock, err := lock(s.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	disk, err := env.NewOSDisk(s.Data)
	if err != nil {
		return err
	}
	links, err := s.Dialers(keys)
	if err != nil {
		return err
	}
	newFilter, err := s.NewFilter()
	if err != nil {
		return err
	}
	started := time.Now()
	result, err := replay.Send(c.Context(), replay.Options{Device: s.Device, Disk: disk, Links: links, Keys: keys, Courier: s.CourierOptions(), Filter: newFilter(), Speed: o.speed, Linger: s.Linger,
		Random: crand.Reader, Logger: slog.Default()}, f)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return tellReplay(c, path, o, s, result, time.Since(started), temporary)
}

// replayKeys opens the identity under which a recording is sent. Unless the device was named, it has the identity's name.
func replayKeys(s *node.Settings, unnamed string) (*identity.Keyring, error) {
	if s.Insecure {
		warnInsecure("what is sent can be read and changed on its way")
		return nil, nil
	}
	if s.Identity == "" && s.Data == "" {
		return nil, &usageError{err: errors.New("replay: no identity"), hint: "fulmar keys issue device " + s.Device + " --out FOLDER makes one, for --identity FOLDER; on the bench, --insecure does without"}
	}
	if s.Device == unnamed {
		if k, err := identity.Open(s.IdentityDir(), time.Now, identity.Device); err == nil {
			s.Device = k.Self().Name
		}
	}
	return machineKeys(*s)
}

// replaySummary is what replay prints at its end.
type replaySummary struct {
	Device          string   `json:"device"`
	Seconds         float64  `json:"seconds"`
	Messages        uint64   `json:"messages"` // of the recording
	Filtered        uint64   `json:"filtered"` // of them, held back by the settings' filters
	Readings        uint64   `json:"readings"` // in the messages that were not
	Produced        uint64   `json:"produced"` // records numbered: the messages and their layouts
	Delivered       uint64   `json:"delivered"`
	Waiting         uint64   `json:"waiting"`
	Lost            uint64   `json:"lost"`
	FramesRepeated  uint64   `json:"frames_repeated"`
	BytesOnLink     uint64   `json:"bytes_on_link"`
	BytesPerReading float64  `json:"bytes_per_reading"`
	Damaged         []string `json:"damaged,omitempty"`
}

func tellReplay(c *cobra.Command, path string, o replayOptions, m node.Settings, r replay.Result, elapsed time.Duration, temporary bool) error {
	s := replaySummary{Device: m.Device, Seconds: elapsed.Seconds(), Messages: r.Messages, Filtered: r.Filtered, Readings: r.Readings,
		Produced: r.Account.Numbered, Delivered: r.Account.Delivered, Waiting: r.Account.Waiting, Lost: r.Account.Lost(),
		FramesRepeated: r.Repeats, BytesOnLink: r.BytesOnLink}
	if r.Readings > 0 {
		s.BytesPerReading = float64(r.BytesOnLink) / float64(r.Readings)
	}
	for _, d := range r.Damaged {
		s.Damaged = append(s.Damaged, d.Error())
	}
	if o.json {
		if err := json.NewEncoder(c.OutOrStdout()).Encode(s); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(c.OutOrStdout(), "%s as %s: %d messages, %d readings in %.1f s: %d records delivered, %d waiting, %d lost; %d bytes on the link, %.2f per reading\n",
			path, s.Device, s.Messages, s.Readings, s.Seconds, s.Delivered, s.Waiting, s.Lost, s.BytesOnLink, s.BytesPerReading)
	}
	switch {
	case s.Waiting > 0:
		last := ""
		for _, l := range r.Links {
			last = l.LastError
		}
		err := fmt.Errorf("%d records were not acknowledged within %s; the link said: %s", s.Waiting, m.Linger, last)
		if temporary {
			return &hintedError{err: err, hint: "with --data DIR they would stay in the spool and be delivered by the next run"}
		}
		return &hintedError{err: err, hint: "they stay in the spool in " + m.Data + " and are delivered by the next run"}
	case len(s.Damaged) > 0:
		return fmt.Errorf("%s is damaged at %d places; what could be read was sent: %s", path, len(s.Damaged), s.Damaged[0])
	}
	return nil
}
