package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/fulmar-io/fulmar/ground"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
)

// Machines implements ground.Source. Machines are in the order of their names.
func (x *Index) Machines(ctx context.Context) ([]ground.Machine, error) {
	var list []ground.Machine
	err := each(ctx, x.db, func(rows *sql.Rows) error {
		var m ground.Machine
		var records, readings, bytes int64
		if err := rows.Scan(&m.Device, &m.FirstSeen, &m.LastSeen, &records, &readings, &bytes, &m.Boots); err != nil {
			return err
		}
		m.Records, m.Readings, m.Bytes = uint64(records), uint64(readings), uint64(bytes)
		list = append(list, m)
		return nil
	}, `SELECT name, first_seen, last_seen, records, readings, bytes, (SELECT count(*) FROM boot WHERE device = device.id)
		FROM device ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("store: machines: %w", err)
	}
	for i := range list {
		m := &list[i]
		if err := x.remember(ctx, m.Device); err != nil {
			return nil, err
		}
		x.describe(m)
		if x.Ledger != nil {
			m.Ledger.Ground, m.Ledger.Duplicates = x.Ledger(m.Device)
		}
	}
	return list, nil
}

// remember reads the newest rows about health and diagnostics of a device after a restart, once.
func (x *Index) remember(ctx context.Context, device string) error {
	d, err := x.find(device)
	if err != nil {
		return err
	}
	x.mu.RLock()
	var want []*telemetry.Layout
	for _, l := range d.catalog.All() {
		if !d.remembered && d.layouts[l.ID()] != nil && (l.Kind == telemetry.Health || l.Kind == telemetry.Diagnostics) {
			want = append(want, l)
		}
	}
	x.mu.RUnlock()
	for _, l := range want {
		var places []place
		for field := range l.Fields {
			for element := range l.Fields[field].Elements() {
				places = append(places, place{layout: l, field: field, element: element})
			}
		}
		err := x.newest(ctx, d, places, func(_ *frame.Block, r *row) {
			x.mu.Lock()
			defer x.mu.Unlock()
			if s := d.state[l.Name]; s == nil || s.age.before(r.age) {
				d.state[l.Name] = r
			}
		})
		if err != nil {
			return err
		}
	}
	x.mu.Lock()
	d.remembered = true
	x.mu.Unlock()
	return nil
}

// value returns a field of a row by name, the zero T if it has none of that name and type.
func value[T any](r *row, name string) T {
	column := 0
	for _, f := range r.layout.Fields {
		if f.Name == name {
			v, _ := r.values[column].(T)
			return v
		}
		column += f.Elements()
	}
	var zero T
	return zero
}

// describe fills what the machine says about itself, in the layouts that package node publishes.
func (x *Index) describe(m *ground.Machine) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	d := x.devices[m.Device]
	names := make([]string, 0, len(d.state))
	for name := range d.state {
		names = append(names, name)
	}
	slices.Sort(names)
	m.Status = ground.StatusUnknown
	for _, name := range names {
		r := d.state[name]
		switch parts := strings.Split(name, "/"); {
		case len(parts) == 2 && parts[1] == "health":
			m.Components = append(m.Components, componentOf(parts[0], r))
		case len(parts) == 3 && parts[1] == "task":
			m.Tasks = append(m.Tasks, ground.Task{Component: parts[0], Name: parts[2], Time: r.time,
				PeriodNS: value[int64](r, "period"), Runs: value[uint64](r, "runs"), Misses: value[uint64](r, "misses"),
				JitterP50NS: value[int64](r, "jitter_p50"), JitterP99NS: value[int64](r, "jitter_p99"),
				JitterMaxNS: value[int64](r, "jitter_max"), ExecP99NS: value[int64](r, "exec_p99")})
		case len(parts) == 2 && parts[1] == "process":
			m.Processes = append(m.Processes, ground.Process{Name: parts[0], Time: r.time, ResidentBytes: value[uint64](r, "resident"),
				Restricted: value[string](r, "restricted")})
		case strings.HasPrefix(name, "courier/account/"):
			m.Ledger.Machine.Add(accountOf(r))
			m.Ledger.MachineTime = max(m.Ledger.MachineTime, r.time)
		case name == "courier/spool":
			m.Ledger.SpoolBytes, m.Ledger.SpoolQuota = value[uint64](r, "bytes"), value[uint64](r, "quota")
			m.Ledger.SpoolInPerSecond = value[float64](r, "inflow")
		}
	}
	for _, c := range m.Components {
		if rank(c.Status) > rank(m.Status) {
			m.Status = c.Status
		}
	}
}

func componentOf(name string, r *row) ground.Component {
	c := ground.Component{Name: name, Status: ground.Status(value[string](r, "status")), Reason: value[string](r, "reason"),
		UptimeSeconds: value[float64](r, "uptime"), LastEvent: value[string](r, "last_event"), Time: r.time}
	if rank(c.Status) < 0 {
		c.Status = ground.StatusUnknown
	}
	if age := value[float64](r, "last_event_age"); c.LastEvent != "" && age >= 0 {
		c.LastEventTime = r.time - int64(age*1e9)
	}
	if age := value[float64](r, "last_packet_age"); age >= 0 {
		c.LastPacket = r.time - int64(age*1e9)
	}
	return c
}

func accountOf(r *row) ledger.Account {
	a := ledger.Account{Numbered: value[uint64](r, "numbered"), Delivered: value[uint64](r, "delivered"), Waiting: value[uint64](r, "waiting")}
	for reason := range ledger.Reason(ledger.Reasons) {
		if reason.Valid() {
			a.LostBy[reason] = value[uint64](r, "lost_"+reason.String())
		}
	}
	return a
}

// rank orders statuses for a roll-up: a machine is as its worst component.
func rank(s ground.Status) int {
	return slices.Index([]ground.Status{ground.StatusUnknown, ground.StatusOK, ground.StatusStopped, ground.StatusStarting,
		ground.StatusDegraded, ground.StatusFailed}, s)
}
