package latency_test

import (
	"context"
	"fmt"
	"time"

	"github.com/fulmar-io/fulmar/sched/latency"
)

func Example() {
	m, err := latency.Measure(context.Background(), latency.Ticker, time.Millisecond, 20, true)
	if err != nil {
		fmt.Println(err)
		return
	}
	d := latency.Sort(m.Late)
	fmt.Println(len(d), "releases served, the last of them at most a period late:", d.Quantile(1) < time.Millisecond)
	// Output: 20 releases served, the last of them at most a period late: true
}
