package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func groundCommand() *cobra.Command {
	o := receiverOptions{}
	c := &cobra.Command{
		Use:   "ground",
		Short: "Run the receiver: broker, store, API and page",
		Long: `Run the receiver. It embeds a broker for MQTT and NATS, or with --broker connects to one that is there, and keeps
what arrives in the data folder. Ctrl-C stops it; what was acknowledged is on disk.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := openReceiver(c.Context(), o)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.ErrOrStderr(), "page and API  %s\n", r.url)
			if r.broker != nil {
				fmt.Fprintf(c.ErrOrStderr(), "machines at   %s\n", r.broker.MQTT())
				if u := r.broker.NATS(); u != "" {
					fmt.Fprintf(c.ErrOrStderr(), "              %s\n", u)
				}
			}
			return r.run(c.Context())
		},
	}
	receiverFlags(c, &o)
	c.Flags().StringVar(&o.dir, "data", "fulmar-ground", "folder for frames and index")
	c.Flags().StringArrayVar(&o.brokers, "broker", nil, "URL of a broker that is there, mqtt://host:port, mqtts://host:port or nats://host:port, instead of the embedded one; may be repeated")
	c.Flags().StringVar(&o.queue, "queue", "", "share the devices with other grounds of this queue group; only with --broker")
	return c
}

func receiverFlags(c *cobra.Command, o *receiverOptions) {
	c.Flags().StringVar(&o.http, "http", "127.0.0.1:8080", "address of the page and the API")
	c.Flags().StringVar(&o.mqtt, "mqtt", "127.0.0.1:1883", "address on which machines are taken over MQTT")
	c.Flags().StringVar(&o.nats, "nats", "", "address on which machines are taken over NATS; empty for none")
	c.Flags().BoolVar(&o.profiles, "profiles", false, "serve /debug/pprof beside /metrics")
}
