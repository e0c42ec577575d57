package station

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/link"
)

func message(device string, n, size int) arrival {
	return arrival{Inbound: link.Inbound{Device: device, Message: append([]byte(fmt.Sprintf("%08d", n)), make([]byte, size)...)}}
}

// Who has little waiting is served as if nobody had more.
func TestADeviceWaitsForOneMessageOfEachOther(t *testing.T) {
	q := newTurns(1<<20, 1<<20)
	for n := range 1000 {
		if q.put(message("wild", n, 10)) != "" {
			t.Fatal("dropped")
		}
	}
	q.put(message("a", 0, 10))
	q.put(message("b", 0, 10))
	served := ""
	for range 4 {
		m, ok := q.next()
		if !ok {
			t.Fatal("empty")
		}
		served += m.Device + " "
	}
	if served != "wild a b wild " {
		t.Errorf("served: %s", served)
	}
}

// Of a device whose only message is dropped nothing is left.
func TestADroppedMessageLeavesNoLine(t *testing.T) {
	q := newTurns(100, 100)
	if q.put(message("a", 0, 1000)) != "a" || len(q.lines) != 0 || q.count() != 0 {
		t.Errorf("%d lines, %d messages", len(q.lines), q.count())
	}
}

// Each device's messages come out in order, none is lost of which nobody was told, and what waits has its bounds: of each device, and of
// all, where the one with most pays.
func TestTurns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most, share = 100_000, 40_000
		q := newTurns(most, share)
		put, taken, dropped, bytes := map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
		last := map[string]string{}
		total := 0
		take := func() {
			m, ok := q.next()
			if ok != (total > 0) {
				t.Fatalf("a message: %t, %d bytes wait", ok, total)
			}
			if !ok {
				return
			}
			if n := string(m.Message[:8]); n <= last[m.Device] {
				t.Fatalf("%s: %s after %s", m.Device, n, last[m.Device])
			} else {
				last[m.Device] = n
			}
			taken[m.Device]++
			bytes[m.Device] -= len(m.Message) + perArrival
			total -= len(m.Message) + perArrival
		}
		for range rapid.IntRange(0, 400).Draw(t, "steps") {
			if rapid.IntRange(0, 3).Draw(t, "take") == 0 {
				take()
				continue
			}
			m := message(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "device"), 0, 1000)
			put[m.Device]++
			copy(m.Message, fmt.Sprintf("%08d", put[m.Device]))
			bytes[m.Device] += len(m.Message) + perArrival
			total += len(m.Message) + perArrival
			if whose := q.put(m); whose != "" {
				dropped[whose]++
				bytes[whose] -= len(m.Message) + perArrival // all are of one size
				total -= len(m.Message) + perArrival
				for other := range bytes {
					if whose != m.Device && bytes[other] > bytes[whose]+len(m.Message)+perArrival {
						t.Fatalf("%s pays, and %s has more", whose, other)
					}
				}
			}
			if bytes[m.Device] > share || total > most {
				t.Fatalf("%d bytes of %s wait, %d in all", bytes[m.Device], m.Device, total)
			}
		}
		for total > 0 {
			take()
		}
		for device := range put {
			if put[device] != taken[device]+dropped[device] {
				t.Fatalf("%s: %d put, %d taken, %d dropped", device, put[device], taken[device], dropped[device])
			}
		}
		if _, ok := q.next(); ok || q.count() != 0 || len(q.lines) != 0 {
			t.Fatal("something is left")
		}
	})
}
