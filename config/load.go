package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Options of Load.
type Options struct {
	// Environ are the variables, as os.Environ has them; nil for none. An empty one sets nothing.
	Environ []string
	// Prefix of the variables that are meant. Default "FULMAR".
	Prefix string
	// Foreign are top-level keys of other settings whose variables share the prefix: they are passed over.
	Foreign []string
	// Overrides go over the file and the environment; a later one over an earlier.
	Overrides []Override
}

// An Override is a setting from the command line.
type Override struct {
	Key   string // dotted path
	Value string
	// Values are a list's; nil for what is none.
	Values []string
	From   string // what to name it in an error, as "--http"
}

func (o Override) tree() *tree {
	t := &tree{form: text, text: o.Value, plain: true, origin: o.From}
	if o.Values != nil {
		t.form = list
		for _, v := range o.Values {
			t.items = append(t.items, Override{Value: v, From: o.From}.tree())
		}
	}
	return t
}

// Loaded is where the settings came from.
type Loaded struct {
	value   reflect.Value
	origins map[string]string
	all     Raw
}

// Wrong is an error about a key, at its place in the file.
func (l *Loaded) Wrong(key, hint, format string, args ...any) error {
	return l.all.Wrong(key, hint, format, args...)
}

// Load reads the file, if path is not empty, the environment and the overrides into the struct that into points to,
// which holds the defaults. The error is an *Error if the settings are wrong; then into is in no defined state.
func Load(path string, into any, o Options) (*Loaded, error) {
	v := reflect.ValueOf(into).Elem()
	root := &tree{form: mapping}
	d := &decoder{src: source{name: path}, root: v.Type(), origins: make(map[string]string)}
	if path != "" {
		data, err := readFile(path)
		if err != nil {
			return nil, err
		}
		t, err := parse(path, data)
		if err != nil {
			return nil, err
		}
		if t.form == null {
			t = root
		}
		d.src.data, root = string(data), t
	}
	d.environment(root, o)
	for _, over := range o.Overrides {
		root.set(strings.Split(over.Key, "."), over.tree())
	}
	d.value("", root, v, field{})
	if len(d.problems) > 0 {
		return nil, d.err()
	}
	return &Loaded{value: v, origins: d.origins, all: Raw{tree: root, src: d.src}}, nil
}

// err puts the problems in the order of the file.
func (d *decoder) err() error {
	slices.SortStableFunc(d.problems, func(a, b Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	if n := len(d.problems); n > maxProblems {
		d.problems = append(d.problems[:maxProblems], Problem{File: d.src.name, Message: fmt.Sprintf("%d more", n-maxProblems)})
	}
	return &Error{d.problems}
}

// environment puts the variables over the file. A variable with "__" names a path and must be one; a variable without is
// a setting if there is one of its name, and an error if there is almost one.
func (d *decoder) environment(root *tree, o Options) {
	prefix := o.Prefix
	if prefix == "" {
		prefix = "FULMAR"
	}
	top := keysOf(d.root)
	environ := slices.Clone(o.Environ)
	slices.Sort(environ)
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		rest, ok := strings.CutPrefix(name, prefix+"_")
		if !ok || value == "" {
			continue
		}
		path := strings.Split(strings.ToLower(rest), "__")
		if slices.Contains(o.Foreign, path[0]) && !slices.Contains(top, path[0]) {
			continue
		}
		if len(path) == 1 && !slices.Contains(top, path[0]) {
			if near := nearest(path[0], top); near != "" && distance(path[0], near) <= 2 && len(near) > 3 {
				d.tellAt("", place{}, name, fmt.Sprintf("did you mean %s_%s?", prefix, strings.ToUpper(near)), "no such setting")
			}
			continue
		}
		root.set(path, Override{Value: value, From: name}.tree())
	}
}

// Keys returns the top-level keys of the settings that v, a pointer to a struct, holds.
func Keys(v any) []string { return keysOf(reflect.TypeOf(v).Elem()) }

func keysOf(t reflect.Type) []string {
	var keys []string
	for _, f := range fieldsOf(t) {
		keys = append(keys, f.key)
	}
	return keys
}

// Kind returns the value of a file's top-level key "kind", empty if it has none: by it whoever handles several kinds of
// settings knows which they are.
func Kind(path string) (string, error) {
	data, err := readFile(path)
	if err != nil {
		return "", err
	}
	t, err := parse(path, data)
	if err != nil {
		return "", err
	}
	if k := t.get("kind"); k != nil && k.form == text {
		return k.text, nil
	}
	return "", nil
}

// A Value is one setting in effect.
type Value struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Origin string `json:"origin"` // "default", file:line, or the name of the variable or flag
}

// Values returns every setting in effect and where it came from, in the order of the declaration.
func (l *Loaded) Values() []Value { return l.values(nil, "", l.value) }

func (l *Loaded) values(list []Value, key string, v reflect.Value) []Value {
	if v.Type() == rawType {
		return append(list, v.Interface().(Raw).texts()...)
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return list
		}
		return l.values(list, key, v.Elem())
	case reflect.Struct:
		for _, f := range fieldsOf(v.Type()) {
			list = l.values(list, join(key, f.key), v.FieldByIndex(f.index))
		}
		return list
	case reflect.Slice:
		for i := range v.Len() {
			list = l.values(list, fmt.Sprintf("%s[%d]", key, i), v.Index(i))
		}
		if v.Len() > 0 {
			return list
		}
		return append(list, l.entry(key, "[]"))
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			list = l.values(list, join(key, k.String()), v.MapIndex(k))
		}
		return list
	}
	return append(list, l.entry(key, written(v)))
}

func (l *Loaded) entry(key, value string) Value {
	origin := l.origins[key]
	if origin == "" {
		origin = "default"
	}
	return Value{Key: key, Value: value, Origin: origin}
}
