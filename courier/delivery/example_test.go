package delivery_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/fulmar-io/fulmar/courier/delivery"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Whoever drives the machine performs its effects and reports what came of them.
func Example() {
	m := delivery.New(delivery.Options{Links: make([]delivery.Link, 1)}, rand.New(rand.NewPCG(1, 2)), [packet.Classes]uint64{1, 1, 1})
	now := time.Duration(0)
	m.Committed(now, packet.Normal, 2) // one frame is in the spool
	for range 4 {
		for _, e := range m.Effects() {
			fmt.Printf("%T\n", e)
			switch e := e.(type) {
			case delivery.Dial:
				m.Up(now, e.Link)
			case delivery.Load:
				f := delivery.Frame{Key: delivery.Key{Class: e.Class, Index: 1}, Boot: boot, Range: ledger.Range{Count: 10}, Data: []byte("frame")}
				m.Loaded(now, e.Class, []delivery.Frame{f}, 2)
			case delivery.Transmit:
				m.Sent(now, e.Link, e.Key, nil)
				m.Received(now, e.Link, link.Ack{Boot: boot, Class: packet.Normal, Prefix: 10})
			}
		}
	}
	// Output:
	// delivery.Dial
	// delivery.Load
	// delivery.Transmit
	// delivery.Done
}
