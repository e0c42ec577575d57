package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Raw is a setting whose type is not known yet: whoever knows it decodes it later, with the same checks and the same places in
// errors as the rest of its file. The zero Raw says nothing.
type Raw struct {
	tree *tree
	src  source
	key  string
}

var rawType = reflect.TypeFor[Raw]()

// Text is a Raw of scalars, as a file of one mapping would hold them; from names where they come from, in errors.
func Text(values map[string]string, from string) Raw {
	t := &tree{form: mapping, origin: from}
	for _, k := range slices.Sorted(maps.Keys(values)) {
		t.set(strings.Split(k, "."), Override{Value: values[k], From: from}.tree())
	}
	return Raw{tree: t}
}

// IsZero reports whether the setting says nothing.
func (r Raw) IsZero() bool { return r.tree == nil || r.tree.form == null }

// Decode puts the setting over the defaults in the struct that into points to. Where others are given they go over it, the
// later over the earlier. The error is an *Error; then into is in no defined state.
func (r Raw) Decode(into any, over ...Raw) error {
	v := reflect.ValueOf(into).Elem()
	for _, x := range append([]Raw{r}, over...) {
		if x.IsZero() {
			continue
		}
		d := &decoder{src: x.src, root: v.Type(), origins: make(map[string]string)}
		d.value(x.key, x.tree, v, field{})
		if len(d.problems) > 0 {
			return d.err()
		}
	}
	return nil
}

// Wrong is an error about a key below the setting, empty for the setting itself, at its place.
func (r Raw) Wrong(key, hint, format string, args ...any) error {
	d := &decoder{src: r.src}
	t := r.tree
	if t == nil {
		t = &tree{}
	}
	if key != "" {
		for _, k := range strings.Split(key, ".") {
			below := t.get(k)
			if below == nil {
				break
			}
			t = below
		}
	}
	d.tell(join(r.key, key), t, hint, format, args...)
	return d.err()
}

// texts returns the scalars of the setting by their keys.
func (r Raw) texts() []Value {
	var values []Value
	var walk func(key string, t *tree)
	walk = func(key string, t *tree) {
		switch {
		case t == nil || t.form == null:
		case t.form == mapping:
			for _, e := range t.keys {
				walk(join(key, e.key), e.value)
			}
		case t.form == list:
			for i, item := range t.items {
				walk(fmt.Sprintf("%s[%d]", key, i), item)
			}
		default:
			values = append(values, Value{Key: key, Value: t.text, Origin: (&decoder{src: r.src}).from(t)})
		}
	}
	walk(r.key, r.tree)
	return values
}

// ValuesOf returns every setting that v, a pointer to a struct, holds.
func ValuesOf(v any) []Value { return (&Loaded{value: reflect.ValueOf(v).Elem()}).Values() }
