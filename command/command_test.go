package command_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

func anOrder(t *rapid.T) command.Order {
	o := command.Order{Name: rapid.StringMatching(`[a-z0-9_-]{1,60}/[a-z0-9_-]{1,60}`).Draw(t, "name"), By: rapid.StringMatching(`[a-z@.]{1,60}`).Draw(t, "by"),
		Role: rapid.SampledFrom(command.Roles()).Draw(t, "role"), Deadline: time.Duration(rapid.Int64().Draw(t, "deadline"))}
	copy(o.ID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
	for _, name := range rapid.SliceOfNDistinct(rapid.StringN(1, 10, 20), 0, command.MaxArguments, rapid.ID).Draw(t, "arguments") {
		o.Arguments = append(o.Arguments, command.Argument{Name: name, Value: rapid.StringN(-1, 10, 40).Draw(t, "value")})
	}
	return o
}

func TestOrdersComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anOrder(t)
		b := want.Append(nil)
		got, err := command.ParseOrder(b)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v, %v, want %+v", got, err, want)
		}
		for n := range b {
			if _, err := command.ParseOrder(b[:n]); !errors.Is(err, command.ErrInvalid) {
				t.Fatalf("%d of %d bytes: %v", n, len(b), err)
			}
		}
		if _, err := command.ParseOrder(append(b, 0)); err == nil {
			t.Fatal("with a byte more it was taken")
		}
	})
}

func TestOrdersThatAreNone(t *testing.T) {
	good := command.Order{Name: "drive/stop", By: "ada@ground", Role: command.Operator, Arguments: []command.Argument{{Name: "x", Value: "1"}}}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*command.Order){
		"no component":      func(o *command.Order) { o.Name = "stop" },
		"three elements":    func(o *command.Order) { o.Name = "drive/stop/now" },
		"nobody":            func(o *command.Order) { o.By = "" },
		"no role":           func(o *command.Order) { o.Role = "root" },
		"an argument twice": func(o *command.Order) { o.Arguments = append(o.Arguments, o.Arguments[0]) },
		"no argument name":  func(o *command.Order) { o.Arguments[0].Name = "" },
		"too much":          func(o *command.Order) { o.Arguments[0].Value = strings.Repeat("x", command.MaxValues) },
		"not text":          func(o *command.Order) { o.Arguments[0].Value = "\xff" },
		"too many":          func(o *command.Order) { o.Arguments = numbered(command.MaxArguments + 1) },
	} {
		o := good
		o.Arguments = slices.Clone(good.Arguments)
		change(&o)
		if err := o.Validate(); !errors.Is(err, command.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := command.ParseOrder(o.Append(nil)); !errors.Is(err, command.ErrInvalid) {
			t.Errorf("%s, parsed: %v", what, err)
		}
	}
}

func numbered(n int) []command.Argument {
	list := make([]command.Argument, n)
	for i := range list {
		list[i].Name = fmt.Sprint(i)
	}
	return list
}

func TestRecordsComeBack(t *testing.T) {
	var w packet.Writer
	d := command.Declaration{Name: "drive/goto", Doc: "drives to a point", Risk: command.Caution, Role: command.Operator, Arguments: []byte(`{"type":"object"}`)}
	b, err := d.AppendTo(&w, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := command.ParseDeclaration(b); err != nil || !reflect.DeepEqual(got, d) {
		t.Errorf("%+v, %v", got, err)
	}
	id, err := command.NewID(bytes.NewReader(make([]byte, 16)))
	if err != nil {
		t.Fatal(err)
	}
	b, err = command.AppendOutcome(&w, id.String(), "drive/goto", command.Failed, strings.Repeat("x", 2*command.MaxText), 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	o, err := command.ParseOutcome(b)
	if err != nil || o.ID != id || o.Name != "drive/goto" || o.State != command.Failed || len(o.Text) != command.MaxText {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err := command.ParseDeclaration(b); err == nil {
		t.Error("an outcome was taken for a declaration")
	}
	text := id.String()
	if n := testing.AllocsPerRun(100, func() { _, _ = command.AppendOutcome(&w, text, "drive/goto", command.Done, "", 1, 2) }); n > 0 {
		t.Errorf("an outcome allocates %v times", n)
	}
}

func TestRoles(t *testing.T) {
	for i, have := range command.Roles() {
		for k, need := range command.Roles() {
			if have.Allows(need) != (i >= k) {
				t.Errorf("%s allows %s: %t", have, need, !(i >= k))
			}
		}
		if have.Allows("") || command.Role("").Allows(have) || command.Role("root").Allows("root") {
			t.Errorf("what is no role counts beside %s", have)
		}
		if got, err := command.ParseRole(string(have)); err != nil || got != have {
			t.Errorf("%s, %v", got, err)
		}
	}
	if _, err := command.ParseRole("root"); err == nil || !strings.Contains(err.Error(), "viewer, operator, admin") {
		t.Errorf("%v", err)
	}
}

func FuzzParseOrder(f *testing.F) {
	f.Add(command.Order{Name: "drive/stop", By: "ada", Role: command.Operator, Arguments: []command.Argument{{Name: "x", Value: "1"}}}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := command.ParseOrder(b)
		if err == nil && !bytes.Equal(o.Append(nil), b) {
			t.Errorf("two forms of one order: %x", b)
		}
	})
}
