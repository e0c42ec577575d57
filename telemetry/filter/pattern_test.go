package filter_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/filter"
)

func TestPatterns(t *testing.T) {
	for pattern, names := range map[string]struct{ yes, no string }{
		"imu":                   {"imu", "imu/accel imu2 im"},
		"imu/accel":             {"imu/accel", "imu imu/accel2 imu/accel/x ximu/accel"},
		"imu/*":                 {"imu/accel imu/ imu/event", "imu imu/accel/raw imu2/accel"},
		"*":                     {"imu a-b_C9", "imu/accel"},
		"*/event":               {"imu/event /event", "event a/b/event imu/events"},
		"imu/**":                {"imu/accel imu/accel/raw imu/", "imu imu2/accel"},
		"imu**":                 {"imu imu2 imu/accel imu2/a/b", "im gnss/imu"},
		"**":                    {"imu imu/accel a/b/c", ""},
		"**/raw":                {"imu/raw a/b/raw /raw", "raw imu/rawer"},
		"a/**/z":                {"a/b/z a/b/c/z a//z", "a/z a/b/zz"},
		"?mu/a?":                {"imu/ab emu/a2", "imu/a mu/ab imu/abc /mu/ab"},
		"a?b":                   {"acb a-b", "a/b ab"},
		"*a*b*":                 {"ab xaxbx aab", "ba axx a/b"},
		"**a*b":                 {"ab x/y/axb a/ab", "a/b ab/"},
		"{imu,gnss}/fix":        {"imu/fix gnss/fix", "imu gnss/fixes baro/fix {imu,gnss}/fix"},
		"{imu,imu/**}":          {"imu imu/a/b", "imu2 gnss"},
		"imu{,2}/{a,b*}":        {"imu/a imu2/a imu/bcd imu2/b", "imu/ab imu3/a imu/"},
		"{a,b}{c,d}":            {"ac ad bc bd", "ab cd a acd"},
		"courier/account/{a,b}": {"courier/account/a", "courier/account/c"},
	} {
		for _, name := range strings.Fields(names.yes) {
			if ok, err := filter.Pattern(pattern).Match(name); err != nil || !ok {
				t.Errorf("%q does not match %q (%v)", pattern, name, err)
			}
		}
		for _, name := range strings.Fields(names.no) {
			if ok, err := filter.Pattern(pattern).Match(name); err != nil || ok {
				t.Errorf("%q matches %q (%v)", pattern, name, err)
			}
		}
	}
}

func TestMalformedPatternsSayWhere(t *testing.T) {
	for pattern, want := range map[string]string{
		"":                             "it is empty",
		"imu/[ab]":                     "character 5: invalid: '[' is in no name",
		"imu accel":                    "character 4: invalid: ' ' is in no name",
		"temperatur_°C":                "character 12: invalid: '°' is in no name",
		"°°/*.":                        "character 1: ",
		"a/***":                        "character 5: invalid: three '*' in a row",
		"{a,b":                         "character 1: invalid: '{' is not closed",
		"a/{b,{c}}":                    "character 6: invalid: '{' within braces",
		"a}":                           "character 2: invalid: '}' without '{'",
		"a,b":                          "character 2: invalid: ',' is in no name",
		"/imu":                         "character 1: invalid: a name does not begin with '/'",
		"{imu,}/*":                     "a name does not begin with '/'",
		"{a,}":                         "character 1: invalid: an alternative is empty",
		"a\xffb":                       `character 2: invalid: '�' is in no name`,
		strings.Repeat("{a,b}", 7):     "character 35: invalid: more than 64 alternatives",
		strings.Repeat("a", 1<<20):     "pattern of 1048576 bytes: invalid: want at most 1024",
		"a{" + strings.Repeat(",", 64): "'{' is not closed",
	} {
		_, err := filter.Pattern(pattern).Match("a")
		if !errors.Is(err, telemetry.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", pattern, err, want)
		}
		p := filter.Pattern("before")
		if err := p.UnmarshalText([]byte(pattern)); err == nil || p != "before" {
			t.Errorf("%.20q is read, as %q", pattern, p)
		}
	}
	var p filter.Pattern
	if err := p.UnmarshalText([]byte("{imu,gnss}/**")); err != nil {
		t.Fatal(err)
	}
	if b, err := p.MarshalText(); err != nil || string(b) != "{imu,gnss}/**" {
		t.Errorf("%q, %v", b, err)
	}
}

// asRegexp translates a pattern that compiles; its alternation, not ours, decides.
func asRegexp(pattern string) *regexp.Regexp {
	r := strings.NewReplacer("**", `[\x00-\x{10ffff}]*`, "*", `[^/]*`, "?", `[^/]`, "{", "(?:", "}", ")", ",", "|", "-", `\-`)
	return regexp.MustCompile(`^(?:` + r.Replace(pattern) + `)$`)
}

func FuzzPattern(f *testing.F) {
	for _, pattern := range []string{"imu/*", "**", "{a,b/**}/?x*", "a/***", "imu{,2}/{a,b*}", "*a*b**c*"} {
		for _, name := range []string{"imu/accel", "a/b/c", "b/d/ax", "imu2/b"} {
			f.Add(pattern, name)
		}
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		ok, err := filter.Pattern(pattern).Match(name)
		if err != nil {
			if !errors.Is(err, telemetry.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		for _, c := range []byte(name) {
			if c > 'z' || c < '-' || c == '?' { // no layout has such a name
				return
			}
		}
		if want := asRegexp(pattern).MatchString(name); ok != want {
			t.Fatalf("%q and %q: %v, the regular expression says %v", pattern, name, ok, want)
		}
	})
}
