package config

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
)

// Schema returns the JSON Schema (draft 2020-12) of the settings that v, a pointer to a struct, holds with their defaults:
// for editors, which complete and check with it. What only Validate knows is not in it.
func Schema(v any, title string) ([]byte, error) {
	s := schemaOf(reflect.ValueOf(v).Elem(), field{})
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = title
	b, err := json.MarshalIndent(s, "", "  ")
	return append(b, '\n'), err
}

type schema map[string]any

const (
	durationPattern = `^[+-]?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))+$|^[+-]?0$`
	sizePattern     = `^ *[0-9.]+ *([KMGT]iB|[kKMGT]?B)? *$`
)

func schemaOf(v reflect.Value, f field) schema {
	t := v.Type()
	var s schema
	switch {
	case t.Kind() == reflect.Pointer:
		return schemaOf(fresh(t.Elem()), f)
	case t == rawType:
		s = schema{}
	case t == durationType:
		s = schema{"type": "string", "pattern": durationPattern}
	case t == sizeType:
		s = schema{"type": []string{"integer", "string"}, "pattern": sizePattern, "minimum": 0}
	case t.Kind() == reflect.Struct && isText(t):
		s = schema{"oneOf": []schema{{"type": "string"}, structSchema(v)}}
	case isText(t):
		s = schema{"type": "string"}
	case t.Kind() == reflect.Struct:
		s = structSchema(v)
	case t.Kind() == reflect.Slice:
		s = schema{"type": []string{"array", "null"}, "items": schemaOf(fresh(t.Elem()), field{})}
	case t.Kind() == reflect.Map:
		s = schema{"type": []string{"object", "null"}, "additionalProperties": schemaOf(fresh(t.Elem()), field{})}
	case t.Kind() == reflect.Bool:
		s = schema{"type": "boolean"}
	case t.Kind() == reflect.String:
		s = schema{"type": "string"}
	case v.CanFloat():
		s = schema{"type": "number"}
	default:
		s = schema{"type": "integer"}
	}
	return s.annotated(v, f)
}

// fresh is a value of a type with what follows by itself filled in.
func fresh(t reflect.Type) reflect.Value {
	v := reflect.New(t)
	if c, ok := v.Interface().(completer); ok {
		c.Complete()
	}
	return v.Elem()
}

// annotated adds what the tags say, and the default.
func (s schema) annotated(v reflect.Value, f field) schema {
	if f.doc != "" {
		s["description"] = f.doc
	}
	if f.choices != nil {
		s["enum"] = f.choices
	}
	t := v.Type()
	numeric := (v.CanInt() || v.CanUint() || v.CanFloat()) && t != durationType && t != sizeType && !isText(t)
	if numeric {
		if f.min != "" {
			s["minimum"] = json.Number(f.min)
		}
		if f.max != "" {
			s["maximum"] = json.Number(f.max)
		}
	} else if f.min != "" || f.max != "" {
		s["description"] = f.doc + " (" + between(f) + ")"
	}
	switch {
	case t.Kind() == reflect.Struct || t.Kind() == reflect.Slice || t.Kind() == reflect.Map || f.required:
	case numeric:
		s["default"] = json.Number(written(v))
	case t.Kind() == reflect.Bool:
		s["default"] = v.Bool()
	case written(v) != "":
		s["default"] = written(v)
	}
	return s
}

func structSchema(v reflect.Value) schema {
	properties := schema{}
	var required []string
	for _, f := range fieldsOf(v.Type()) {
		properties[f.key] = schemaOf(v.FieldByIndex(f.index), f)
		if f.required {
			required = append(required, f.key)
		}
	}
	s := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if required != nil {
		s["required"] = required
	}
	return s
}

// between says in words what the bounds allow.
func between(f field) string {
	switch {
	case f.min == "":
		return "at most " + f.max
	case f.max == "":
		return "at least " + f.min
	}
	return f.min + " to " + f.max
}

// A Setting is one key that may be written, for documentation.
type Setting struct {
	Key     string // dotted path; "[]" stands for an item of a list, "NAME" for a key of a mapping
	Type    string // what to write
	Default string // empty if there is none
	Range   string
	Doc     string
	Tag     reflect.StructTag // of the field, for whoever gives meaning to further tags
}

// Describe lists the settings that v, a pointer to a struct with the defaults, can hold.
func Describe(v any) []Setting { return describe(nil, "", reflect.ValueOf(v).Elem(), field{}) }

func describe(list []Setting, key string, v reflect.Value, f field) []Setting {
	t := v.Type()
	if t.Kind() == reflect.Pointer {
		v, t = fresh(t.Elem()), t.Elem()
	}
	// The article, and what a message has for an example, are not for a table.
	short, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(nature(t), "a "), "an "), ",")
	s := Setting{Key: key, Type: short, Doc: f.doc, Tag: f.tag}
	switch {
	case f.choices != nil:
		s.Range = strings.Join(f.choices, ", ")
	case f.min != "" || f.max != "":
		s.Range = between(f)
	}
	switch {
	case t.Kind() == reflect.Struct && t != rawType:
		if key != "" && f.doc != "" {
			list = append(list, s)
		}
		for _, f := range fieldsOf(t) {
			list = describe(list, join(key, f.key), v.FieldByIndex(f.index), f)
		}
		return list
	case t.Kind() == reflect.Slice:
		list = append(list, s)
		if e := fresh(t.Elem()); e.Kind() == reflect.Struct {
			list = describe(list, key+"[]", e, field{})
		}
		return list
	case t.Kind() == reflect.Map:
		list = append(list, s)
		if e := fresh(t.Elem()); e.Kind() == reflect.Struct && e.Type() != rawType {
			list = describe(list, key+".NAME", e, field{})
		}
		return list
	case f.required, t == rawType:
	case t.Kind() == reflect.String && v.String() != "":
		s.Default = strconv.Quote(v.String())
	default:
		s.Default = written(v)
	}
	return append(list, s)
}
