package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/fulmar-io/fulmar/ground/station"
)

func groundCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "ground [GROUND.yaml]",
		Short: "Run the receiver: broker, store, API and page",
		Long: `Run the receiver. It embeds a broker for MQTT and NATS, or with --broker connects to one that is there, and keeps
what arrives in the data folder. Ctrl-C stops it; what was acknowledged is on disk.

It takes machines whose identity its keys trust: fulmar keys makes them. --insecure does without, for the bench.

Settings come from the file (YAML, TOML or JSON), over it from the environment, as FULMAR_STORE__MAX_BYTES=10GiB, and
over both from the flags.`,
		Args: atMostOneArg("a file of settings"),
		RunE: func(c *cobra.Command, args []string) error {
			outliveReaders()
			s := station.DefaultSettings()
			if _, err := load("ground", first(args), &s, groundFlags.overrides(c)...); err != nil {
				return err
			}
			r, err := openReceiver(c.Context(), s)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.ErrOrStderr(), "page and API  %s\n", r.url)
			label := "machines at"
			for _, u := range r.machinesAt() {
				fmt.Fprintf(c.ErrOrStderr(), "%-13s %s\n", label, u)
				label = ""
			}
			if r.enroll != nil {
				fmt.Fprintf(c.ErrOrStderr(), "enrolls at    %s\n", r.enroll.Addr())
			}
			if r.gate != nil && r.gate.Empty() {
				fmt.Fprintf(c.ErrOrStderr(), "nobody can sign in to the page yet: fulmar users add NAME --role admin --data %s\n", s.Data)
			}
			return r.run(c.Context())
		},
	}
	d := receiverFlags(c)
	c.Flags().String("data", d.Data, "folder for frames and index")
	c.Flags().String("keys", d.Keys, "folder of the ground's keys; empty for keys below data")
	c.Flags().String("enroll", d.Enroll, "address on which devices with a token get their identity; empty for none")
	c.Flags().StringArray("broker", nil, "URL of a broker that is there, mqtts://host:port or tls://host:port, instead of the embedded one; grpcs://host:port is an address of the ground's own; may be repeated")
	c.Flags().String("queue", d.Queue, "share the devices with other grounds of this queue group; only with --broker")
	return c
}

// receiverFlags are the flags of whatever runs a ground. What they say is read by groundFlags.
func receiverFlags(c *cobra.Command) station.Settings {
	d := station.DefaultSettings()
	c.Flags().String("http", d.HTTP, "address of the page and the API")
	c.Flags().String("mqtt", d.MQTT, "address on which machines are taken over MQTT")
	c.Flags().String("nats", d.NATS, "address on which machines are taken over NATS; empty for none")
	c.Flags().String("grpc", d.GRPC, "address on which machines are taken over gRPC; empty for none")
	c.Flags().Bool("insecure", d.Insecure, "for the bench: no TLS, no keys, anybody may connect")
	c.Flags().Bool("profiles", d.Profiles, "serve /debug/pprof beside /metrics")
	return d
}
