package node_test

import (
	"fmt"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/node"
)

// named is a component that only has a name and dependencies.
type named struct {
	name  string
	after []string
}

func (n named) Spec() fulmar.Spec { return fulmar.Spec{Name: n.name, DependsOn: n.after} }

// New checks how the components fit together before anything starts.
func ExampleNew() {
	_, err := node.New(node.Options{Device: "rover", Components: []fulmar.Component{
		named{name: "drive", after: []string{"navigator"}},
		named{name: "navigator", after: []string{"imu", "drive"}},
		named{name: "imu"},
	}})
	fmt.Println(err)
	// Output: node: components do not fit together: a cycle of dependencies: drive → navigator → drive
}
