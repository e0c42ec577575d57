package main

import (
	"context"
	"fmt"
	"net/url"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/file"
	"github.com/fulmar-io/fulmar/link/mqtt"
	"github.com/fulmar-io/fulmar/link/nats"
)

// dialer returns the machine's end of a link, by the scheme of its URL.
func dialer(rawURL, device string) (link.Dialer, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, &usageError{err: fmt.Errorf("link %q: %w", rawURL, err)}
	}
	switch u.Scheme {
	case "mqtt", "mqtts":
		return mqtt.Dialer{URL: rawURL, Device: device}, nil
	case "file":
		return file.Dialer{Dir: u.Path, Device: device}, nil
	case "nats":
		return nats.Dialer{URL: rawURL, Device: device}, nil
	}
	return nil, unknownScheme(u.Scheme)
}

// listen returns the ground's end of a link to a broker that is there.
func listen(ctx context.Context, rawURL, queue string) (link.Receiver, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, &usageError{err: fmt.Errorf("broker %q: %w", rawURL, err)}
	}
	switch u.Scheme {
	case "mqtt", "mqtts":
		return mqtt.Listen(ctx, rawURL, queue, mqtt.Options{})
	case "file":
		return file.Listen(u.Path, file.Options{})
	case "nats":
		return nats.Listen(rawURL, queue)
	}
	return nil, unknownScheme(u.Scheme)
}

func unknownScheme(s string) error {
	return &usageError{err: fmt.Errorf("no link has the scheme %q", s), hint: "links are mqtt://host:port, nats://host:port and file:///folder"}
}
