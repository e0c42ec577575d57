// Package fulmar is what the author of a component imports.
//
// A component is one part of an autonomous machine: a sensor, an actuator, a controller, an estimator. It declares, in
// data, its name, what it depends on, and its tasks; a task declares its period and the ports it reads and writes. The
// machine (package node) starts components in the order of their dependencies, runs their tasks on time, hands values
// from port to port, and publishes every value of an output as telemetry that reaches the ground whole.
//
//	type Reading struct {
//		Temperature float64 `unit:"Cel"`
//	}
//
//	type Thermometer struct {
//		bus     Bus
//		reading fulmar.Out[Reading]
//	}
//
//	func (t *Thermometer) Spec() fulmar.Spec {
//		return fulmar.Spec{
//			Name: "thermometer",
//			Tasks: []fulmar.Task{{
//				Name: "sample", Period: 100 * time.Millisecond,
//				Writes: []fulmar.Output{t.reading.As("reading")},
//				Step:   t.sample,
//			}},
//		}
//	}
//
//	func (t *Thermometer) sample(s *fulmar.Step) error {
//		celsius, err := t.bus.Read()
//		if err != nil {
//			s.Degraded("bus does not answer")
//			return nil
//		}
//		t.reading.Set(Reading{Temperature: celsius})
//		return nil
//	}
//
// What can be set of a component are its Params, what hardware it touches its Handles; a machine's file names components by
// their Type. One that can be made anew after a failure is a Renewer.
//
// Between tasks there are no locks and no shared fields: a task's inputs are latched before its step and its outputs
// leave after it. A step allocates nothing, never waits and never blocks.
package fulmar
