package filter_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/filter"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// layout returns one whose fields are given as "name:type" or "name:type:elements".
func layout(name string, kind telemetry.Kind, fields ...string) *telemetry.Layout {
	types := map[string]packet.Type{}
	for i := packet.Float64; i.Valid(); i++ {
		types[i.String()] = i
	}
	l := &telemetry.Layout{Name: name, Kind: kind}
	for _, f := range fields {
		part := strings.Split(f+":1", ":")
		field := telemetry.Field{Name: part[0], Type: types[part[1]]}
		if _, err := fmt.Sscan(part[2], &field.Len); err != nil {
			panic(err)
		}
		l.Fields = append(l.Fields, field)
	}
	if err := l.Validate(); err != nil {
		panic(err)
	}
	return l
}

// record returns a record of values of Go's own types, at a monotonic time.
func record(l *telemetry.Layout, at time.Duration, class packet.Class, severity packet.Severity, values ...any) telemetry.Record {
	var w packet.Writer
	w.Reset(nil, packet.Header{Layout: uint64(l.ID()), Mono: int64(at), Class: class, Severity: severity})
	for _, v := range values {
		switch v := v.(type) {
		case float64:
			w.Float64(v)
		case float32:
			w.Float32(v)
		case int64:
			w.Int64(v)
		case uint64:
			w.Uint64(v)
		case bool:
			w.Bool(v)
		case string:
			w.String(v)
		default:
			panic(fmt.Sprintf("%T", v))
		}
	}
	b, err := w.Bytes()
	if err != nil {
		panic(err)
	}
	r := telemetry.Record{Layout: l, Packet: b}
	if err := r.Check(); err != nil {
		panic(err)
	}
	return r
}

func newFilter(t testing.TB, rules ...filter.Rule) telemetry.Filter {
	t.Helper()
	s, err := filter.New(rules)
	if err != nil {
		t.Fatal(err)
	}
	return s.NewFilter()
}

// passes returns which of some records pass, as "1" and "0".
func passes(f telemetry.Filter, records ...telemetry.Record) string {
	var b strings.Builder
	for _, r := range records {
		if f.Pass(r) {
			b.WriteByte('1')
		} else {
			b.WriteByte('0')
		}
	}
	return b.String()
}

const x = "x:float64"

// all returns one record of each sort there is, named.
func all() map[string]telemetry.Record {
	l := func(kind telemetry.Kind) *telemetry.Layout { return layout("imu/it", kind, x) }
	records := map[string]telemetry.Record{
		"reading":        record(l(telemetry.Reading), 0, packet.Normal, packet.None, 1.0),
		"urgent reading": record(l(telemetry.Reading), 0, packet.Urgent, packet.None, 1.0),
		"bulk reading":   record(l(telemetry.Reading), 0, packet.Bulk, packet.None, 1.0),
		"diagnostics":    record(l(telemetry.Diagnostics), 0, packet.Normal, packet.None, 1.0),
		"health":         record(l(telemetry.Health), 0, packet.Normal, packet.None, 1.0),
		"change":         record(l(telemetry.Health), 0, packet.Urgent, packet.None, 1.0),
		"definition":     record(telemetry.LayoutRecords, 0, packet.Urgent, packet.None, "layout"),
	}
	for s := packet.Debug; s <= packet.Critical; s++ {
		class := packet.Normal
		if s >= packet.Warning {
			class = packet.Urgent
		}
		records[s.String()] = record(l(telemetry.Event), 0, class, s, 1.0)
	}
	records["normal error"] = record(l(telemetry.Event), 0, packet.Normal, packet.Error, 1.0)
	return records
}

func TestWhichRecordsARuleIsAbout(t *testing.T) {
	everything := []telemetry.Kind{telemetry.Reading, telemetry.Health, telemetry.Diagnostics, telemetry.Event}
	const readings = "bulk reading, diagnostics, reading, urgent reading"
	const alarms = "change, critical, error, normal error, warning"
	for name, c := range map[string]struct {
		rules []filter.Rule
		held  string
	}{
		"nothing named":                {[]filter.Rule{{Match: "**", Drop: true}}, readings},
		"every kind":                   {[]filter.Rule{{Match: "**", Kinds: everything, Drop: true}}, "debug, health, info, " + readings},
		"alarms, of the default kinds": {[]filter.Rule{{Match: "**", Alarms: true, Drop: true}}, readings},
		"alarms, of every kind":        {[]filter.Rule{{Match: "**", Kinds: everything, Alarms: true, Drop: true}}, alarms + ", debug, health, info, " + readings},
		"a kind":                       {[]filter.Rule{{Match: "**", Kinds: everything[1:2], Drop: true}}, "health"},
		"a class":                      {[]filter.Rule{{Match: "**", Classes: []packet.Class{packet.Bulk, packet.Urgent}, Drop: true}}, "bulk reading, urgent reading"},
		"a severity":                   {[]filter.Rule{{Match: "**", Kinds: everything[3:], Severities: []packet.Severity{packet.Debug}, Drop: true}}, "debug"},
		"severe ones": {[]filter.Rule{{Match: "**", Kinds: everything[3:], Severities: []packet.Severity{packet.Error}, Alarms: true, Drop: true}},
			"error, normal error"},
		"another name":      {[]filter.Rule{{Match: "gnss/**", Kinds: everything, Alarms: true, Drop: true}}, ""},
		"the layouts' name": {[]filter.Rule{{Match: "fulmar/**", Kinds: everything, Alarms: true, Drop: true}}, ""},
		"at least info":     {[]filter.Rule{{MinSeverity: packet.Info}}, "debug"},
		"at least warning":  {[]filter.Rule{{MinSeverity: packet.Warning}}, "debug, info"},
		"at least error":    {[]filter.Rule{{MinSeverity: packet.Error, Alarms: true}}, "debug, info, warning"},
		"keep, then drop":   {[]filter.Rule{{Match: "imu/*", Keep: true}, {Match: "**", Kinds: everything, Alarms: true, Drop: true}}, ""},
		"keep one class":    {[]filter.Rule{{Classes: []packet.Class{packet.Normal}, Keep: true}, {Match: "**", Drop: true}}, "bulk reading, urgent reading"},
		"drop, then keep":   {[]filter.Rule{{Match: "**", Drop: true}, {Keep: true}}, readings},
		"one of one":        {[]filter.Rule{{OneOf: 1}}, ""},
	} {
		f := newFilter(t, c.rules...)
		var held []string
		for name, r := range all() {
			if !f.Pass(r) {
				held = append(held, name)
			}
		}
		want := strings.Split(c.held, ", ")
		slices.Sort(held)
		slices.Sort(want)
		if got := strings.Join(held, ", "); got != strings.Join(want, ", ") {
			t.Errorf("%s: holds back %s; want %s", name, got, strings.Join(want, ", "))
		}
	}
}

func TestOneOf(t *testing.T) {
	f := newFilter(t, filter.Rule{Match: "imu/*", OneOf: 3})
	a, b := layout("imu/a", telemetry.Reading, x), layout("imu/b", telemetry.Reading, x)
	var got [2]string
	for i := range 7 {
		for j, l := range []*telemetry.Layout{a, b} {
			if j == 1 && i == 0 {
				continue // b begins later and has its own count
			}
			got[j] += passes(f, record(l, 0, packet.Normal, packet.None, 1.0))
		}
	}
	if got != [2]string{"1001001", "100100"} {
		t.Errorf("%v", got)
	}
	// A layout of the same content is the same layout.
	if got := passes(f, record(layout("imu/a", telemetry.Reading, x), 0, packet.Normal, packet.None, 1.0)); got != "0" {
		t.Error("a copy of a layout has a count of its own")
	}
}

func TestDeadband(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	otherNaN := math.Float64frombits(math.Float64bits(nan) ^ 1)
	series := func(kind string, values ...any) (list []telemetry.Record) {
		l := layout("a/b", telemetry.Reading, "x:"+kind)
		for i, v := range values {
			list = append(list, record(l, time.Duration(i)*time.Second, packet.Normal, packet.None, v))
		}
		return list
	}
	for name, c := range map[string]struct {
		band    filter.Deadband
		records []telemetry.Record
		want    string
	}{
		"absolute":         {filter.Deadband{Absolute: 0.5}, series("float64", 1.0, 1.5, 0.5, 1.75, 1.25, 1.0), "100101"},
		"drift":            {filter.Deadband{Absolute: 1}, series("float64", 0.0, 0.75, 1.5, 2.25, 3.0), "10101"},
		"relative":         {filter.Deadband{Relative: 0.25}, series("float64", 8.0, 10.0, 10.5, 8.0, 7.0, -7.0, -8.5, -9.0), "10101101"},
		"the wider counts": {filter.Deadband{Absolute: 1, Relative: 0.5}, series("float64", 0.0, 1.0, 1.5, 2.5, 2.0, 4.0, 5.9, 6.25), "10100101"},
		"none given":       {filter.Deadband{}, series("float64", 1.0, 1.0, 1.0000000001, 0.0, math.Copysign(0, -1)), "10110"},
		"NaN":              {filter.Deadband{Absolute: 9}, series("float64", 1.0, nan, otherNaN, nan, 2.0, nan), "110011"},
		"infinity":         {filter.Deadband{Absolute: 9, Relative: 0.5}, series("float64", inf, inf, -inf, 5.0, inf, nan), "101111"},
		"float32":          {filter.Deadband{Absolute: 0.5}, series("float32", float32(1), float32(1.5), float32(1.75), float32(nan), float32(nan)), "10110"},
		"int64":            {filter.Deadband{Absolute: 2}, series("int64", int64(1), int64(-1), int64(-2), int64(0), int64(1)), "10101"},
		"int64, far apart": {filter.Deadband{Absolute: 1e19}, series("int64", int64(math.MinInt64), int64(math.MaxInt64), int64(math.MaxInt64-1)), "110"},
		"uint64":           {filter.Deadband{Absolute: 2}, series("uint64", uint64(3), uint64(1), uint64(0), uint64(2), uint64(math.MaxUint64)), "10101"},
		"uint64, exactly":  {filter.Deadband{}, series("uint64", uint64(math.MaxUint64), uint64(math.MaxUint64-1), uint64(math.MaxUint64-1)), "110"},
		"bool":             {filter.Deadband{Absolute: 5}, series("bool", true, true, false, false, true), "10101"},
		"text":             {filter.Deadband{Absolute: 5}, series("string", "", "", "a", "a", "b", "ba"), "101011"},
		"silence":          {filter.Deadband{Absolute: 5, MaxSilence: 2 * time.Second}, series("float64", 1.0, 1.0, 1.0, 1.0, 9.0, 9.0, 9.0), "1010101"},
		"another field":    {filter.Deadband{Fields: []string{"y"}}, series("float64", 1.0, 1.0), "11"},
	} {
		f := newFilter(t, filter.Rule{Deadband: &c.band})
		if got := passes(f, c.records...); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestADeadbandComparesTheFieldsItNames(t *testing.T) {
	l := layout("a/b", telemetry.Reading, "noise:float32", "text:string", "v:float64:2", "skip:bool", "n:int64", "end:string")
	r := func(noise float32, text string, v0, v1 float64, skip bool, n int64, end string) telemetry.Record {
		return record(l, 0, packet.Normal, packet.None, noise, text, v0, v1, skip, n, end)
	}
	records := []telemetry.Record{
		r(1, "one", 1, 2, false, 3, "end"),
		r(2, "another, longer", 1, 2, true, 3, "end"), // nothing that counts
		r(2, "", 1, 3, true, 3, "end"),                // the vector's second element
		r(2, "", 1, 3, true, 4, "end"),                // n
		r(2, "", 1, 3, true, 4, "end."),               // end
		r(9, "x", 1, 3, false, 4, "end."),
	}
	if got := passes(newFilter(t, filter.Rule{Deadband: &filter.Deadband{Fields: []string{"v", "n", "end"}}}), records...); got != "101110" {
		t.Errorf("three fields: %s", got)
	}
	if got := passes(newFilter(t, filter.Rule{Deadband: &filter.Deadband{Fields: []string{"skip", "absent"}}}), records...); got != "110001" {
		t.Errorf("one field: %s", got)
	}
	if got := passes(newFilter(t, filter.Rule{Deadband: &filter.Deadband{}}), append(records, records[5])...); got != "1111110" {
		t.Errorf("all fields: %s", got)
	}
}

func TestTimeThatGoesBack(t *testing.T) {
	l := layout("a/b", telemetry.Reading, x)
	at := func(times ...time.Duration) (list []telemetry.Record) {
		for _, d := range times {
			list = append(list, record(l, d, packet.Normal, packet.None, 1.0))
		}
		return list
	}
	const s, least, most = time.Second, time.Duration(math.MinInt64), time.Duration(math.MaxInt64)
	rate := filter.Rule{Rate: &filter.Rate{PerSecond: 1, Burst: 2}}
	for name, c := range map[string]struct {
		rule filter.Rule
		at   []telemetry.Record
		want string
	}{
		"a step back empties the bucket":   {rate, at(10*s, 10*s, 9*s, 10*s, 10*s, 11*s, 11*s), "1101010"},
		"so does a jump back":              {rate, at(100*s, 0, 0, s, s, 3*s, 3*s, 3*s), "10010110"},
		"a far future stops nothing":       {rate, at(most, 0, 0, s), "1001"},
		"times before the origin":          {rate, at(least, least, least, least+s, 0, 0, 0), "1101110"},
		"silence is over when time is off": {filter.Rule{Deadband: &filter.Deadband{MaxSilence: 5 * s}}, at(100*s, 3*s, 4*s, 8*s), "1101"},
		"silence from end to end":          {filter.Rule{Deadband: &filter.Deadband{MaxSilence: 5 * s}}, at(least, most, most), "110"},
	} {
		if got := passes(newFilter(t, c.rule), c.at...); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestRate(t *testing.T) {
	l := layout("lidar/scan", telemetry.Reading, x)
	for name, c := range map[string]struct {
		rate filter.Rate
		want string // of a record each 100 ms
	}{
		"a burst, then five a second": {filter.Rate{PerSecond: 5, Burst: 3}, "1111101010101010"},
		"without a burst":             {filter.Rate{PerSecond: 5, Burst: 1}, "1010101010101010"},
		"the default: a second's":     {filter.Rate{PerSecond: 2.5}, "1110100010001000"},
		"the default: at least one":   {filter.Rate{PerSecond: 0.7}, "1000000000000001"},
	} {
		f := newFilter(t, filter.Rule{Rate: &c.rate})
		var records []telemetry.Record
		for i := range len(c.want) {
			records = append(records, record(l, time.Duration(i)*100*time.Millisecond, packet.Normal, packet.None, 1.0))
		}
		if got := passes(f, records...); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// A third of a second is no whole number of nanoseconds; the next one is waited for.
func TestARateRoundsToTheSafeSide(t *testing.T) {
	l := layout("lidar/scan", telemetry.Reading, x)
	f := newFilter(t, filter.Rule{Rate: &filter.Rate{PerSecond: 3, Burst: 1}})
	var records []telemetry.Record
	for _, at := range []time.Duration{0, 333_333_333, 333_333_334} {
		records = append(records, record(l, at, packet.Normal, packet.None, 1.0))
	}
	if got := passes(f, records...); got != "101" {
		t.Error(got)
	}
}

// What one rule lets pass and another holds back was not published: no rule may remember it.
func TestRulesRememberOnlyWhatWasPublished(t *testing.T) {
	l := layout("a/b", telemetry.Reading, x)
	r := func(seconds int, v float64) telemetry.Record {
		return record(l, time.Duration(seconds)*time.Second, packet.Normal, packet.None, v)
	}
	band := filter.Rule{Deadband: &filter.Deadband{Absolute: 1}}
	rate := filter.Rule{Rate: &filter.Rate{PerSecond: 0.1, Burst: 1}}
	both := filter.Rule{Deadband: band.Deadband, Rate: rate.Rate}
	// The step at 1 s is held back by the rate; at 10 s it must still be news to the deadband. What the deadband holds
	// back at 25 s takes no token.
	records := []telemetry.Record{r(0, 0), r(1, 5), r(10, 5), r(25, 5), r(25, 9)}
	for name, rules := range map[string][]filter.Rule{"deadband, rate": {band, rate}, "rate, deadband": {rate, band}, "one rule": {both},
		"with more to come": {band, rate, {OneOf: 1}, {Match: "other", Drop: true}}, "with keep": {band, rate, {Keep: true}, {Match: "**", Drop: true}}} {
		if got := passes(newFilter(t, rules...), records...); got != "10101" {
			t.Errorf("%s: %s", name, got)
		}
	}
	// After a keep no rule is asked, and none remembers.
	f := newFilter(t, filter.Rule{Classes: []packet.Class{packet.Urgent}, Keep: true}, rate)
	if got := passes(f, record(l, 0, packet.Urgent, packet.None, 1.0), r(1, 1), r(2, 1)); got != "110" {
		t.Errorf("keep: %s", got)
	}
	// One of two counts what comes, and what comes first passes.
	if got := passes(newFilter(t, filter.Rule{OneOf: 2, Deadband: band.Deadband}), r(0, 0), r(1, 9), r(2, 0.5), r(3, 9), r(4, 9)); got != "10001" {
		t.Errorf("one of two, then a deadband: %s", got)
	}
}

func TestPublishersDoNotShareState(t *testing.T) {
	s, err := filter.New([]filter.Rule{{OneOf: 2}})
	if err != nil {
		t.Fatal(err)
	}
	r := record(layout("a/b", telemetry.Reading, x), 0, packet.Normal, packet.None, 1.0)
	if a, b := passes(s.NewFilter(), r, r), passes(s.NewFilter(), r, r); a != "10" || b != "10" {
		t.Errorf("%s and %s", a, b)
	}
}

func TestARecordWithoutMeaningPasses(t *testing.T) {
	l := layout("a/b", telemetry.Reading, x, "s:string")
	f := newFilter(t, filter.Rule{Deadband: &filter.Deadband{}}, filter.Rule{Rate: &filter.Rate{PerSecond: 1000}})
	whole := record(l, 0, packet.Normal, packet.None, 1.0, "text").Packet
	if got := passes(f, telemetry.Record{Layout: l, Packet: whole}, telemetry.Record{Layout: l, Packet: whole}); got != "10" {
		t.Fatal(got)
	}
	for n := range whole {
		if !f.Pass(telemetry.Record{Layout: l, Packet: whole[:n]}) {
			t.Errorf("the first %d bytes of a packet are held back", n)
		}
		if n < packet.HeaderSize {
			continue
		}
		short := slices.Clone(whole[:n])
		short[36] = byte(n - packet.HeaderSize) // the header promises what is there, the layout more
		if !f.Pass(telemetry.Record{Layout: l, Packet: short}) {
			t.Errorf("%d bytes, whole as a packet, are held back", n)
		}
	}
}

func TestLimits(t *testing.T) {
	s, err := filter.New([]filter.Rule{{Match: "**", Deadband: &filter.Deadband{}}})
	if err != nil {
		t.Fatal(err)
	}
	f := s.NewFilter()
	wide := func(i int) telemetry.Record {
		l := layout(fmt.Sprintf("wide/%d", i), telemetry.Reading, "v:bool:4096")
		return record(l, 0, packet.Normal, packet.None, slices.Repeat([]any{true}, 4096)...)
	}
	const fit = filter.MaxWatched / 4096
	for i := range fit + 1 {
		r := wide(i)
		if got, want := passes(f, r, r, r), map[bool]string{true: "100", false: "111"}[i < fit]; got != want {
			t.Errorf("layout %d: %s, want %s", i, got, want)
		}
	}
	if n := s.Unfiltered(); n != 3 {
		t.Errorf("%d were not filtered for want of room, want 3", n)
	}
	f = s.NewFilter()
	for i := range filter.MaxLayouts + 2 {
		r := record(layout(fmt.Sprintf("many/%d", i), telemetry.Reading, "v:bool"), 0, packet.Normal, packet.None, true)
		if got, want := passes(f, r, r), map[bool]string{true: "10", false: "11"}[i < filter.MaxLayouts]; got != want {
			t.Fatalf("layout %d: %s, want %s", i, got, want)
		}
	}
	if n := s.Unfiltered(); n != 3+4 {
		t.Errorf("%d were not filtered for want of room, want 7", n)
	}
	r := record(layout("many/0", telemetry.Reading, "v:bool"), 0, packet.Normal, packet.None, true)
	if got := passes(f, r); got != "0" {
		t.Error("the first layouts are forgotten")
	}
	if _, err := filter.New(make([]filter.Rule, filter.MaxRules+1)); !errors.Is(err, telemetry.ErrInvalid) || !strings.Contains(err.Error(), "129 rules") {
		t.Errorf("too many rules: %v", err)
	}
}

func TestNoRules(t *testing.T) {
	s, err := filter.New(nil)
	if err != nil || s.NewFilter() != nil {
		t.Fatalf("%v, %v", s.NewFilter(), err)
	}
	if filter.All() != nil || filter.All(nil, nil) != nil {
		t.Error("nothing is a filter")
	}
}

func TestAll(t *testing.T) {
	var asked []string
	say := func(name string, pass bool) telemetry.Filter {
		return filter.Func(func(telemetry.Record) bool { asked = append(asked, name); return pass })
	}
	for name, c := range map[string]struct {
		f     telemetry.Filter
		want  string
		asked string
	}{
		"one":         {filter.All(nil, say("a", false)), "0", "a"},
		"both pass":   {filter.All(say("a", true), nil, say("b", true)), "1", "a b"},
		"second no":   {filter.All(say("a", true), say("b", false), say("c", true)), "0", "a b"},
		"first no":    {filter.All(say("a", false), say("b", true)), "0", "a"},
		"all of alls": {filter.All(filter.All(say("a", true), say("b", true)), say("c", false)), "0", "a b c"},
	} {
		asked = nil
		if got := passes(c.f, telemetry.Record{}); got != c.want || strings.Join(asked, " ") != c.asked {
			t.Errorf("%s: %s, asked %v", name, got, asked)
		}
	}
}
