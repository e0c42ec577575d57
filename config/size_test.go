package config_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/config"
)

func TestSize(t *testing.T) {
	for text, want := range map[string]config.Size{"0": 0, "1": 1, "64MiB": 64 << 20, "1.5 GB": 1.5e9, "1KiB": 1024, "1kB": 1000, "7B": 7, "9223372036854775807": 1<<63 - 1} {
		var s config.Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%s: %d, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "-1KiB", "1 parsec", "1e30", "NaN", "9223372036854775808", "8EiB", "9000000TiB"} {
		var s config.Size
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: %d", text, s)
		}
	}
}

func TestSizeIsReadAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := config.Size(rapid.Int64Range(0, 1<<50).Draw(t, "size") << rapid.IntRange(0, 12).Draw(t, "shift"))
		b, err := want.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var got config.Size
		if err := got.UnmarshalText(b); err != nil || got != want {
			t.Fatalf("%s: %d, want %d: %v", b, got, want, err)
		}
	})
}
