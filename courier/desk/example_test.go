package desk_test

import (
	"fmt"
	"time"

	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/courier/desk"
	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/secure/order"
	"github.com/fulmar-io/fulmar/telemetry"
)

// On the bench, without keys: an order is answered when it is durable.
func Example() {
	d, err := desk.Open(desk.Options{Device: "rover", Disk: simdisk.New(), Dir: "orders"})
	if err != nil {
		fmt.Println(err)
		return
	}
	d.Begin(telemetry.Boot{1})
	at := d.Hail(10 * time.Second)
	b := order.Signed{Device: "rover", Challenge: at.Challenge, Number: 1,
		Order: command.Order{Name: "drive/stop", By: "ada", Role: command.Operator, Deadline: at.At + 5*time.Second}}.Append(nil, nil)
	answer, err := d.Order(11*time.Second, b)
	fmt.Println(answer == nil, err)
	receipts, orders := d.Synced(d.BeginSync()())
	fmt.Println(receipts[0].Code, orders[0].Name)
	// Output:
	// true <nil>
	// 1 drive/stop
}
