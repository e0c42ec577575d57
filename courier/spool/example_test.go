package spool_test

import (
	"fmt"
	"log"

	"github.com/fulmar-io/fulmar/courier/spool"
	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// A frame is on disk before it is sent, and until the ground has it.
func Example() {
	s, err := spool.Open(simdisk.New(), "spool", "rover", spool.Options{MinFree: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	boot := telemetry.Boot{1}
	if err := s.Begin(boot, [packet.Classes]uint64{1000, 1000, 1000}); err != nil {
		log.Fatal(err)
	}
	if _, err := s.Append(packet.Normal, frameOf(boot, 0, 50)); err != nil {
		log.Fatal(err)
	}
	frames, _ := s.Load(packet.Normal, 10, 1<<20)
	fmt.Println("before it is durable:", len(frames), "frames to send")
	if err := s.Sync(); err != nil {
		log.Fatal(err)
	}
	frames, _ = s.Load(packet.Normal, 10, 1<<20)
	fmt.Println("after:", len(frames))
	a := s.Account(packet.Normal)
	fmt.Printf("%d numbered, %d delivered, %d waiting\n", a.Numbered, a.Delivered, a.Waiting)
	s.Done(frames[0].Key, false)
	a = s.Account(packet.Normal)
	fmt.Printf("%d numbered, %d delivered, %d waiting\n", a.Numbered, a.Delivered, a.Waiting)
	// Output:
	// before it is durable: 0 frames to send
	// after: 1
	// 50 numbered, 0 delivered, 50 waiting
	// 50 numbered, 50 delivered, 0 waiting
}
