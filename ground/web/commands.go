package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"time"

	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/ground/orders"
)

// Orders brings orders to machines; station.Station does.
type Orders interface {
	// Give returns when the order is durable. Its error wraps those of package orders.
	Give(ctx context.Context, r orders.Request) (orders.Entry, error)
	// Order returns an order, and waits while its state is the one that is known, until ctx ends.
	Order(ctx context.Context, id command.ID, known command.State) (orders.Entry, error)
	Orders(ctx context.Context, device string, most int) ([]orders.Entry, error)
	Declared(ctx context.Context, device string) ([]command.Declaration, error)
}

// Limits of what is said about orders.
const (
	maxBody = 64 << 10 // bytes of a request

	maxBodyTime = 15 * time.Second // until it is here
	maxOrders   = 100              // of an answer
	// maxHold is how long an answer may wait for a change.
	maxHold = 20 * time.Second
)

// orderJSON is an order in answers.
type orderJSON struct {
	ID        command.ID        `json:"id"`
	Device    string            `json:"device"`
	Name      string            `json:"name"`
	Arguments map[string]string `json:"arguments"`
	By        string            `json:"by"`
	State     command.State     `json:"state"`
	Text      string            `json:"text"`
	Unknown   bool              `json:"unknown"`
	GivenMS   millis            `json:"given_ms"`
	UntilMS   millis            `json:"until_ms"`
	ChangedMS millis            `json:"changed_ms"`
}

func orderOf(e orders.Entry) orderJSON {
	return orderJSON{ID: e.ID, Device: e.Device, Name: e.Name, Arguments: command.Order{Arguments: e.Arguments}.Values(), By: e.By, State: e.State, Text: e.Text,
		Unknown: e.Unknown, GivenMS: millis(e.Given.UnixNano()), UntilMS: millis(e.Until.UnixNano()), ChangedMS: millis(e.Changed.UnixNano())}
}

func (s *Server) orders() (Orders, error) {
	if s.o.Orders == nil {
		return nil, newProblem(http.StatusNotImplemented, "this ground gives no commands")
	}
	return s.o.Orders, nil
}

// getCommands answers what a machine can be told to do, and what it was told lately.
func (s *Server) getCommands(w http.ResponseWriter, r *http.Request, q *query) error {
	o, err := s.orders()
	if err != nil {
		return err
	}
	declared, err := o.Declared(r.Context(), q.device)
	if err != nil {
		return err
	}
	list, err := o.Orders(r.Context(), q.device, maxOrders)
	if err != nil {
		return err
	}
	answer := struct {
		Declared []command.Declaration `json:"declared"`
		Orders   []orderJSON           `json:"orders"`
	}{Declared: append([]command.Declaration{}, declared...), Orders: make([]orderJSON, len(list))}
	for i, e := range list {
		answer.Orders[i] = orderOf(e)
	}
	return writeJSON(w, r, answer)
}

// orderRequest is the body of a request for an order.
type orderRequest struct {
	Name      string         `json:"name"`
	Arguments map[string]any `json:"arguments"`
	WithinS   float64        `json:"within_s"`
}

// postCommand gives an order. The answer says that it is durable here.
func (s *Server) postCommand(w http.ResponseWriter, r *http.Request, q *query) error {
	o, err := s.orders()
	if err != nil {
		return err
	}
	p, _ := personOf(r)
	var body orderRequest
	if err := readBody(w, r, &body); err != nil {
		return err
	}
	if body.WithinS < 0 || body.WithinS > orders.MaxWithin.Seconds() {
		return newProblem(http.StatusBadRequest, "within_s: %v: want 0 to %v", body.WithinS, orders.MaxWithin.Seconds())
	}
	request := orders.Request{Device: q.device, Name: body.Name, By: p.name, Role: p.role, Within: time.Duration(body.WithinS * float64(time.Second))}
	for _, name := range slices.Sorted(maps.Keys(body.Arguments)) {
		v, err := argumentText(body.Arguments[name])
		if err != nil {
			return newProblem(http.StatusBadRequest, "arguments: %.60q: %v", name, err)
		}
		request.Arguments = append(request.Arguments, command.Argument{Name: name, Value: v})
	}
	e, err := o.Give(r.Context(), request)
	switch {
	case errors.Is(err, orders.ErrUnknown):
		return newProblem(http.StatusNotFound, "%v", err)
	case errors.Is(err, orders.ErrRole):
		return newProblem(http.StatusForbidden, "%v", err)
	case errors.Is(err, orders.ErrFull):
		return newProblem(http.StatusTooManyRequests, "%v", err)
	case errors.Is(err, command.ErrInvalid):
		return newProblem(http.StatusBadRequest, "%v", err)
	case err != nil:
		return err
	}
	w.Header().Set("Location", apiPrefix+"orders/"+e.ID.String())
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusAccepted)
	return json.NewEncoder(w).Encode(orderOf(e))
}

// argumentText is a scalar as a machine's own settings would have it.
func argumentText(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case bool, json.Number:
		return fmt.Sprint(v), nil
	}
	return "", errors.New("want a text, a number, true or false")
}

// readBody reads a request's body as JSON. That it must say so keeps a form of another page's from being one.
func readBody(w http.ResponseWriter, r *http.Request, into any) error {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return newProblem(http.StatusUnsupportedMediaType, "want a body of application/json")
	}
	rc := http.NewResponseController(w)
	if err := rc.SetReadDeadline(time.Now().Add(maxBodyTime)); err != nil && !errors.Is(err, http.ErrNotSupported) { // a test's recorder has none
		return err
	}
	defer func() { _ = rc.SetReadDeadline(time.Time{}) }() // it was just set
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	d.UseNumber()
	err = d.Decode(into)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return newProblem(http.StatusRequestEntityTooLarge, "a body of at most %d bytes", maxBody)
	case err != nil:
		return newProblem(http.StatusBadRequest, "the body: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return newProblem(http.StatusBadRequest, "the body: something follows the end")
	}
	return nil
}

// getOrder answers how far an order has come; with a state that is known, when it has come further.
func (s *Server) getOrder(w http.ResponseWriter, r *http.Request, q *query) error {
	o, err := s.orders()
	if err != nil {
		return err
	}
	id, err := command.ParseID(r.PathValue("id"))
	if err != nil {
		return newProblem(http.StatusBadRequest, "%v", err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), maxHold)
	defer cancel()
	if err := writeWithin(http.NewResponseController(w), maxHold+s.o.WriteTimeout); err != nil {
		return err
	}
	select {
	case s.live <- struct{}{}:
		defer func() { <-s.live }()
	default:
		return newProblem(http.StatusServiceUnavailable, "%d streams are open already", s.o.MaxLive)
	}
	e, err := o.Order(ctx, id, q.state)
	if err != nil {
		return err
	}
	return writeJSON(w, r, orderOf(e))
}
