package web

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/fulmar-io/fulmar/ground"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
)

// millis is nanoseconds that are written as decimal milliseconds, without rounding.
type millis int64

// MarshalJSON implements json.Marshaler.
func (m millis) MarshalJSON() ([]byte, error) { return appendMillis(nil, int64(m)), nil }

func appendMillis(b []byte, ns int64) []byte {
	const perMS = 1_000_000
	if ns < 0 {
		b = append(b, '-')
	}
	whole, frac := ns/perMS, ns%perMS
	if ns < 0 {
		whole, frac = -whole, -frac
	}
	b = strconv.AppendInt(b, whole, 10)
	if frac == 0 {
		return b
	}
	b = append(b, '.')
	digits := strconv.AppendInt(nil, frac+perMS, 10)[1:]
	for digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
	}
	return append(b, digits...)
}

// optionalTime is null where the nouns of package ground have 0.
func optionalTime(ns int64) *millis {
	if ns == 0 {
		return nil
	}
	m := millis(ns)
	return &m
}

type times []int64

// MarshalJSON implements json.Marshaler.
func (t times) MarshalJSON() ([]byte, error) {
	const bytesEach = 21
	b := append(make([]byte, 0, len(t)*bytesEach+2), '[')
	for i, ns := range t {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendMillis(b, ns)
	}
	return append(b, ']'), nil
}

type numbers []float64

// MarshalJSON implements json.Marshaler. A nil list is null: the trace has no such column.
func (n numbers) MarshalJSON() ([]byte, error) {
	if n == nil {
		return []byte("null"), nil
	}
	const bytesEach = 12
	b := append(make([]byte, 0, len(n)*bytesEach+2), '[')
	for i, v := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendNumber(b, v)
	}
	return append(b, ']'), nil
}

func appendNumber(b []byte, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(b, "null"...)
	}
	return strconv.AppendFloat(b, v, 'g', -1, 64)
}

// value is one sample's value: a number, true, false, a string, or null for what JSON has no number for.
type value struct{ any }

// MarshalJSON implements json.Marshaler.
func (v value) MarshalJSON() ([]byte, error) {
	switch x := v.any.(type) {
	case float64:
		return appendNumber(nil, x), nil
	case float32:
		if f := float64(x); math.IsNaN(f) || math.IsInf(f, 0) {
			return []byte("null"), nil
		}
		return strconv.AppendFloat(nil, float64(x), 'g', -1, 32), nil
	}
	return json.Marshal(v.any)
}

type machineSummary struct {
	Device    string        `json:"device"`
	Status    ground.Status `json:"status"`
	FirstSeen millis        `json:"first_seen_ms"`
	LastSeen  millis        `json:"last_seen_ms"`
	Boots     int           `json:"boots"`
	Records   uint64        `json:"records"`
	Readings  uint64        `json:"readings"`
	Bytes     uint64        `json:"bytes"`
}

type machineFull struct {
	machineSummary
	Now        millis          `json:"now_ms"`
	Components []componentJSON `json:"components"`
	Tasks      []taskJSON      `json:"tasks"`
	Processes  []processJSON   `json:"processes"`
	Ledger     ledgerJSON      `json:"ledger"`
}

type componentJSON struct {
	Name          string        `json:"name"`
	Status        ground.Status `json:"status"`
	Reason        string        `json:"reason"`
	UptimeSeconds float64       `json:"uptime_s"`
	LastEvent     string        `json:"last_event"`
	LastEventTime *millis       `json:"last_event_ms"`
	LastPacket    *millis       `json:"last_packet_ms"`
	Told          *millis       `json:"told_ms"`
}

type taskJSON struct {
	Component string  `json:"component"`
	Name      string  `json:"name"`
	Period    float64 `json:"period_us"`
	Runs      uint64  `json:"runs"`
	Misses    uint64  `json:"misses"`
	JitterP50 float64 `json:"jitter_p50_us"`
	JitterP99 float64 `json:"jitter_p99_us"`
	JitterMax float64 `json:"jitter_max_us"`
	ExecP99   float64 `json:"exec_p99_us"`
	Told      *millis `json:"told_ms"`
}

type processJSON struct {
	Name       string  `json:"name"`
	Resident   uint64  `json:"resident_bytes"`
	Restricted string  `json:"restricted"`
	Told       *millis `json:"told_ms"`
}

type accountJSON struct {
	Numbered  uint64            `json:"numbered"`
	Delivered uint64            `json:"delivered"`
	Waiting   uint64            `json:"waiting"`
	Lost      uint64            `json:"lost"`
	LostBy    map[string]uint64 `json:"lost_by"`
}

type ledgerJSON struct {
	Machine    accountJSON `json:"machine"`
	Told       *millis     `json:"machine_told_ms"`
	Ground     accountJSON `json:"ground"`
	Duplicates uint64      `json:"duplicate_frames"`
	SpoolBytes uint64      `json:"spool_bytes"`
	SpoolQuota uint64      `json:"spool_quota_bytes"`
	SpoolIn    float64     `json:"spool_in_bytes_per_s"`
}

func summaryJSON(m *ground.Machine) machineSummary {
	status := m.Status
	if status == "" {
		status = ground.StatusUnknown
	}
	return machineSummary{
		Device: m.Device, Status: status, FirstSeen: millis(m.FirstSeen), LastSeen: millis(m.LastSeen),
		Boots: m.Boots, Records: m.Records, Readings: m.Readings, Bytes: m.Bytes,
	}
}

func fullJSON(m *ground.Machine, now int64) machineFull {
	f := machineFull{
		machineSummary: summaryJSON(m), Now: millis(now),
		Components: make([]componentJSON, len(m.Components)), Tasks: make([]taskJSON, len(m.Tasks)), Processes: make([]processJSON, len(m.Processes)),
	}
	for i, c := range m.Components {
		f.Components[i] = componentJSON{
			Name: c.Name, Status: c.Status, Reason: c.Reason, UptimeSeconds: finite(c.UptimeSeconds), LastEvent: c.LastEvent,
			LastEventTime: optionalTime(c.LastEventTime), LastPacket: optionalTime(c.LastPacket), Told: optionalTime(c.Time),
		}
	}
	for i, t := range m.Tasks {
		f.Tasks[i] = taskJSON{
			Component: t.Component, Name: t.Name, Period: micros(t.PeriodNS), Runs: t.Runs, Misses: t.Misses,
			JitterP50: micros(t.JitterP50NS), JitterP99: micros(t.JitterP99NS), JitterMax: micros(t.JitterMaxNS),
			ExecP99: micros(t.ExecP99NS), Told: optionalTime(t.Time),
		}
	}
	for i, p := range m.Processes {
		f.Processes[i] = processJSON{Name: p.Name, Resident: p.ResidentBytes, Restricted: p.Restricted, Told: optionalTime(p.Time)}
	}
	l := &m.Ledger
	f.Ledger = ledgerJSON{
		Machine: toAccount(l.Machine), Told: optionalTime(l.MachineTime), Ground: toAccount(l.Ground),
		Duplicates: l.Duplicates, SpoolBytes: l.SpoolBytes, SpoolQuota: l.SpoolQuota, SpoolIn: finite(l.SpoolInPerSecond),
	}
	return f
}

func micros(ns int64) float64 { return float64(ns) / 1000 }

// finite keeps what a machine told from making an answer that JSON cannot hold.
func finite(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return v
}

func toAccount(a ledger.Account) accountJSON {
	j := accountJSON{Numbered: a.Numbered, Delivered: a.Delivered, Waiting: a.Waiting, Lost: a.Lost(), LostBy: map[string]uint64{}}
	for r := ledger.Reason(0); r < ledger.Reasons; r++ {
		if r.Valid() {
			j.LostBy[r.String()] = a.LostBy[r]
		}
	}
	return j
}

type seriesJSON struct {
	Name      string `json:"name"`
	Component string `json:"component"`
	Layout    string `json:"layout"`
	Type      string `json:"type"`
	Unit      string `json:"unit"`
	Kind      string `json:"kind"`
	From      millis `json:"from_ms"`
	To        millis `json:"to_ms"`
	Rows      uint64 `json:"rows"`
}

func toSeries(s ground.Series) seriesJSON {
	layout, _, _ := strings.Cut(s.Name, ".") // a layout's name has no dot
	component, _, _ := strings.Cut(layout, "/")
	return seriesJSON{
		Name: s.Name, Component: component, Layout: layout, Type: s.Type.String(), Unit: s.Unit, Kind: s.Kind.String(),
		From: millis(s.From), To: millis(s.To), Rows: s.Rows,
	}
}

type sampleJSON struct {
	Series string `json:"series"`
	Time   millis `json:"t_ms"`
	Value  value  `json:"v"`
}

type traceJSON struct {
	Series string   `json:"series"`
	Time   times    `json:"t_ms"`
	Mean   numbers  `json:"mean"`
	Min    numbers  `json:"min"`
	Max    numbers  `json:"max"`
	Count  []uint32 `json:"count"`
}

type eventJSON struct {
	Time      millis `json:"t_ms"`
	Component string `json:"component"`
	Severity  string `json:"severity"`
	Text      string `json:"text"`
	Boot      string `json:"boot"`
	Class     string `json:"class"`
	Seq       uint64 `json:"seq"`
}

func toEvents(events []ground.Event) []eventJSON {
	list := make([]eventJSON, len(events))
	for i, e := range events {
		list[i] = eventJSON{
			Time: millis(e.Time), Component: e.Component, Severity: e.Severity.String(), Text: e.Text,
			Boot: e.Stream.Boot.String(), Class: e.Stream.Class.String(), Seq: e.Seq,
		}
	}
	return list
}

func writeJSON(w http.ResponseWriter, r *http.Request, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(b) // an error means that the client has left
	}
	return nil
}
