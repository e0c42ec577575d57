package courier_test

import (
	"context"
	"testing"

	"github.com/fulmar-io/fulmar/courier"
	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// want has somebody wait for a record to be durable, who has given up by now.
func (r *rig) want(class packet.Class, seq uint64) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.region.AwaitDurable(ctx, class, seq); err == nil {
		r.t.Fatalf("record %d is durable already", seq)
	}
}

// syncs counts the Syncs among the effects, and answers none.
func (r *rig) syncs() (n int) {
	for _, e := range r.Effects() {
		if _, ok := e.(courier.Sync); ok {
			n++
		}
	}
	return n
}

// A record that nobody waits for stays in its batch; one that somebody waits for is committed at once, with those before it, and what
// comes during a commit right after it, together.
func TestWhatSomebodyWaitsForIsCommittedAtOnce(t *testing.T) {
	r := open(t, simdisk.New(), 1)
	r.Poll(r.now)
	r.perform() // the first ceilings
	r.publish(packet.Normal, 3)
	r.Poll(r.now)
	if n := r.syncs(); n != 0 {
		t.Fatalf("%d commits of what nobody waits for", n)
	}
	r.want(packet.Normal, 1)
	r.Poll(r.now)
	if n := r.syncs(); n != 1 {
		t.Fatalf("%d commits of what somebody waits for", n)
	}
	r.publish(packet.Normal, 2)
	r.want(packet.Normal, 3)
	r.publish(packet.Bulk, 1)
	r.want(packet.Bulk, 0)
	r.Poll(r.now)
	if n := r.syncs(); n != 0 {
		t.Fatalf("%d commits during one", n)
	}
	r.Synced(r.now, r.SyncSpool())
	if got := r.region.Durable(packet.Normal); got != 3 {
		t.Errorf("records below %d are durable, want 3", got)
	}
	if n := r.syncs(); n != 1 {
		t.Fatalf("%d commits of what was wanted during one", n)
	}
	r.Synced(r.now, r.SyncSpool())
	if normal, bulk := r.region.Durable(packet.Normal), r.region.Durable(packet.Bulk); normal != 5 || bulk != 1 {
		t.Errorf("records below %d and %d are durable, want 5 and 1", normal, bulk)
	}
	if n := r.syncs(); n != 0 {
		t.Errorf("%d commits with nothing to commit", n)
	}
}
