package web_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/ground"
	"github.com/fulmar-io/fulmar/ground/orders"
)

// commanded is a machine that does at once what it is told, and says so.
type commanded struct{ given []orders.Entry }

func (c *commanded) Declared(_ context.Context, device string) ([]command.Declaration, error) {
	if device != "rover" {
		return nil, nil
	}
	return []command.Declaration{
		{Name: "drive/halt", Doc: "brings the rover to a stand", Risk: command.Safe, Role: command.Operator, Arguments: []byte(`{"type":"object"}`)},
		{Name: "battery/cut", Doc: "cuts the battery off: somebody has to go there", Risk: command.Danger, Role: command.Admin,
			Arguments: []byte(`{"type":"object","properties":{"after_s":{"type":"integer","minimum":0,"default":5}}}`)},
	}, nil
}

func (c *commanded) Give(_ context.Context, r orders.Request) (orders.Entry, error) {
	id, err := command.NewID(rand.Reader)
	now := time.Now()
	e := orders.Entry{ID: id, Device: r.Device, Name: r.Name, Arguments: r.Arguments, By: r.By, State: command.Done, Text: fmt.Sprint(r.Arguments), Given: now, Until: now, Changed: now}
	c.given = append(c.given, e)
	return e, err
}

func (c *commanded) Order(_ context.Context, id command.ID, _ command.State) (orders.Entry, error) {
	i := slices.IndexFunc(c.given, func(e orders.Entry) bool { return e.ID == id })
	if i < 0 {
		return orders.Entry{}, errors.Join(ground.ErrNotFound)
	}
	return c.given[i], nil
}

func (c *commanded) Orders(context.Context, string, int) ([]orders.Entry, error) {
	list := slices.Clone(c.given)
	slices.Reverse(list)
	return list, nil
}
