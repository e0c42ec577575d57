package arq_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/fulmar-io/fulmar/link/serial/internal/arq"
	"github.com/fulmar-io/fulmar/wire"
)

// Both ends of a line on which everything arrives 10 ms later.
func Example() {
	now := time.Duration(0)
	ends := [2]*arq.Machine{
		arq.New(now, arq.Options{Device: "rover"}, rand.New(rand.NewPCG(1, 1))),
		arq.New(now, arq.Options{}, rand.New(rand.NewPCG(2, 2))),
	}
	var decoders [2]wire.Decoder
	for i := range decoders {
		decoders[i].Reset(make([]byte, arq.MaxPayload+4))
	}
	offered := false
	for ; now < time.Second; now += 10 * time.Millisecond {
		var line [2][]byte
		for i, m := range ends {
			for _, e := range m.Effects() {
				switch e.Kind {
				case arq.Write:
					line[i] = append(line[i], e.Data...)
				case arq.Up:
					fmt.Printf("up %q\n", e.Device)
				case arq.Deliver:
					fmt.Printf("%q\n", e.Data)
				}
			}
		}
		for i, m := range ends {
			if line[i] != nil {
				m.Written(now)
			}
			for b := line[1-i]; len(b) > 0; {
				n, payload, ok := decoders[i].Feed(b)
				if b = b[n:]; ok {
					m.Received(now, payload)
				}
			}
			m.Tick(now)
			if i == 0 && !offered {
				offered = m.Offer(now, []byte("hello"))
			}
		}
	}
	// Output:
	// up ""
	// up "rover"
	// "hello"
}
