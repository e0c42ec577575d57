package admission_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fulmar-io/fulmar/secure/admission"
)

// A shorter hold does not end a longer one, and who waits goes when its context ends.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h admission.Hold
		began := time.Now()
		if err := h.Wait(t.Context()); err != nil || time.Since(began) != 0 {
			t.Errorf("nothing is held, and it took %s, %v", time.Since(began), err)
		}
		h.For(time.Second)
		h.For(time.Millisecond)
		if err := h.Wait(t.Context()); err != nil || time.Since(began) != time.Second {
			t.Errorf("a second is held, and it took %s, %v", time.Since(began), err)
		}
		h.For(time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := h.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

func TestOfEachSecondTheFirstIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		l := admission.Log{Logger: slog.New(slog.NewTextHandler(&b, nil))}
		for range 25 { // 2.4 s
			l.Tell("noise")
			<-time.After(100 * time.Millisecond)
		}
		if n := strings.Count(b.String(), "noise"); n != 3 {
			t.Errorf("told %d times in 2.4 s", n)
		}
	})
}
