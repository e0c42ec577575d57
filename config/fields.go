package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"
)

// field is one setting of a struct, as its tags declare it.
type field struct {
	key      string
	index    []int // of the struct's field, through embedded structs
	doc      string
	min, max string // in the terms of the type; empty for no bound
	choices  []string
	required bool
	tag      reflect.StructTag
}

// fieldsOf returns the settings of a struct type. Those of a struct that it embeds are its own.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		sf := t.Field(i)
		key := sf.Tag.Get("config")
		if !sf.IsExported() || key == "-" {
			continue
		}
		if sf.Anonymous && key == "" && sf.Type.Kind() == reflect.Struct {
			for _, f := range fieldsOf(sf.Type) {
				f.index = append([]int{i}, f.index...)
				fields = append(fields, f)
			}
			continue
		}
		if key == "" {
			key = Key(sf.Name)
		}
		f := field{key: key, index: sf.Index, doc: sf.Tag.Get("doc"), min: sf.Tag.Get("min"), max: sf.Tag.Get("max"),
			required: sf.Tag.Get("required") == "true", tag: sf.Tag}
		if c := sf.Tag.Get("choices"); c != "" {
			f.choices = strings.Split(c, ",")
		}
		if f.choices == nil {
			if c, ok := reflect.New(sf.Type).Interface().(Chooser); ok {
				f.choices = c.Choices()
			}
		}
		fields = append(fields, f)
	}
	return fields
}

// A Chooser is a type of which only some values can be written.
type Chooser interface {
	// Choices returns them, as MarshalText writes them.
	Choices() []string
}

// Key is a Go name as it is written outside of Go: max_age for MaxAge, http_port for HTTPPort. Telemetry names its fields
// by the same rule.
func Key(s string) string {
	var b strings.Builder
	r := []rune(s)
	for i, c := range r {
		if unicode.IsUpper(c) && i > 0 && (!unicode.IsUpper(r[i-1]) || i+1 < len(r) && unicode.IsLower(r[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	sizeType     = reflect.TypeFor[Size]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// isText reports whether values of a type are written as a text that it reads itself.
func isText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textType) }

// nature says in a few words what is to be written for a type.
func nature(t reflect.Type) string {
	switch {
	case t == durationType:
		return "a duration, as 500ms or 1h30m"
	case t == sizeType:
		return "a size, as 64MiB"
	case isText(t) && t.Kind() != reflect.Struct:
		return "a string"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return nature(t.Elem())
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "an integer"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.String:
		return "a string"
	case reflect.Slice:
		return "a list"
	}
	return "a mapping"
}

// written is a value as a file would have it.
func written(v reflect.Value) string {
	if r, ok := v.Interface().(interface{ Redacted() string }); ok {
		return r.Redacted()
	}
	if d, ok := v.Interface().(time.Duration); ok {
		return durationText(d)
	}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		if b, err := m.MarshalText(); err == nil {
			return string(b)
		}
	}
	return fmt.Sprint(v.Interface())
}

// durationText is 1h where String has 1h0m0s.
func durationText(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
