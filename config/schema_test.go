package config_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/fulmar-io/fulmar/config"
)

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	s := defaults()
	b, err := config.Schema(&s, "Settings")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("s.json", doc); err != nil {
		t.Fatal(err)
	}
	return c.MustCompile("s.json")
}

// What Load takes, the schema takes; what it refuses for its keys, types and ranges, the schema refuses.
func TestSchemaAgreesWithLoad(t *testing.T) {
	sch := compiled(t)
	for content, good := range map[string]bool{
		sameInAllFormats["s.json"]: true,
		`{"name": "x"}`:            true,
		`{"name": "x", "batch": {"limits": {"max_age": "1h2m3.5s"}}}`: false, // too long: only the words say so
		`{"name": "x", "batch": {"limits": {"max_age": "3.5s"}}}`:     true,
		`{"name": "x", "batch": {"limits": {"room": 5}}}`:             true,
		`{"name": "x", "batch": {"limits": {"room": "5 MiB"}}}`:       true,
		`{"name": "x", "batch": {"limits": {"room": "5 parsec"}}}`:    false,
		`{"name": "x", "batch": {"limits": {"room": -5}}}`:            false,
		`{"name": "x", "batch": {"limits": {"max_count": 0}}}`:        false,
		`{"name": "x", "batch": {"limits": {"max_count": 1001}}}`:     false,
		`{"name": "x", "batch": {"limits": {"max_age": 5}}}`:          false,
		`{"name": "x", "level": "silent"}`:                            false,
		`{"name": "x", "kind": "ground"}`:                             false,
		`{"name": "x", "nam": "y"}`:                                   false,
		`{"name": 5}`:                                                 false,
		`{"share": 1}`:                                                false,
		`{"name": "x", "links": [{"ca": "y"}]}`:                       false,
		`{"name": "x", "links": null}`:                                true,
	} {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		onlyWords := strings.Contains(content, "1h2m3.5s")
		if got := sch.Validate(doc); (got == nil) != good && !onlyWords {
			t.Errorf("the schema on %s: %v", content, got)
		}
		s := defaults()
		if _, err := config.Load(file(t, "s.json", content), &s, config.Options{}); (err == nil) != good {
			t.Errorf("Load on %s: %v", content, err)
		}
	}
}

func TestSchemaSaysWhatIsMeant(t *testing.T) {
	s := defaults()
	b, err := config.Schema(&s, "Settings")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Properties struct {
			Batch struct {
				Properties struct {
					Limits struct{ Properties map[string]map[string]any }
				}
			}
			Level map[string]any
		}
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	age := doc.Properties.Batch.Properties.Limits.Properties["max_age"]
	if age["description"] != "age (1ms to 1h)" || age["default"] != "1s" {
		t.Errorf("max_age: %v", age)
	}
	if doc.Properties.Level["default"] != "quiet" {
		t.Errorf("level: %v", doc.Properties.Level)
	}
}

func TestDescribe(t *testing.T) {
	s := defaults()
	all := config.Describe(&s)
	i := slices.IndexFunc(all, func(s config.Setting) bool { return s.Key == "batch.limits.max_age" })
	want := config.Setting{Key: "batch.limits.max_age", Type: "duration", Default: "1s", Range: "1ms to 1h", Doc: "age"}
	if i < 0 || all[i].Tag.Get("min") != "1ms" {
		t.Fatalf("got %+v", all)
	}
	if all[i].Tag = ""; all[i] != want {
		t.Errorf("got %+v", all)
	}
	for _, key := range []string{"links", "links[].url", "extra.max_count", "kind", "names"} {
		if !slices.ContainsFunc(all, func(s config.Setting) bool { return s.Key == key }) {
			t.Errorf("%s is missing", key)
		}
	}
}
