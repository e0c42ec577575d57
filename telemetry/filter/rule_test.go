package filter_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/filter"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

func TestImpossibleRules(t *testing.T) {
	rate := func(r float64, burst int) filter.Rule {
		return filter.Rule{Rate: &filter.Rate{PerSecond: r, Burst: burst}}
	}
	band := func(d filter.Deadband) filter.Rule { return filter.Rule{Deadband: &d} }
	event, reading := []telemetry.Kind{telemetry.Event}, []telemetry.Kind{telemetry.Reading}
	for want, r := range map[string]filter.Rule{
		"it does nothing":                                     {Match: "**"},
		"it does nothing: want":                               {MinSeverity: packet.None, OneOf: 0},
		"a record cannot be both":                             {Match: "**", Drop: true, Keep: true},
		"nothing left for the other":                          {Match: "**", Drop: true, OneOf: 2},
		"nothing left for the other to":                       {Keep: true, Rate: &filter.Rate{PerSecond: 1}},
		`say match: "**" if every record is meant`:            {Drop: true},
		"character 5: invalid: '[' is in no name":             {Match: "imu/[a]", Drop: true},
		"there is no kind 0":                                  {Kinds: []telemetry.Kind{0}, OneOf: 2},
		"there is no kind 9":                                  {Kinds: []telemetry.Kind{telemetry.Event, 9}, OneOf: 2},
		"definitions always pass":                             {Kinds: []telemetry.Kind{telemetry.Definition}, OneOf: 2},
		"there is no class 0":                                 {Classes: []packet.Class{0}, OneOf: 2},
		"there is no class 4":                                 {Classes: []packet.Class{packet.Bulk, 4}, OneOf: 2},
		"there is no severity 6":                              {Severities: []packet.Severity{6}, OneOf: 2},
		"severities: invalid: warning is an alarm":            {Kinds: event, Severities: []packet.Severity{packet.Warning}, OneOf: 2},
		"only events have one":                                {Severities: []packet.Severity{packet.Info}, OneOf: 2},
		"only events have one: say":                           {Kinds: reading, Severities: []packet.Severity{packet.Info}, OneOf: 2},
		"min_severity: invalid: there is no severity 77":      {MinSeverity: 77},
		"no event is below debug":                             {MinSeverity: packet.Debug},
		"error would hold back warnings":                      {MinSeverity: packet.Error},
		"critical would hold back warnings":                   {MinSeverity: packet.Critical, Kinds: event},
		"records of kind reading have no severity":            {MinSeverity: packet.Info, Kinds: append(event, reading...)},
		"min_severity beside severities":                      {MinSeverity: packet.Info, Severities: []packet.Severity{packet.Debug}},
		"one_of: invalid: -1":                                 {OneOf: -1},
		"one_of: invalid: 1000001":                            {OneOf: filter.MaxOneOf + 1},
		"deadband: absolute: invalid: -1":                     band(filter.Deadband{Absolute: -1}),
		"deadband: absolute: invalid: NaN":                    band(filter.Deadband{Absolute: math.NaN()}),
		"deadband: absolute: invalid: +Inf":                   band(filter.Deadband{Absolute: math.Inf(1)}),
		"deadband: relative: invalid: 1: want 0 to below 1":   band(filter.Deadband{Relative: 1}),
		"deadband: relative: invalid: NaN":                    band(filter.Deadband{Relative: math.NaN()}),
		"deadband: max_silence: invalid: -1s":                 band(filter.Deadband{MaxSilence: -time.Second}),
		"deadband: fields: invalid: a name of 0 bytes":        band(filter.Deadband{Fields: []string{"x", ""}}),
		`deadband: fields: invalid: "x" twice`:                band(filter.Deadband{Fields: []string{"x", "y", "x"}}),
		"deadband: fields: invalid: 257 of them":              band(filter.Deadband{Fields: make([]string, 257)}),
		"rate: per_second: invalid: 0:":                       rate(0, 1),
		"rate: per_second: invalid: NaN":                      rate(math.NaN(), 1),
		"rate: per_second: invalid: 2e+06":                    rate(2e6, 1),
		"rate: burst: invalid: -1":                            rate(1, -1),
		"rate: burst: invalid: 1000001:":                      rate(1, filter.MaxBurst+1),
		"1000000 tokens at 1e-06 per second take longer than": rate(filter.MinRate, filter.MaxBurst),
	} {
		if err := r.Validate(); !errors.Is(err, telemetry.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		good := filter.Rule{OneOf: 2}
		if _, err := filter.New([]filter.Rule{good, r}); err == nil || !strings.HasPrefix(err.Error(), "filter: rule 2: ") {
			t.Errorf("as the second of two: %v", err)
		}
	}
}

// What a configuration holds may change after New; a Set does not.
func TestASetSharesNoMemoryWithItsRules(t *testing.T) {
	rules := []filter.Rule{{Match: "a/*", Kinds: []telemetry.Kind{telemetry.Reading}, Classes: []packet.Class{packet.Normal},
		Deadband: &filter.Deadband{Absolute: 1, Fields: []string{"x"}}}}
	s, err := filter.New(rules)
	if err != nil {
		t.Fatal(err)
	}
	rules[0].Deadband.Absolute, rules[0].Deadband.Fields[0], rules[0].Kinds[0], rules[0].Classes[0] = 0, "y", telemetry.Health, packet.Bulk
	rules[0].Match = "none"
	l := layout("a/b", telemetry.Reading, "x:float64", "y:float64")
	r := func(x, y float64) telemetry.Record { return record(l, 0, packet.Normal, packet.None, x, y) }
	if got := passes(s.NewFilter(), r(0, 0), r(0.5, 5), r(2, 5)); got != "101" {
		t.Error(got)
	}
}
