package node

import "time"

// notifier tells a service manager how the machine is. It is the node's goroutine's.
type notifier struct {
	n      *Node
	status string
	barked time.Duration
}

func (x *notifier) tell(state string) {
	if x.n.o.Notify != nil {
		x.n.o.Notify(state)
	}
}

// alive is called whenever supervision has done its work, at least each lookPeriod.
func (x *notifier) alive() {
	if x.n.o.Notify == nil {
		return
	}
	now := x.n.now()
	if w := x.n.o.Watchdog; w > 0 && now-x.barked >= w {
		x.barked = now
		x.tell("WATCHDOG=1")
	}
	h := x.n.MachineHealth()
	status := "STATUS=" + h.Status
	if h.Reason != "" {
		status += ": " + h.Reason
	}
	if status != x.status {
		x.status = status
		x.tell(status)
	}
}
