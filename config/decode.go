package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// decoder puts a tree's values into a struct and collects what is wrong.
type decoder struct {
	src      source
	root     reflect.Type
	problems []Problem
	origins  map[string]string // key → variable, flag or file:line that set it
}

// maxProblems bounds how many are told at once.
const maxProblems = 20

// tell notes a problem with a value.
func (d *decoder) tell(key string, t *tree, hint, format string, args ...any) {
	d.tellAt(key, t.at, t.origin, hint, format, args...)
}

func (d *decoder) tellAt(key string, at place, origin, hint, format string, args ...any) {
	p := Problem{File: d.src.name, Line: at.line, Column: at.column, Key: key, Origin: origin, Message: fmt.Sprintf(format, args...), Hint: hint}
	if origin == "" {
		p.Snippet = d.src.snippet(at)
	} else {
		p.File, p.Line, p.Column = "", 0, 0
	}
	d.problems = append(d.problems, p)
}

// value decodes t into v, which is addressable.
func (d *decoder) value(key string, t *tree, v reflect.Value, f field) {
	if t.form == null {
		return // a key without a value leaves the default
	}
	before := len(d.problems)
	switch {
	case v.Type() == rawType:
		v.Set(reflect.ValueOf(Raw{tree: t, src: d.src, key: key}))
		return
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(key, t, v.Elem(), f)
		return
	case isText(v.Type()) && (v.Kind() != reflect.Struct || t.form != mapping):
		d.text(key, t, v)
	case v.Kind() == reflect.Struct:
		d.structure(key, t, v)
	case v.Kind() == reflect.Slice:
		d.list(key, t, v)
	case v.Kind() == reflect.Map:
		d.mapping(key, t, v)
	default:
		d.scalar(key, t, v)
	}
	if len(d.problems) > before {
		return
	}
	d.origins[key] = d.from(t)
	if v.Kind() != reflect.Slice && v.Kind() != reflect.Map {
		d.bounds(key, t, v, f)
	}
	if len(d.problems) > before {
		return
	}
	if c, ok := v.Addr().Interface().(completer); ok {
		c.Complete()
	}
	d.validate(key, t, v)
}

// completer is a value that fills what follows from others of its settings.
type completer interface{ Complete() }

// from names where a value comes from.
func (d *decoder) from(t *tree) string {
	if t.origin == "" {
		return fmt.Sprintf("%s:%d", d.src.name, t.at.line)
	}
	return t.origin
}

// wrongType says what is wanted and what is there.
func (d *decoder) wrongType(key string, t *tree, want reflect.Type, hint string) {
	if nature(want) == "a string" && (t.form == number || t.form == boolean) {
		hint = fmt.Sprintf("put it in quotes: %q", t.text)
	}
	there := t.form.String()
	if t.form != mapping && t.form != list {
		there = fmt.Sprintf("%s %s", there, quoted(t))
	}
	d.tell(key, t, hint, "want %s, got %s", nature(want), there)
}

func quoted(t *tree) string {
	if t.form == text {
		return strconv.Quote(t.text)
	}
	return t.text
}

func (d *decoder) text(key string, t *tree, v reflect.Value) {
	if t.form == mapping || t.form == list {
		d.wrongType(key, t, v.Type(), "")
		return
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(t.text)); err != nil {
		hint := ""
		if c, ok := v.Addr().Interface().(Chooser); ok {
			hint = oneOf(t.text, c.Choices())
		}
		d.tell(key, t, hint, "%s", err)
		return
	}
	if v.Kind() == reflect.Struct { // the text set some of its fields
		for _, f := range fieldsOf(v.Type()) {
			if !v.FieldByIndex(f.index).IsZero() {
				d.origins[join(key, f.key)] = d.from(t)
			}
		}
	}
}

func oneOf(word string, choices []string) string {
	if near := nearest(word, choices); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	return "it is one of " + strings.Join(choices, ", ")
}

func (d *decoder) structure(key string, t *tree, v reflect.Value) {
	if t.form != mapping {
		d.wrongType(key, t, v.Type(), "")
		return
	}
	fields := fieldsOf(v.Type())
	for _, e := range t.keys {
		known := false
		for _, f := range fields {
			if f.key == e.key {
				d.value(join(key, f.key), e.value, v.FieldByIndex(f.index), f)
				known = true
			}
		}
		if !known {
			d.tellAt(join(key, e.key), e.at, e.value.origin, d.meant(e.key, fields), "unknown key")
		}
	}
	for _, f := range fields {
		if f.required && v.FieldByIndex(f.index).IsZero() && !d.touched(join(key, f.key)) {
			d.tellAt(join(key, f.key), place{}, "", f.doc, "missing")
		}
	}
}

// touched reports whether a problem with a key was told already.
func (d *decoder) touched(key string) bool {
	for _, p := range d.problems {
		if p.Key == key {
			return true
		}
	}
	return false
}

// meant says which key an unknown one was probably meant to be: one like it here, or the same elsewhere.
func (d *decoder) meant(key string, fields []field) string {
	here := make([]string, len(fields))
	for i, f := range fields {
		here[i] = f.key
	}
	if near := nearest(key, here); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	if elsewhere := find(d.root, "", key); elsewhere != "" {
		return fmt.Sprintf("did you mean %s?", elsewhere)
	}
	return "known here: " + strings.Join(here, ", ")
}

// find returns the dotted path of a key anywhere below a type, or "".
func find(t reflect.Type, path, key string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == sizeType || t == rawType {
		return ""
	}
	for _, f := range fieldsOf(t) {
		if f.key == key {
			return join(path, key)
		}
		if deeper := find(t.FieldByIndex(f.index).Type, join(path, f.key), key); deeper != "" {
			return deeper
		}
	}
	return ""
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func (d *decoder) list(key string, t *tree, v reflect.Value) {
	items := t.items
	if t.form == text && t.origin != "" { // a variable holds a list as a,b,c
		for _, s := range strings.Split(t.text, ",") {
			if s = strings.TrimSpace(s); s != "" {
				items = append(items, Override{Value: s, From: t.origin}.tree())
			}
		}
	} else if t.form != list {
		hint := ""
		if t.form != mapping {
			hint = fmt.Sprintf("a list of one is [%s]", t.text)
		}
		d.wrongType(key, t, v.Type(), hint)
		return
	}
	s := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		d.value(fmt.Sprintf("%s[%d]", key, i), item, s.Index(i), field{})
	}
	v.Set(s)
}

func (d *decoder) mapping(key string, t *tree, v reflect.Value) {
	if t.form != mapping {
		d.wrongType(key, t, v.Type(), "")
		return
	}
	m := reflect.MakeMapWithSize(v.Type(), len(t.keys))
	for _, e := range t.keys {
		item := reflect.New(v.Type().Elem()).Elem()
		d.value(join(key, e.key), e.value, item, field{})
		m.SetMapIndex(reflect.ValueOf(e.key), item)
	}
	v.Set(m)
}

func (d *decoder) scalar(key string, t *tree, v reflect.Value) {
	if t.form == mapping || t.form == list {
		d.wrongType(key, t, v.Type(), "")
		return
	}
	if err := assign(t, v); errors.Is(err, errType) {
		d.wrongType(key, t, v.Type(), "")
	} else if err != nil {
		d.tell(key, t, "", "%s", err)
	}
}

var errType = errors.New("wrong type")

// assign puts a scalar into v. The forms that a file has must be kept to; plain texts are read as what is wanted.
func assign(t *tree, v reflect.Value) error {
	is := func(f form) bool { return t.form == f || t.form == text && t.plain }
	digits := strings.ReplaceAll(t.text, "_", "")
	switch {
	case v.Type() == durationType:
		dur, err := time.ParseDuration(t.text)
		if err != nil || t.form == boolean {
			return errType
		}
		v.SetInt(int64(dur))
	case v.Kind() == reflect.String && t.form == text:
		v.SetString(t.text)
	case v.Kind() == reflect.Bool && is(boolean):
		b, err := strconv.ParseBool(t.text)
		if err != nil {
			return errType
		}
		v.SetBool(b)
	case v.CanInt() && is(number):
		n, err := strconv.ParseInt(digits, base(digits), 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return errType
		}
		if err != nil || v.OverflowInt(n) {
			return fmt.Errorf("%s does not fit into %d bits", t.text, v.Type().Bits())
		}
		v.SetInt(n)
	case v.CanUint() && is(number):
		n, err := strconv.ParseUint(digits, base(digits), 64)
		if err != nil && strings.HasPrefix(digits, "-") {
			return fmt.Errorf("%s is less than 0", t.text)
		}
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return errType
		}
		if err != nil || v.OverflowUint(n) {
			return fmt.Errorf("%s does not fit into %d bits", t.text, v.Type().Bits())
		}
		v.SetUint(n)
	case v.CanFloat() && is(number):
		x, err := strconv.ParseFloat(strings.TrimPrefix(digits, "+"), v.Type().Bits())
		if err != nil || x-x != 0 { // no setting is infinite or not a number
			return errType
		}
		v.SetFloat(x)
	default:
		return errType
	}
	return nil
}

// base is 10 for what has no prefix 0x, 0o or 0b: no leading zero makes a number octal.
func base(digits string) int {
	digits = strings.TrimLeft(digits, "+-")
	if len(digits) > 1 && digits[0] == '0' && strings.ContainsRune("xXoObB", rune(digits[1])) {
		return 0
	}
	return 10
}

// bounds holds a value against its tags.
func (d *decoder) bounds(key string, t *tree, v reflect.Value, f field) {
	if f.choices != nil && v.Kind() == reflect.String {
		for _, c := range f.choices {
			if c == v.String() {
				return
			}
		}
		d.tell(key, t, oneOf(v.String(), f.choices), "%q is none of what it can be", v.String())
		return
	}
	if f.min != "" && less(v, parsed(f.min, v.Type())) {
		d.tell(key, t, "", "%s is less than %s", t.text, f.min)
	}
	if f.max != "" && less(parsed(f.max, v.Type()), v) {
		d.tell(key, t, "", "%s is more than %s", t.text, f.max)
	}
}

// parsed reads a bound of a tag. A tag that cannot be read is a bug.
func parsed(s string, t reflect.Type) reflect.Value {
	v := reflect.New(t)
	var err error
	if u, ok := v.Interface().(encoding.TextUnmarshaler); ok {
		err = u.UnmarshalText([]byte(s))
	} else {
		err = assign(&tree{form: text, text: s, plain: true}, v.Elem())
	}
	if err != nil {
		panic(fmt.Sprintf("config: bound %q of %s: %v", s, t, err))
	}
	return v.Elem()
}

func less(a, b reflect.Value) bool {
	switch {
	case a.CanInt():
		return a.Int() < b.Int()
	case a.CanUint():
		return a.Uint() < b.Uint()
	case a.CanFloat():
		return a.Float() < b.Float()
	}
	return false
}

// validate asks a value that can tell whether it is possible.
func (d *decoder) validate(key string, t *tree, v reflect.Value) {
	validator, ok := v.Addr().Interface().(interface{ Validate() error })
	if !ok {
		return
	}
	for _, err := range leaves(validator.Validate()) {
		var fe *FieldError
		if !errors.As(err, &fe) {
			d.tell(key, t, "", "%s", err)
			continue
		}
		at, origin := t.at, t.origin
		below := t
		for _, k := range strings.Split(fe.Field, ".") {
			if below = below.get(k); below == nil {
				break
			}
			at, origin = below.at, below.origin
		}
		d.tellAt(join(key, fe.Field), at, origin, "", "%s", fe.Err)
	}
}

// leaves takes joined errors apart.
func leaves(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, leaves(e)...)
		}
		return all
	}
	if err == nil {
		return nil
	}
	return []error{err}
}
