package main

import (
	"context"
	"errors"
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
		return nil, &usageError{err: fmt.Errorf("link: %w", withoutURL(err)), hint: linksAre}
	}
	switch u.Scheme {
	case "mqtt", "mqtts":
		return mqtt.Dialer{URL: rawURL, Device: device}, nil
	case "file":
		dir, err := folder(u)
		return file.Dialer{Dir: dir, Device: device}, err
	case "nats":
		return nats.Dialer{URL: rawURL, Device: device}, nil
	}
	return nil, unknownScheme(u.Scheme)
}

// listen returns the ground's end of a link to a broker that is there.
func listen(ctx context.Context, rawURL, queue string) (link.Receiver, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, &usageError{err: fmt.Errorf("broker: %w", withoutURL(err)), hint: linksAre}
	}
	switch u.Scheme {
	case "mqtt", "mqtts":
		return mqtt.Listen(ctx, rawURL, queue, mqtt.Options{})
	case "file":
		dir, err := folder(u)
		if err != nil {
			return nil, err
		}
		return file.Listen(dir, file.Options{})
	case "nats":
		return nats.Listen(rawURL, queue)
	}
	return nil, unknownScheme(u.Scheme)
}

const linksAre = "links are mqtt://host:port, mqtts://host:port, nats://host:port and file:///folder"

func unknownScheme(s string) error {
	return &usageError{err: fmt.Errorf("no link has the scheme %q", s), hint: linksAre}
}

// folder returns the folder of a file link. With two slashes a folder would be a host.
func folder(u *url.URL) (string, error) {
	if u.Host != "" || u.Path == "" {
		return "", &usageError{err: fmt.Errorf("link %s: no folder", u.Redacted()), hint: "a folder is named from the root on, with three slashes: file:///media/stick"}
	}
	return u.Path, nil
}

// withoutURL is what is wrong with a URL, but not the URL, which may hold a password.
func withoutURL(err error) error {
	var parse *url.Error
	if errors.As(err, &parse) {
		return parse.Err
	}
	return err
}
