package main

import (
	"context"
	"fmt"
	"os"
)

// What is wrong, what to do about it, and the status that a script can tell it by.
func Example() {
	status := run(context.Background(), []string{"replay", "flight.ulg"}, os.Stdout, os.Stdout)
	fmt.Println("exit status", status)
	status = run(context.Background(), []string{"inspekt"}, os.Stdout, os.Stdout)
	fmt.Println("exit status", status)
	// Output:
	// fulmar: replay: no link
	// hint: say where to with --to mqtts://127.0.0.1:8883
	// exit status 2
	// fulmar: unknown command "inspekt"
	// hint: did you mean fulmar inspect?
	// exit status 2
}
