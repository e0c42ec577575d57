package web

import (
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

type description struct {
	Paths map[string]map[string]struct {
		Parameters []parameter
	}
	Components struct {
		Parameters map[string]parameter
		Schemas    map[string]schema
	}
}

type parameter struct {
	Ref      string `yaml:"$ref"`
	Name, In string
	Required bool
	Schema   schema
}

type schema struct {
	Maximum              int
	MaxLength            int `yaml:"maxLength"`
	MaxItems             int `yaml:"maxItems"`
	Default              any
	AdditionalProperties *bool `yaml:"additionalProperties"`
	Required             []string
	Properties           map[string]any
}

func readDescription(t *testing.T) description {
	t.Helper()
	b, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var d description
	if err := yaml.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// Every route is described and nothing else is, with the parameters that it takes, and whether they are required.
func TestDescriptionHasTheRoutes(t *testing.T) {
	d := readDescription(t)
	server := &Server{}
	routes := map[string]bool{}
	for _, rt := range server.routes() {
		path, verb := apiPrefix+rt.path, strings.ToLower(rt.verb())
		routes[verb+" "+path] = true
		item, ok := d.Paths[path][verb]
		if !ok {
			t.Errorf("%s %s is not described", verb, path)
			continue
		}
		want := map[string]bool{}
		for _, p := range rt.params {
			want["query "+p.name] = p.required
		}
		for _, m := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(path, -1) {
			want["path "+m[1]] = true
		}
		got := map[string]bool{}
		for _, p := range item.Parameters {
			if p.Ref != "" {
				p = d.Components.Parameters[p.Ref[strings.LastIndex(p.Ref, "/")+1:]]
			}
			got[p.In+" "+p.Name] = p.Required
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: described parameters %v, taken %v", path, got, want)
		}
	}
	for path, verbs := range d.Paths {
		for verb := range verbs {
			if !routes[verb+" "+path] {
				t.Errorf("%s %s is described but not served", verb, path)
			}
		}
	}
}

// The limits that are described are those that are checked.
func TestDescriptionHasTheLimits(t *testing.T) {
	d := readDescription(t)
	find := func(path, name string) schema {
		for _, p := range d.Paths[apiPrefix+path]["get"].Parameters {
			if p.Name == name {
				return p.Schema
			}
		}
		t.Fatalf("%s has no parameter %s", path, name)
		return schema{}
	}
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"buckets", find("machines/{device}/range", "buckets").Maximum, MaxBuckets},
		{"buckets by default", find("machines/{device}/range", "buckets").Default, defaultBuckets},
		{"events", find("machines/{device}/events", "limit").Maximum, MaxEvents},
		{"events by default", find("machines/{device}/events", "limit").Default, defaultEvents},
		{"bytes of an id", find("live", "last_event_id").MaxLength, maxCursor},
		{"series", d.Components.Schemas["SeriesNames"].MaxItems, MaxSeries},
		{"bytes of a series' name", d.Components.Schemas["SeriesName"].MaxLength, maxSeriesName},
	} {
		if c.got != c.want {
			t.Errorf("%s: described %v, checked %v", c.what, c.got, c.want)
		}
	}
	b, _ := os.ReadFile("openapi.yaml")
	if !strings.Contains(string(b), "200,000") || MaxPoints != 200_000 {
		t.Errorf("the description does not say that a range has at most %d points", MaxPoints)
	}
}

// A schema that left a field out of required, or let others in, would hide what has changed.
func TestSchemasAreExact(t *testing.T) {
	for name, s := range readDescription(t).Components.Schemas {
		if s.Properties == nil || name == "Problem" {
			continue
		}
		if strings.HasSuffix(name, "Request") { // what may be left out
			s.Required = slices.Collect(maps.Keys(s.Properties))
		}
		if s.AdditionalProperties == nil || *s.AdditionalProperties {
			t.Errorf("%s: lets other properties in", name)
		}
		for p := range s.Properties {
			if !slices.Contains(s.Required, p) {
				t.Errorf("%s: %s is not required", name, p)
			}
		}
	}
}
