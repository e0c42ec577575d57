package web_test

import (
	"encoding/json"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/fulmar-io/fulmar/ground"
	"github.com/fulmar-io/fulmar/ground/web"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// A client that missed more events than an answer holds is given the newest, and told from when to when others are missing;
// one that missed as many as there is room for but one is told of no gap.
func TestLiveTellsThatEventsAreTooMany(t *testing.T) {
	const from = epoch + 10*second
	for _, missed := range []int{web.MaxEvents - 1, web.MaxEvents + 500} {
		s, d := newServer(t, nil)
		d.mu.Lock()
		d.events = nil
		for i := range missed {
			d.events = append(d.events, ground.Event{Device: "rover", Component: "drive", Time: from + int64(i)*second/10, Severity: packet.Info,
				Text: strconv.Itoa(i), Stream: telemetry.Stream{Device: "rover", Class: packet.Urgent}})
		}
		d.mu.Unlock()
		srv := httptest.NewServer(s.Handler())
		r := open(t, srv.URL, "device=rover&from="+ms(from), "")
		gaps, texts := gapsAndEvents(t, r)
		oldest := max(0, missed-web.MaxEvents)
		if len(texts) != missed-oldest || texts[0] != strconv.Itoa(oldest) || texts[len(texts)-1] != strconv.Itoa(missed-1) {
			t.Errorf("of %d: %d events, from %s to %s", missed, len(texts), texts[0], texts[len(texts)-1])
		}
		if oldest == 0 && len(gaps) > 0 {
			t.Errorf("of %d: gaps %+v, though nothing is missing", missed, gaps)
		}
		want := gapTold{Reason: "too_long", Events: true, From: ms(from-1) + ".999999", To: ms(from + int64(oldest)*second/10)}
		if oldest > 0 && (len(gaps) != 1 || gaps[0] != want) {
			t.Errorf("of %d: gaps %+v, want one, %+v", missed, gaps, want)
		}
		r.cut()
		s.Close()
		srv.Close()
	}
}

type gapTold struct {
	Reason   string
	Events   bool
	From, To string
}

// gapsAndEvents reads a stream of no series up to the machine's state, which follows the fill.
func gapsAndEvents(t *testing.T, r *reader) (gaps []gapTold, texts []string) {
	t.Helper()
	for {
		f, ok := r.next()
		if !ok {
			t.Fatal("the stream ended")
		}
		var m struct {
			Reason string
			Events json.RawMessage
			From   json.Number `json:"from_ms"`
			To     json.Number `json:"to_ms"`
		}
		if err := json.Unmarshal(f.data, &m); err != nil {
			t.Fatal(err)
		}
		switch f.event {
		case "machine":
			return gaps, texts
		case "gap":
			gaps = append(gaps, gapTold{Reason: m.Reason, Events: string(m.Events) == "true", From: m.From.String(), To: m.To.String()})
		case "events":
			var events []struct{ Text string }
			if err := json.Unmarshal(m.Events, &events); err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				texts = append(texts, e.Text)
			}
		}
	}
}
