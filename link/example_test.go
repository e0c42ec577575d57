package link_test

import (
	"fmt"
	"log"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

func Example() {
	// The ground has committed the numbers 0 to 99 and 120 to 129 of a stream.
	b := link.Append(nil, link.Ack{Boot: telemetry.Boot{1}, Class: packet.Normal, Prefix: 100,
		Ranges: []ledger.Range{{First: 120, Count: 10}}})
	m, err := link.Parse(b)
	if err != nil {
		log.Fatal(err)
	}
	switch m := m.(type) {
	case link.Ack:
		fmt.Println("frame 90 to 99:", m.Covers(ledger.Range{First: 90, Count: 10}))
		fmt.Println("frame 100 to 119:", m.Covers(ledger.Range{First: 100, Count: 20}))
	}
	b[10] ^= 1
	_, err = link.Parse(b)
	fmt.Println(err)
	// Output:
	// frame 90 to 99: true
	// frame 100 to 119: false
	// link: malformed message: checksum mismatch
}
