package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/config"
)

// level is a type that reads itself and has choices.
type level string

func (l *level) UnmarshalText(b []byte) error {
	for _, c := range l.Choices() {
		if c == string(b) {
			*l = level(b)
			return nil
		}
	}
	return fmt.Errorf("no level is named %q", b)
}

func (*level) Choices() []string { return []string{"quiet", "loud"} }

// target may be written as its address alone.
type target struct {
	URL string `config:"url" required:"true"`
	CA  string `config:"ca"`
}

func (l *target) UnmarshalText(b []byte) error { l.URL = string(b); return nil }

func (l *target) Validate() error {
	if !strings.Contains(l.URL, "://") {
		return config.Wrong("url", "%q is no URL", l.URL)
	}
	return nil
}

type limits struct {
	MaxAge   time.Duration `doc:"age" min:"1ms" max:"1h"`
	MaxCount int           `min:"1" max:"1000"`
	MinCount int
	Room     config.Size `max:"1GiB"`
}

func (l limits) Validate() error {
	if l.MinCount > l.MaxCount {
		return errors.Join(config.Wrong("min_count", "%d is more than max_count, %d", l.MinCount, l.MaxCount))
	}
	return nil
}

type settings struct {
	Kind     string `choices:"machine"`
	Name     string `required:"true" doc:"give the machine a name"`
	Share    float64
	Small    int8
	Unsigned uint16
	On       bool
	Level    level
	Links    []target
	Tags     []string
	Batch    struct{ Limits limits }
	Extra    *limits
	Names    map[string]int
	Hidden   int `config:"-"`
}

func defaults() settings {
	s := settings{Kind: "machine", Share: 0.5, Level: "quiet"}
	s.Batch.Limits = limits{MaxAge: time.Second, MaxCount: 10, Room: 1 << 20}
	return s
}

func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var sameInAllFormats = map[string]string{
	"s.yaml": `
# a machine
kind: machine
name: "rover 7"
share: 0.25
small: -0x10
unsigned: 1_000
on: true
level: loud
links:
  - mqtt://a:1883
  - url: nats://b
    ca: &ca /etc/ca.pem
  - {url: nats://c, ca: *ca}
tags: [x, "1"]
batch:
  limits: {max_age: 1m30s, room: 64MiB}
extra:
  max_count: 3
  max_age: 5ms
names: {one: 1, two: 2}
`,
	"s.toml": `
# a machine
kind = "machine"
name = "rover 7"
share = 0.25
small = -16
unsigned = 1_000
on = true
level = "loud"
tags = ["x", "1"]
batch.limits.max_age = "1m30s"
batch.limits.room = 67108864
[[links]]
url = "mqtt://a:1883"
[[links]]
url = "nats://b"
ca = "/etc/ca.pem"
[[links]]
url = "nats://c"
ca = "/etc/ca.pem"
[extra]
max_count = 3
max_age = "5ms"
[names]
one = 1
two = 2
`,
	"s.json": `{"kind": "machine", "name": "rover 7", "share": 0.25, "small": -16, "unsigned": 1000, "on": true, "level": "loud",
"links": ["mqtt://a:1883", {"url": "nats://b", "ca": "/etc/ca.pem"}, {"url": "nats://c", "ca": "/etc/ca.pem"}],
"tags": ["x", "1"], "batch": {"limits": {"max_age": "1m30s", "room": "64MiB"}}, "extra": {"max_count": 3, "max_age": "5ms"},
"names": {"one": 1, "two": 2}}`,
}

func TestFormatsSayTheSame(t *testing.T) {
	want := defaults()
	want.Name, want.Share, want.Small, want.Unsigned, want.On, want.Level = "rover 7", 0.25, -16, 1000, true, "loud"
	want.Links = []target{{URL: "mqtt://a:1883"}, {URL: "nats://b", CA: "/etc/ca.pem"}, {URL: "nats://c", CA: "/etc/ca.pem"}}
	want.Tags = []string{"x", "1"}
	want.Batch.Limits.MaxAge, want.Batch.Limits.Room = 90*time.Second, 64<<20
	want.Extra = &limits{MaxCount: 3, MaxAge: 5 * time.Millisecond}
	want.Names = map[string]int{"one": 1, "two": 2}
	for name, content := range sameInAllFormats {
		got := defaults()
		if _, err := config.Load(file(t, name, content), &got, config.Options{}); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got  %+v\nwant %+v", name, got, want)
		}
	}
}

func TestWhatIsWrongIsShown(t *testing.T) {
	for _, c := range []struct{ name, file, content, want string }{
		{"unknown key", "s.yaml", "name: x\nbatch:\n  limits:\n    max_agee: 5s\n", `s.yaml:4:5: batch.limits.max_agee: unknown key; did you mean max_age?
  3 |   limits:
  4 |     max_agee: 5s
    |     ^^^^^^^^`},
		{"key of elsewhere", "s.yaml", "name: x\nmax_age: 5s\n", `s.yaml:2:1: max_age: unknown key; did you mean batch.limits.max_age?
  1 | name: x
  2 | max_age: 5s
    | ^^^^^^^`},
		{"far from all", "s.json", `{"name": "x", "batch": {"zzzzzzzzz": 1}}`, `s.json:1:25: batch.zzzzzzzzz: unknown key; known here: limits
  1 | {"name": "x", "batch": {"zzzzzzzzz": 1}}
    |                         ^^^^^^^^^^^`},
		{"wrong type", "s.toml", "name = 'ü'\nshare = 'ü' # ü\n", `s.toml:2:9: share: want a number, got a string "ü"
  1 | name = 'ü'
  2 | share = 'ü' # ü
    |         ^^^`},
		{"a string's quotes", "s.yaml", "name: 12\n", `s.yaml:1:7: name: want a string, got a number 12; put it in quotes: "12"
  1 | name: 12
    |       ^^`},
		{"duration without unit", "s.yaml", "name: x\nbatch: {limits: {max_age: 5}}\n", `s.yaml:2:27: batch.limits.max_age: want a duration, as 500ms or 1h30m, got a number 5
  1 | name: x
  2 | batch: {limits: {max_age: 5}}
    |                           ^`},
		{"out of range", "s.toml", "name='x'\n[batch.limits]\nmax_age = '2h'\n", `s.toml:3:11: batch.limits.max_age: 2h is more than 1h
  2 | [batch.limits]
  3 | max_age = '2h'
    |           ^^^^`},
		{"size out of range", "s.yaml", "name: x\nbatch: {limits: {room: 2GiB}}", `s.yaml:2:24: batch.limits.room: 2GiB is more than 1GiB
  1 | name: x
  2 | batch: {limits: {room: 2GiB}}
    |                        ^^^^`},
		{"choice", "s.yaml", "name: x\nkind: machin\n", `s.yaml:2:7: kind: "machin" is none of what it can be; did you mean machine?
  1 | name: x
  2 | kind: machin
    |       ^^^^^^`},
		{"choice of a type", "s.yaml", "name: x\nlevel: silent\n", `s.yaml:2:8: level: no level is named "silent"; it is one of quiet, loud
  1 | name: x
  2 | level: silent
    |        ^^^^^^`},
		{"too large", "s.yaml", "name: x\nsmall: 128\nunsigned: -1\n", `s.yaml:2:8: small: 128 does not fit into 8 bits
  1 | name: x
  2 | small: 128
    |        ^^^
s.yaml:3:11: unsigned: -1 is less than 0
  2 | small: 128
  3 | unsigned: -1
    |           ^^`},
		{"a password nearby", "s.yaml", "name: 'mqtt://me:geheim@h:1'\nkind: machin\n", `s.yaml:2:7: kind: "machin" is none of what it can be; did you mean machine?
  1 | name: 'mqtt://me:xxxxxx@h:1'
  2 | kind: machin
    |       ^^^^^^`},
		{"impossible together", "s.yaml", "name: x\nbatch:\n  limits:\n    min_count: 11\n", `s.yaml:4:16: batch.limits.min_count: 11 is more than max_count, 10
  3 |   limits:
  4 |     min_count: 11
    |                ^^`},
		{"an item", "s.yaml", "name: x\nlinks:\n- foo\n", `s.yaml:3:3: links[0].url: "foo" is no URL
  2 | links:
  3 | - foo
    |   ^^^`},
		{"missing", "s.yaml", "share: 1\n", `s.yaml: name: missing; give the machine a name`},
		{"no mapping", "s.yaml", "- 1\n", "s.yaml:1:1: want a mapping, got a list\n  1 | - 1\n    | ^"},
		{"twice in YAML", "s.yaml", "name: x\nname: y\n", "s.yaml:2:1: mapping key \"name\" already defined at [1:1]\n  1 | name: x\n  2 | name: y\n    | ^^^^"},
		{"twice in JSON", "s.json", `{"name": "x", "name": "y"}`, "s.json:1:15: the key \"name\" stands here twice\n  1 | {\"name\": \"x\", \"name\": \"y\"}\n    |               ^^^^^^"},
		{"twice in TOML", "s.toml", "name='x'\nname='y'\n", "s.toml:2:1: key name is already defined\n  1 | name='x'\n  2 | name='y'\n    | ^"},
		{"cut JSON", "s.json", "{\"name\":\n", "s.json:1:9: the file ends in the middle\n  1 | {\"name\":\n    |         ^"},
		{"broken JSON", "s.json", "{\n \"name\" 1}", "s.json:2:9: invalid character '1' after object key\n  1 | {\n  2 |  \"name\" 1}\n    |         ^"},
		{"more after JSON", "s.json", "{\"name\":\"x\"}\n]", "s.json:2:1: invalid character ']' looking for beginning of value\n  1 | {\"name\":\"x\"}\n  2 | ]\n    | ^"},
		{"empty JSON", "s.json", " \n", "s.json: an empty file is no JSON; write {} for no settings"},
		{"two documents", "s.yaml", "name: x\n---\nname: y\n", "s.yaml:3:5: a second document; settings are one\n  2 | ---\n  3 | name: y\n    |     ^"},
		{"tag", "s.yaml", "name: !!str 1\n", "s.yaml:1:7: tags are not for settings\n  1 | name: !!str 1\n    |       ^^^^^"},
		{"merge key", "s.yaml", "batch: &b {limits: }\nextra:\n  <<: *b\n", "s.yaml:3:3: merge keys are not for settings; write the keys out\n  2 | extra:\n  3 |   <<: *b\n    |   ^^"},
		{"anchor that is not there", "s.yaml", "name: *x\n", "s.yaml:1:7: no anchor is named \"x\" above\n  1 | name: *x\n    |       ^"},
		{"ending", "s.ini", "name=x", `s.ini: settings in a file that ends in ".ini"; end its name in .yaml, .toml or .json`},
		{"binary", "s.yaml", "name: \x00", "s.yaml: not a text in UTF-8"},
		{"large", "s.yaml", strings.Repeat("#", config.MaxFile+1), "s.yaml: 262145 bytes; settings have at most 262144"},
		{"larger", "s.yaml", strings.Repeat("#", 2*config.MaxFile), "s.yaml: 524288 bytes; settings have at most 262144"},
		{"large after a byte order mark", "s.yaml", "\ufeffname: x\n" + strings.Repeat("#", 2*config.MaxFile) + "\nnonsense: 1", "s.yaml: 524311 bytes; settings have at most 262144"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := file(t, c.file, c.content)
			s := defaults()
			_, err := config.Load(path, &s, config.Options{})
			var ce *config.Error
			if !errors.As(err, &ce) {
				t.Fatalf("error %v", err)
			}
			if got := strings.ReplaceAll(err.Error(), filepath.Dir(path)+"/", ""); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// Of what is no file, nobody knows how large it is.
func TestAPipeThatDoesNotEnd(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("pipes are no files there")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		for err == nil { // until nobody reads
			_, err = w.Write(make([]byte, 4096))
		}
	}()
	s := defaults()
	_, got := config.Load(fmt.Sprintf("/dev/fd/%d", r.Fd()), &s, config.Options{})
	_ = r.Close()
	<-written
	_ = w.Close()
	if want := "more than the 262144 bytes that settings have at most"; got == nil || !strings.HasSuffix(got.Error(), want) {
		t.Errorf("%v, want %s", got, want)
	}
}

// What is small and costs much when it is read.
func TestBombs(t *testing.T) {
	lol := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := byte('b'); c < 'j'; c++ {
		lol += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat("*"+string(c-1)+",", 9), ","))
	}
	for name, content := range map[string]string{
		"aliases.yaml":   lol,
		"itself.yaml":    "name: &a [*a]\n",
		"brackets.yaml":  strings.Repeat("[", config.MaxFile),
		"braces.yaml":    strings.Repeat("{a: ", config.MaxFile/4),
		"dashes.yaml":    strings.Repeat("- ", config.MaxFile/2),
		"questions.yaml": strings.Repeat("? ", config.MaxFile/2),
		"brackets.json":  strings.Repeat("[", config.MaxFile),
		"brackets.toml":  "a = " + strings.Repeat("[", config.MaxFile-4),
		"braces.toml":    "a = " + strings.Repeat("{a=", config.MaxFile/4),
		"dots.toml":      strings.Repeat("a.", config.MaxFile/4) + "a = 1",
		"table.toml":     "[" + strings.Repeat("a.", config.MaxFile/4) + "a]",
		"indent.yaml":    deepBlocks(),
	} {
		s := defaults()
		start := time.Now()
		_, err := config.Load(file(t, name, content), &s, config.Options{})
		if err == nil || len(err.Error()) > 4096 {
			t.Errorf("%s: error %.100v", name, err)
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%s takes %s", name, d)
		}
	}
}

// deepBlocks nests by indentation as deep as a file can.
func deepBlocks() string {
	var b strings.Builder
	for i := 0; b.Len() < config.MaxFile-1000; i++ {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func TestOrderOfSources(t *testing.T) {
	path := file(t, "s.yaml", "name: file\nshare: 0.1\nunsigned: 1\ntags: [a]\nbatch: {limits: {max_age: 1s}}\n")
	s := defaults()
	loaded, err := config.Load(path, &s, config.Options{
		Environ: []string{"PATH=/bin", "FULMAR_SHARE=0.2", "FULMAR_UNSIGNED=2", "FULMAR_BATCH__LIMITS__MAX_AGE=500ms", "FULMAR_TAGS=x, y",
			"FULMAR_LINKS=mqtt://a,nats://b", "FULMAR_ON=1", "FULMAR_OTHER__THING=1", "FULMAR_SOMETHING_ELSE=1"},
		Foreign:   []string{"other"},
		Overrides: []config.Override{{Key: "unsigned", Value: "3", From: "--unsigned"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "file" || s.Share != 0.2 || s.Unsigned != 3 || s.Batch.Limits.MaxAge != 500*time.Millisecond || !s.On ||
		!reflect.DeepEqual(s.Tags, []string{"x", "y"}) || len(s.Links) != 2 || s.Links[1].URL != "nats://b" {
		t.Errorf("got %+v", s)
	}
	got := make(map[string]string)
	for _, v := range loaded.Values() {
		got[v.Key] = v.Value + " from " + strings.TrimPrefix(v.Origin, filepath.Dir(path)+"/")
	}
	for key, want := range map[string]string{
		"name":                   "file from s.yaml:1",
		"share":                  "0.2 from FULMAR_SHARE",
		"unsigned":               "3 from --unsigned",
		"small":                  "0 from default",
		"batch.limits.max_age":   "500ms from FULMAR_BATCH__LIMITS__MAX_AGE",
		"batch.limits.max_count": "10 from default",
		"batch.limits.room":      "1MiB from default",
		"links[0].url":           "mqtt://a from FULMAR_LINKS",
		"tags[1]":                "y from FULMAR_TAGS",
	} {
		if got[key] != want {
			t.Errorf("%s: %q, want %q", key, got[key], want)
		}
	}
}

func TestEnvironmentIsHeldToTheSame(t *testing.T) {
	for env, want := range map[string]string{
		"FULMAR_BATCH__LIMITS__MAX_AG=1s":  "FULMAR_BATCH__LIMITS__MAX_AG: batch.limits.max_ag: unknown key; did you mean max_age?",
		"FULMAR_BATCH__LIMITS__MAX_AGE=1":  `FULMAR_BATCH__LIMITS__MAX_AGE: batch.limits.max_age: want a duration, as 500ms or 1h30m, got a string "1"`,
		"FULMAR_BATCH__LIMITS__MAX_AGE=2h": "FULMAR_BATCH__LIMITS__MAX_AGE: batch.limits.max_age: 2h is more than 1h",
		"FULMAR_BATCH=x":                   `FULMAR_BATCH: batch: want a mapping, got a string "x"`,
		"FULMAR_NAME__X=x":                 `FULMAR_NAME__X: name: want a string, got a mapping`,
		"FULMAR_LEVL=loud":                 "FULMAR_LEVL: no such setting; did you mean FULMAR_LEVEL?",
	} {
		s := defaults()
		s.Name = "x"
		if _, err := config.Load("", &s, config.Options{Environ: []string{env}}); err == nil || err.Error() != want {
			t.Errorf("%s: %v\nwant %s", env, err, want)
		}
	}
}

func TestKind(t *testing.T) {
	if k, err := config.Kind(file(t, "s.toml", "kind = 'ground'\n")); k != "ground" || err != nil {
		t.Error(k, err)
	}
	if k, err := config.Kind(file(t, "s.yaml", "x: 1\n")); k != "" || err != nil {
		t.Error(k, err)
	}
	if _, err := config.Kind(filepath.Join(t.TempDir(), "s.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestManyProblemsAreNotAllTold(t *testing.T) {
	s := defaults()
	_, err := config.Load(file(t, "s.yaml", "name: x\nlinks: ["+strings.TrimSuffix(strings.Repeat("x,", 100), ",")+"]"), &s, config.Options{})
	var ce *config.Error
	if !errors.As(err, &ce) || len(ce.Problems) != 21 || !strings.HasSuffix(err.Error(), "80 more") {
		t.Error(err)
	}
}
