package orders_test

import (
	"fmt"
	"time"

	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/ground/orders"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/telemetry"
)

// An order goes out when it is durable and the machine has said what time it has.
func Example() {
	now := orders.Time{Wall: time.Now()}
	book, err := orders.Open(now, orders.Options{Disk: simdisk.New()})
	if err != nil {
		fmt.Println(err)
		return
	}
	book.Declare("rover", telemetry.Boot{1}, command.Declaration{Name: "drive/stop", Risk: command.Safe, Role: command.Operator, Arguments: []byte(`{}`)})
	e, err := book.Give(now, orders.Request{Device: "rover", Name: "drive/stop", By: "ada", Role: command.Operator})
	fmt.Println(e.State, err, len(book.Effects()))
	book.Synced(now, book.BeginSync()())
	fmt.Printf("%T\n", book.Effects()[1].(orders.Say).Message)
	book.Clock(now, "rover", link.Clock{At: time.Minute})
	fmt.Printf("%T\n", book.Effects()[0].(orders.Say).Message)
	// Output:
	// queued <nil> 0
	// link.Hail
	// link.Order
}
