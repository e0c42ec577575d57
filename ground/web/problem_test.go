package web_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/fulmar-io/fulmar/ground"
)

// What to do about a damaged index is told to whoever asks, and no more of what failed than that.
func TestADamagedIndexIsTold(t *testing.T) {
	s, d := newServer(t, nil)
	validate := schemas(t)
	for _, c := range []struct {
		fail         error
		detail, hint string
	}{
		{fmt.Errorf("store: events: %w", ground.ErrDamaged), "the ground's index is damaged", "fulmar inspect --reindex"},
		{os.ErrPermission, "the store failed", ""},
	} {
		d.fail = c.fail
		w := get(s.Handler(), "/api/v1/machines")
		var got struct{ Detail, Hint string }
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if err := validate("Problem", w.Body.Bytes()); err != nil {
			t.Error(err)
		}
		if w.Code != 500 || !strings.Contains(got.Detail, c.detail) || !strings.Contains(got.Hint, c.hint) || (got.Hint == "") != (c.hint == "") {
			t.Errorf("%v: %d %s", c.fail, w.Code, w.Body)
		}
	}
}
