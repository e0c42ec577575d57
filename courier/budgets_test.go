package courier_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/courier"
	"github.com/fulmar-io/fulmar/courier/delivery"
	"github.com/fulmar-io/fulmar/courier/spool"
	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/ring"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// A machine that starts anew knows what it has spent, by the wall clock; one whose clock is not set takes it that no time has passed.
func TestBudgetsAreRemembered(t *testing.T) {
	disk := simdisk.New()
	poll := func(c *courier.Courier, now time.Duration) {
		c.Poll(now)
		for _, e := range c.Effects() {
			if _, ok := e.(courier.Sync); ok {
				c.Synced(now, c.SyncSpool())
			}
		}
		c.Poll(now + 10*time.Second) // what is saved now and then is
	}
	start := func(boot byte, wall time.Duration) *courier.Courier {
		c, err := courier.Open(courier.Options{Device: "rover", Disk: disk, Spool: spool.Options{MinFree: 1}, Wall: func() int64 { return int64(wall) },
			Delivery: delivery.Options{Links: []delivery.Link{{Name: "free"}, {Name: "dear", PerHour: 1 << 20}}}}, rand.New(rand.NewPCG(1, 2)))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Begin(telemetry.Boot{boot}); err != nil {
			t.Fatal(err)
		}
		region, err := ring.Create("", ring.Options{Device: "rover", Boot: telemetry.Boot{boot}, Producers: 2})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Attach(region, 0); err != nil {
			t.Fatal(err)
		}
		poll(c, time.Second)
		return c
	}
	spent := func(c *courier.Courier) int64 {
		if free := c.Status().Links[0].Spent; free != 0 {
			t.Errorf("%d spent of a link without a budget", free)
		}
		return c.Status().Links[1].Spent
	}
	c := start(1, time.Hour)
	word := link.Append(nil, link.Pause{Class: packet.Bulk, For: time.Second})
	for range 10 {
		if err := c.Received(2*time.Second, 1, word); err != nil {
			t.Fatal(err)
		}
	}
	want := int64(10 * len(word))
	if n := spent(c); n != want {
		t.Fatalf("%d spent, want %d", n, want)
	}
	poll(c, time.Minute)
	disk.Kill()

	if n := spent(start(2, time.Hour+30*time.Minute)); n != want {
		t.Errorf("%d spent half an hour later", n)
	}
	later := disk.Clone()
	if n := spent(start(3, 0)); n != want {
		t.Errorf("%d spent after a start in 1970", n)
	}
	disk = later
	if n := spent(start(4, 4*time.Hour)); n != 0 {
		t.Errorf("%d spent hours later", n)
	}
}
