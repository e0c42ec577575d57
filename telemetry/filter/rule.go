package filter

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Limits of rules.
const (
	MaxRules  = 128
	MaxFields = 256       // that a deadband names
	MaxOneOf  = 1_000_000 // records of which one passes
	MaxBurst  = 1_000_000 // records
	MaxRate   = 1_000_000 // records per second
	MinRate   = 1e-6      // records per second; one in about 12 days
)

// maxRefill bounds the time in which an empty bucket fills, so that times can be added up in nanoseconds.
const maxRefill = 10 * 365 * 24 * time.Hour

// Rule says which records it is about, and what it does with them: Keep, or Drop, or one or more of MinSeverity, OneOf,
// Deadband and Rate, which apply in this order. Its state is each layout's own.
type Rule struct {
	// Match names the layouts, as "component/port"; see Pattern. Default: all of them, except for Drop, which has no
	// default.
	Match Pattern `doc:"layouts it is about, as component/port: * is any part without a slash, ** also slashes, ? a character, {a,b} a choice; all if empty"`
	// Kinds the rule is about, of reading, health, diagnostics and event. Default: readings and diagnostics; with
	// MinSeverity: events; with Keep: all.
	Kinds []telemetry.Kind `doc:"kinds it is about: reading, health, diagnostics, event; if empty readings and diagnostics, with min_severity events, with keep all"`
	// Classes the rule is about. Default: all.
	Classes []packet.Class `doc:"classes it is about: urgent, normal, bulk; all if empty"`
	// Severities the rule is about, which only events have; the others have "none". Default: all.
	Severities []packet.Severity `doc:"severities it is about, of events; all if empty"`
	// Alarms says that the rule is also about records of severity warning or worse and about health records that tell a
	// change of status. Default: it leaves them alone. Keep needs no leave to keep them.
	Alarms bool `doc:"it is also about warnings and worse and about changes of status, which are left alone otherwise"`

	// Keep lets the record pass; the rules after this one are not asked.
	Keep bool `doc:"let the record pass; the rules after this one are not asked"`
	// Drop holds the record back.
	Drop bool `doc:"hold the record back"`
	// MinSeverity holds back the events below it. Range: info to warning; to critical with Alarms. Default: none.
	MinSeverity packet.Severity `doc:"hold back events below it"`
	// OneOf lets one of so many records pass, the first of them. Range: 1, which lets all pass, to MaxOneOf. Default 0:
	// does not apply.
	OneOf int `doc:"let one of so many pass; 0 does not apply" max:"1000000"`
	// Deadband holds back what has not changed enough. Default nil: does not apply.
	Deadband *Deadband `doc:"hold back what has not changed enough"`
	// Rate bounds the records per second. Default nil: does not apply.
	Rate *Rate `doc:"bound the records per second"`
}

// Deadband lets a record pass if one of its numbers has moved out of the band around its value in the last record that
// passed, if anything else in it has changed (a text, a truth, a number to or from NaN or infinity), if MaxSilence is
// over, or if it is the first.
type Deadband struct {
	// Absolute is the half width of the band, in the unit of the field. Range: 0, at which any change is one, and up.
	Absolute float64 `doc:"half width of the band, in the field's unit; at 0 any change is one" min:"0"`
	// Relative is the half width as a share of the last value: 0.01 is one per cent. With Absolute the wider one counts,
	// which gives values near zero a band too. Range: 0 to below 1. Default 0.
	Relative float64 `doc:"half width as a share of the last value; the wider one counts" min:"0" max:"1"`
	// MaxSilence is the time after which a record passes though nothing has changed. It is looked at when there is a
	// record. Range: 0, which is for ever, and up. Default 0.
	MaxSilence time.Duration `doc:"after so long a record passes though nothing has changed; 0s is for ever" min:"0s"`
	// Fields are the names of those that count; a vector counts as a whole. A layout with none of them is left alone.
	// Default: all.
	Fields []string `doc:"names of the fields that count; all if empty"`
}

// Rate is a token bucket: each record that passes takes a token, and without one it is held back. In a time t at most
// Burst + PerSecond × t records of a layout pass.
type Rate struct {
	// PerSecond is how many tokens come in a second. Range: MinRate to MaxRate.
	PerSecond float64 `doc:"records per second" min:"0.000001" max:"1000000"`
	// Burst is how many tokens the bucket holds; it starts full. Range: 1 to MaxBurst. Default 0: those of one second,
	// at least one.
	Burst int `doc:"records at once; 0 is those of one second" min:"0" max:"1000000"`
}

// invalid returns an error that wraps telemetry.ErrInvalid. What it is about comes first.
func invalid(what, why string, args ...any) error {
	return fmt.Errorf("%s: %w: %s", what, telemetry.ErrInvalid, fmt.Sprintf(why, args...))
}

// Validate reports the first thing that makes the rule impossible, or other than what was probably meant.
func (r Rule) Validate() error {
	if r.Match != "" {
		if _, err := r.Match.compile(); err != nil {
			return err
		}
	}
	if err := r.validateScope(); err != nil {
		return err
	}
	return r.validateActions()
}

func (r Rule) validateScope() error {
	for _, k := range r.Kinds {
		switch {
		case !k.Valid():
			return invalid("kinds", "there is no kind %d", k)
		case k == telemetry.Definition:
			return invalid("kinds", "definitions always pass: without them no record can be read")
		}
	}
	for _, c := range r.Classes {
		if !c.Valid() {
			return invalid("classes", "there is no class %d", c)
		}
	}
	for _, s := range r.Severities {
		if !s.Valid() {
			return invalid("severities", "there is no severity %d", s)
		}
		if s >= packet.Warning && !r.Alarms && !r.Keep {
			return invalid("severities", "%s is an alarm, which a rule leaves alone unless it says alarms: true", s)
		}
		if s != packet.None && !slices.Contains(r.kinds(), telemetry.Event) {
			return invalid("severities", "only events have one: say kinds: [event]")
		}
	}
	return nil
}

// kinds returns what the rule is about.
func (r Rule) kinds() []telemetry.Kind {
	switch {
	case len(r.Kinds) > 0:
		return r.Kinds
	case r.MinSeverity != packet.None:
		return []telemetry.Kind{telemetry.Event}
	case r.Keep:
		return []telemetry.Kind{telemetry.Reading, telemetry.Health, telemetry.Diagnostics, telemetry.Event}
	}
	return []telemetry.Kind{telemetry.Reading, telemetry.Diagnostics}
}

func (r Rule) validateActions() error {
	some := r.MinSeverity != packet.None || r.OneOf != 0 || r.Deadband != nil || r.Rate != nil
	switch {
	case r.Drop && r.Keep:
		return invalid("drop and keep", "a record cannot be both")
	case (r.Drop || r.Keep) && some:
		return invalid("drop or keep beside another action", "there is nothing left for the other to decide")
	case !r.Drop && !r.Keep && !some:
		return invalid("rule", "it does nothing: want keep, drop, min_severity, one_of, deadband or rate")
	case r.Drop && r.Match == "":
		return invalid("drop without match", `say match: "**" if every record is meant`)
	case r.OneOf < 0 || r.OneOf > MaxOneOf:
		return invalid("one_of", "%d: want 1 to %d", r.OneOf, MaxOneOf)
	}
	if err := r.validateMinSeverity(); err != nil {
		return err
	}
	if r.Deadband != nil {
		if err := r.Deadband.Validate(); err != nil {
			return fmt.Errorf("deadband: %w", err)
		}
	}
	if r.Rate != nil {
		if err := r.Rate.Validate(); err != nil {
			return fmt.Errorf("rate: %w", err)
		}
	}
	return nil
}

func (r Rule) validateMinSeverity() error {
	s := r.MinSeverity
	switch {
	case s == packet.None:
		return nil
	case !s.Valid():
		return invalid("min_severity", "there is no severity %d", s)
	case s == packet.Debug:
		return invalid("min_severity", "no event is below debug")
	case s > packet.Warning && !r.Alarms:
		return invalid("min_severity", "%s would hold back warnings, which are alarms: say alarms: true if that is meant", s)
	case len(r.Severities) > 0:
		return invalid("min_severity beside severities", "want one of them")
	}
	for _, k := range r.Kinds {
		if k != telemetry.Event {
			return invalid("min_severity", "records of kind %s have no severity: want kinds: [event], or none", k)
		}
	}
	return nil
}

// Validate reports the first thing that makes the deadband impossible.
func (d Deadband) Validate() error {
	switch {
	case !(d.Absolute >= 0) || math.IsInf(d.Absolute, 1):
		return invalid("absolute", "%v: want 0 or more", d.Absolute)
	case !(d.Relative >= 0 && d.Relative < 1):
		return invalid("relative", "%v: want 0 to below 1, a share of the last value; one per cent is 0.01", d.Relative)
	case d.MaxSilence < 0:
		return invalid("max_silence", "%s: want 0 or more", d.MaxSilence)
	case len(d.Fields) > MaxFields:
		return invalid("fields", "%d of them: want at most %d", len(d.Fields), MaxFields)
	}
	for i, f := range d.Fields {
		switch {
		case f == "" || len(f) > telemetry.MaxName:
			return invalid("fields", "a name of %d bytes: want 1 to %d", len(f), telemetry.MaxName)
		case slices.Contains(d.Fields[:i], f):
			return invalid("fields", "%q twice", f)
		}
	}
	return nil
}

// Validate reports the first thing that makes the rate impossible.
func (r Rate) Validate() error {
	switch {
	case !(r.PerSecond >= MinRate && r.PerSecond <= MaxRate):
		return invalid("per_second", "%v: want %v to %v", r.PerSecond, MinRate, MaxRate)
	case r.Burst < 0 || r.Burst > MaxBurst:
		return invalid("burst", "%d: want 1 to %d", r.Burst, MaxBurst)
	case float64(r.burst())/r.PerSecond > maxRefill.Seconds():
		return invalid("burst", "%d tokens at %v per second take longer than ten years", r.Burst, r.PerSecond)
	}
	return nil
}

func (r Rate) burst() int {
	if r.Burst != 0 {
		return r.Burst
	}
	return int(math.Ceil(r.PerSecond))
}
