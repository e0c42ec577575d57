package order_test

import (
	"fmt"

	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/secure/order"
)

// On the bench, without keys: what the ground says, and what the machine reads.
func Example() {
	wire := order.Signed{Device: "rover", Number: 1, Order: command.Order{Name: "drive/stop", By: "ada", Role: command.Operator}}.Append(nil, nil)
	got, _, err := order.Open(wire, nil)
	fmt.Println(got.Order.Name, got.Order.By, err)
	_, _, err = order.Open(wire[:40], nil)
	fmt.Println(err)
	// Output:
	// drive/stop ada <nil>
	// order: 40 bytes: not an order
}
