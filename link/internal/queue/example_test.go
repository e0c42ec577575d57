package queue_test

import (
	"context"
	"fmt"

	"github.com/fulmar-io/fulmar/link/internal/queue"
)

func Example() {
	q := queue.New[string](2, 100)
	fmt.Println(q.Put("a", 1), q.Put("b", 1), q.Put("c", 1))
	q.Close()
	for {
		v, err := q.Get(context.Background())
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Println(v)
	}
	fmt.Println("lost:", q.Lost())
	// Output:
	// true true false
	// a
	// b
	// queue closed
	// lost: 1
}
