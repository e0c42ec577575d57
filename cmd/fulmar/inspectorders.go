package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/courier"
	"github.com/fulmar-io/fulmar/courier/desk"
	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/ground/orders"
)

// auditLine is one change of an order, as either end has noted it.
type auditLine struct {
	Time      time.Time          `json:"time"`
	What      string             `json:"what"`
	Device    string             `json:"device,omitempty"` // at a ground
	Name      string             `json:"name"`
	By        string             `json:"by"`
	Role      command.Role       `json:"role"`
	From      string             `json:"from,omitempty"` // which ground signed it, at a machine
	Arguments []command.Argument `json:"arguments"`
	Text      string             `json:"text,omitempty"`
	ID        command.ID         `json:"id"`
}

// audit prints an audit as it is read.
type audit struct {
	c       *cobra.Command
	json    bool
	w       *tabwriter.Writer
	damaged int
	err     error
}

func newAudit(c *cobra.Command, asJSON bool) *audit {
	return &audit{c: c, json: asJSON, w: tabwriter.NewWriter(c.OutOrStdout(), 0, 4, 2, ' ', 0)}
}

func (a *audit) line(l auditLine, err error) {
	switch {
	case err != nil:
		a.damaged++
	case a.json:
		a.err = errors.Join(a.err, json.NewEncoder(a.c.OutOrStdout()).Encode(l))
	default:
		list := make([]string, len(l.Arguments))
		for i, v := range l.Arguments {
			list[i] = v.Name + "=" + v.Value
		}
		fmt.Fprintf(a.w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.Time.UTC().Format("2006-01-02 15:04:05.000"), l.What, l.Name, l.By, l.Role, strings.Join(list, " "), l.Text)
	}
}

func (a *audit) end(err error) error {
	err = errors.Join(err, a.err, a.w.Flush())
	if a.damaged > 0 {
		err = errors.Join(err, fmt.Errorf("%d entries are damaged", a.damaged))
	}
	return err
}

// machineOrders lists what a machine was told to do.
func machineOrders(c *cobra.Command, path, spoolDir string, asJSON bool) error {
	disk, err := env.NewOSDisk(path)
	if err != nil {
		return err
	}
	a := newAudit(c, asJSON)
	return a.end(desk.Read(disk, spoolDir+"/"+courier.OrdersDir, func(n desk.Note, err error) {
		l := auditLine{Time: time.Unix(0, n.Wall), What: n.Kind.String(), Name: n.Order.Name, By: n.Order.By, Role: n.Order.Role, From: n.From,
			Arguments: n.Order.Arguments, Text: n.Outcome.Text, ID: n.Order.ID}
		if n.Kind == desk.Ended {
			l.Text = strings.TrimSuffix(string(n.Outcome.State)+": "+n.Outcome.Text, ": ")
		}
		a.line(l, err)
	}))
}

// groundOrders lists what a ground had machines told.
func groundOrders(c *cobra.Command, path string, asJSON bool) error {
	disk, err := env.NewOSDisk(filepath.Clean(path))
	if err != nil {
		return err
	}
	a := newAudit(c, asJSON)
	return a.end(orders.Read(disk, orders.DefaultDir, func(e orders.Entry, err error) {
		a.line(auditLine{Time: e.Changed, What: string(e.State), Device: e.Device, Name: e.Device + " " + e.Name, By: e.By, Role: e.Role, Arguments: e.Arguments,
			Text: e.Text, ID: e.ID}, err)
	}))
}
