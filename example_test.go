package fulmar_test

import (
	"fmt"
	"time"

	"github.com/fulmar-io/fulmar"
)

// Reading is what the thermometer publishes.
type Reading struct {
	Temperature float64 `unit:"Cel"`
}

// Thermometer reads a temperature ten times a second.
type Thermometer struct {
	read    func() (float64, error)
	reading fulmar.Out[Reading]
}

// Spec implements fulmar.Component.
func (t *Thermometer) Spec() fulmar.Spec {
	return fulmar.Spec{
		Name: "thermometer",
		Tasks: []fulmar.Task{{
			Name: "sample", Period: 100 * time.Millisecond,
			Writes: []fulmar.Output{t.reading.As("reading")},
			Step:   t.sample,
		}},
	}
}

func (t *Thermometer) sample(s *fulmar.Step) error {
	celsius, err := t.read()
	if err != nil {
		s.Degraded("the bus does not answer") // and goes on: the next step tries again
		return nil
	}
	s.OK()
	t.reading.Set(Reading{Temperature: celsius})
	return nil
}

// A component is a struct with a Spec. A node runs it: see package node.
func Example() {
	t := &Thermometer{read: func() (float64, error) { return 21.5, nil }}
	spec := t.Spec()
	if err := spec.Validate(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(spec.Name, "samples every", spec.Tasks[0].Period)
	spec.Tasks[0].Period = 0
	fmt.Println(spec.Validate())
	// Output:
	// thermometer samples every 100ms
	// fulmar: component "thermometer": component's declaration is not valid: task "sample": period must be 100 µs to 1 h
}
