package name_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/internal/name"
)

// What is written is read again, whatever the path.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := hal.Resource{
			Kind: hal.Kind(rapid.IntRange(int(hal.KindInput), int(hal.KindCAN)).Draw(t, "kind")),
			Path: rapid.StringN(1, 40, -1).Draw(t, "path"),
		}
		if r.Kind == hal.KindI2C {
			r.Address = rapid.Uint16().Draw(t, "address")
		}
		got, err := name.Parse(name.Of(r))
		if err != nil || got != r {
			t.Fatalf("%+v is %q and read as %+v, %v", r, name.Of(r), got, err)
		}
	})
}

func TestWhatIsNoName(t *testing.T) {
	for _, s := range []string{"", "i2c", "i2c:", "i2c:i2c-1", "i2c:i2c-1:", "i2c:i2c-1:0x10000", "i2c::0x68", "pin:3", "invalid:3", "adc:%", "adc:%4", "adc:%zz", "uart:"} {
		if r, err := name.Parse(s); err == nil {
			t.Errorf("%q is read as %+v", s, r)
		}
	}
}

func TestNearest(t *testing.T) {
	have := []string{"i2c-0", "i2c-1", "ttyACM0"}
	for wanted, want := range map[string]string{"i2c1": "i2c-1", "ttyACMO": "ttyACM0", "tty0": "", "can0": ""} {
		if got := name.Nearest(wanted, have); got != want {
			t.Errorf("nearest to %q is %q, want %q", wanted, got, want)
		}
	}
	many := make([]string, 20)
	for i := range many {
		many[i] = fmt.Sprintf("line%02d", i)
	}
	if got, want := name.Listed("x", many), "there is line00, line01, line02, line03, line04, line05, line06, line07, line08, line09, line10, line11 and 8 more"; got != want {
		t.Errorf("listed: %s", got)
	}
	if got := name.Listed("x", nil); got != "there is none" {
		t.Errorf("listed: %s", got)
	}
}

func Example() {
	r := hal.Resource{Kind: hal.KindI2C, Path: "i2c-1", Address: 0x68}
	fmt.Println(name.Of(r))
	fmt.Println(name.Listed("i2c1", []string{"i2c-1", "i2c-20"}))
	// Output:
	// i2c:i2c-1:0x68
	// did you mean i2c-1? there is i2c-1, i2c-20
}
