package command_test

import (
	"fmt"

	"github.com/fulmar-io/fulmar/command"
)

// What somebody wants of a machine, and what became of it.
func Example() {
	order := command.Order{Name: "drive/goto", By: "ada", Role: command.Operator, Arguments: []command.Argument{{Name: "x", Value: "12.5"}}}
	fmt.Println(order.Validate(), order.Values()["x"])
	fmt.Println(order.Role.Allows(command.Admin), command.Accepted.Ended(), command.Done.Ended())
	// Output:
	// <nil> 12.5
	// false false true
}
