package web

import (
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Limits of what a request may ask. They are in openapi.yaml too; a test compares.
const (
	MaxSeries  = 64      // series of a request
	MaxBuckets = 10_000  // of a range, per series
	MaxPoints  = 200_000 // of a range: series times buckets
	MaxEvents  = 1000    // of an answer

	defaultBuckets = 1000
	defaultEvents  = 100
	// A series' name is a layout's, a dot, a field's and an index.
	maxSeriesName = 2*telemetry.MaxName + len(".[4095]")
	maxCursor     = 4 << 10
)

// query is what the parameters of a request say, checked.
type query struct {
	device      string
	series      []string
	from, to    int64 // ns
	hasFrom     bool
	buckets     int
	severity    packet.Severity
	limit       int
	format      string
	lastEventID string
	state       command.State
}

// param is one query parameter that a route takes.
type param struct {
	name     string
	required bool
	// many is how often it may be given; 0 means once.
	many int
	set  func(q *query, v string) *problem
}

var (
	paramSeries      = param{name: "series", many: MaxSeries, set: setSeries}
	paramSeriesNeed  = param{name: "series", many: MaxSeries, required: true, set: setSeries}
	paramFrom        = param{name: "from", set: setFrom}
	paramTo          = param{name: "to", set: setTo}
	paramFromNeed    = param{name: "from", required: true, set: setFrom}
	paramToNeed      = param{name: "to", required: true, set: setTo}
	paramBuckets     = param{name: "buckets", set: setBuckets}
	paramSeverity    = param{name: "severity", set: setSeverity}
	paramLimit       = param{name: "limit", set: setLimit}
	paramFormat      = param{name: "format", required: true, set: setFormat}
	paramDeviceNeed  = param{name: "device", required: true, set: setDevice}
	paramState       = param{name: "state", set: setState}
	paramLastEventID = param{name: "last_event_id", set: setLastEventID}
)

// parseQuery checks what a request says against what the route takes.
func parseQuery(raw string, params []param) (*query, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, newProblem(400, "the query string cannot be read: %v", err)
	}
	q := &query{to: math.MaxInt64, buckets: defaultBuckets, limit: defaultEvents}
	for name := range values {
		if !slices.ContainsFunc(params, func(p param) bool { return p.name == name }) {
			return nil, badParameter(printable(name), "not a parameter of this path, want %s", names(params))
		}
	}
	for _, p := range params {
		given := values[p.name]
		if len(given) == 0 && p.required {
			return nil, badParameter(p.name, "required")
		}
		if most := max(p.many, 1); len(given) > most {
			return nil, badParameter(p.name, "given %d times, at most %d", len(given), most)
		}
		for _, v := range given {
			if bad := p.set(q, v); bad != nil {
				return nil, bad
			}
		}
	}
	if q.from >= q.to {
		return nil, badParameter("to", "must be after from")
	}
	return q, nil
}

func names(params []param) string {
	if len(params) == 0 {
		return "none"
	}
	list := make([]string, len(params))
	for i, p := range params {
		list[i] = p.name
	}
	return strings.Join(list, ", ")
}

// printable shortens what a client sent to what may be repeated to it.
func printable(s string) string {
	const most = 64
	if len(s) > most {
		s = s[:most]
	}
	q := strconv.QuoteToASCII(s)
	return q[1 : len(q)-1]
}

func setSeries(q *query, v string) *problem {
	if v == "" || len(v) > maxSeriesName || strings.Trim(v, seriesAlphabet) != "" {
		return badParameter("series", "%q is not a series' name: want \"layout.field\" or \"layout.field[3]\", at most %d bytes", printable(v), maxSeriesName)
	}
	if slices.Contains(q.series, v) {
		return badParameter("series", "%s is given twice", v)
	}
	q.series = append(q.series, v)
	return nil
}

// What layouts and fields may be named with, see telemetry.Layout.Validate.
const seriesAlphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-/.[]"

func setDevice(q *query, v string) *problem {
	if telemetry.ValidateDevice(v) != nil {
		return badParameter("device", "want 1 to %d of a-z, 0-9, '-' and '_'", telemetry.MaxDevice)
	}
	q.device = v
	return nil
}

func setState(q *query, v string) *problem {
	if s := command.State(v); slices.Contains(command.States(), s) {
		q.state = s
		return nil
	}
	return badParameter("state", "want one of %v", command.States())
}

func setFrom(q *query, v string) *problem {
	q.hasFrom = true
	return setTime("from", &q.from, v)
}

func setTo(q *query, v string) *problem { return setTime("to", &q.to, v) }

func setTime(name string, t *int64, v string) *problem {
	ns, ok := parseMillis(v)
	if !ok {
		return badParameter(name, "want milliseconds since 1970 UTC, like 1767225600000 or 1767225600000.25, at most 6 decimals, before 2262")
	}
	*t = ns
	return nil
}

// parseMillis reads decimal milliseconds as nanoseconds, exactly.
func parseMillis(v string) (ns int64, ok bool) {
	const decimals = 6
	whole, frac, _ := strings.Cut(v, ".")
	if whole == "" || len(whole) > 15 || len(frac) > decimals || strings.HasSuffix(v, ".") {
		return 0, false
	}
	digits := whole + frac + strings.Repeat("0", decimals-len(frac))
	if strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	ns, err := strconv.ParseInt(digits, 10, 64)
	return ns, err == nil
}

func setBuckets(q *query, v string) *problem {
	return setInt("buckets", &q.buckets, v, MaxBuckets)
}

func setLimit(q *query, v string) *problem { return setInt("limit", &q.limit, v, MaxEvents) }

func setInt(name string, to *int, v string, most int) *problem {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > most {
		return badParameter(name, "want a whole number from 1 to %d", most)
	}
	*to = n
	return nil
}

func setSeverity(q *query, v string) *problem {
	if q.severity.UnmarshalText([]byte(v)) != nil {
		return badParameter("severity", "want none, debug, info, warning, error or critical")
	}
	return nil
}

func setFormat(q *query, v string) *problem {
	if v != "csv" && v != "mcap" {
		return badParameter("format", "want csv or mcap")
	}
	q.format = v
	return nil
}

func setLastEventID(q *query, v string) *problem {
	if len(v) > maxCursor {
		return badParameter("last_event_id", "want at most %d bytes", maxCursor)
	}
	q.lastEventID = v
	return nil
}
