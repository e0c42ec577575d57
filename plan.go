package fulmar

import (
	"fmt"
	"reflect"

	"github.com/fulmar-io/fulmar/config"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// plan is how a value of a port's type becomes the values of a packet: the addressable scalars of one fixed variable, in
// the layout's order. It is made once; encoding reads through it without allocating.
type plan []scalar

type scalar struct {
	v reflect.Value
	t packet.Type
}

// newPlan returns the plan and fields for the variable that pointer points to.
func newPlan(pointer any) (plan, []Field, error) {
	v := reflect.ValueOf(pointer).Elem()
	if v.Kind() != reflect.Struct {
		p, f, err := planField(nil, "value", "", v)
		return p, []Field{f}, err
	}
	var p plan
	var fields []Field
	for i := range v.NumField() {
		sf := v.Type().Field(i)
		name := sf.Tag.Get("fulmar")
		if !sf.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = config.Key(sf.Name)
		}
		var f Field
		var err error
		if p, f, err = planField(p, name, sf.Tag.Get("unit"), v.Field(i)); err != nil {
			return nil, nil, err
		}
		fields = append(fields, f)
	}
	if len(fields) == 0 {
		return nil, nil, fmt.Errorf("%w: %s has no exported fields", ErrSpec, v.Type())
	}
	return p, fields, nil
}

func planField(p plan, name, unit string, v reflect.Value) (plan, Field, error) {
	f := Field{Name: name, Unit: unit}
	if v.Kind() == reflect.Array {
		f.Len = v.Len()
		t, ok := typeOf(v.Type().Elem().Kind())
		if !ok || t == packet.String || f.Len == 0 {
			return nil, f, fmt.Errorf("%w: field %q: %s cannot be published", ErrSpec, name, v.Type())
		}
		f.Type = t
		for i := range f.Len {
			p = append(p, scalar{v.Index(i), t})
		}
		return p, f, nil
	}
	t, ok := typeOf(v.Kind())
	if !ok {
		return nil, f, fmt.Errorf("%w: field %q: %s cannot be published", ErrSpec, name, v.Type())
	}
	f.Type = t
	return append(p, scalar{v, t}), f, nil
}

func typeOf(k reflect.Kind) (packet.Type, bool) {
	switch k {
	case reflect.Float64:
		return packet.Float64, true
	case reflect.Float32:
		return packet.Float32, true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return packet.Int64, true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return packet.Uint64, true
	case reflect.Bool:
		return packet.Bool, true
	case reflect.String:
		return packet.String, true
	}
	return 0, false
}

func (p plan) encode(w *packet.Writer) {
	for _, s := range p {
		switch s.t {
		case packet.Float64:
			w.Float64(s.v.Float())
		case packet.Float32:
			w.Float32(float32(s.v.Float()))
		case packet.Int64:
			w.Int64(s.v.Int())
		case packet.Uint64:
			w.Uint64(s.v.Uint())
		case packet.Bool:
			w.Bool(s.v.Bool())
		case packet.String:
			w.String(s.v.String())
		}
	}
}
