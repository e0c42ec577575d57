package spool_test

import (
	"bytes"
	"testing"

	"github.com/fulmar-io/fulmar/courier/spool"
	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

var imu = &telemetry.Layout{Name: "imu", Kind: telemetry.Reading, Fields: []telemetry.Field{{Name: "x", Type: packet.Float64}}}

// frameOf makes a frame of records of a boot.
func frameOf(boot telemetry.Boot, first uint64, records int) []byte {
	e := frame.NewEncoder()
	e.Reset(telemetry.Stream{Device: "rover", Boot: boot, Class: packet.Normal})
	var w packet.Writer
	for i := range records {
		w.Reset(nil, packet.Header{Layout: uint64(imu.ID()), Seq: first + uint64(i), Mono: int64(i), Class: packet.Normal})
		w.Float64(float64(i))
		p, err := w.Bytes()
		if err == nil {
			err = e.Append(imu, p)
		}
		if err != nil {
			panic(err)
		}
	}
	b, err := e.Finish(nil)
	if err != nil {
		panic(err)
	}
	return b
}

type opened struct {
	*spool.Spool
	t    *testing.T
	disk *simdisk.Disk
}

func open(t *testing.T, disk *simdisk.Disk) *opened {
	t.Helper()
	s, err := spool.Open(disk, "spool", "rover", spool.Options{MinFree: 1})
	if err != nil {
		t.Fatal(err)
	}
	return &opened{s, t, disk}
}

// again closes and opens the spool.
func (s *opened) again() *opened {
	s.t.Helper()
	s.must(s.Save())
	s.must(s.Close())
	return open(s.t, s.disk)
}

func (s *opened) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// end loads what there is and brings it to its end.
func (s *opened) end(refused bool) {
	s.t.Helper()
	s.must(s.Sync())
	frames, _ := s.Load(packet.Normal, 100, 1<<20)
	for _, f := range frames {
		s.Done(f.Key, refused)
	}
	_, err := s.Declare(packet.Normal)
	s.must(err)
	s.must(s.Sync())
}

func (s *opened) want(when string, numbered, delivered, waiting, refused uint64) {
	s.t.Helper()
	a := s.Account(packet.Normal)
	if a.Numbered != numbered || a.Delivered != delivered || a.Waiting != waiting || a.Lost() != refused || a.LostBy[ledger.Refused] != refused {
		s.t.Errorf("%s: %+v; want %d numbered, %d delivered, %d waiting, %d refused", when, a, numbered, delivered, waiting, refused)
	}
}

// Records that were refused are lost; sent again they wait again, and may be delivered, or refused once more. The account
// holds throughout, and across a restart.
func TestTheAccountOfWhatIsSentAgain(t *testing.T) {
	boot := telemetry.Boot{1}
	dead := frameOf(boot, 0, 50)
	s := open(t, simdisk.New())
	s.must(s.Begin(boot, [packet.Classes]uint64{1000, 1000, 1000}))
	_, err := s.Append(packet.Normal, dead)
	s.must(err)
	s.want("appended", 50, 0, 50, 0)
	s.end(true)
	s.want("refused", 50, 0, 0, 50)
	s.must(s.Again(packet.Normal, dead))
	s.want("sent again", 50, 0, 50, 0)
	s = s.again()
	s.want("opened again", 50, 0, 50, 0)
	s.end(true)
	s.want("refused again", 50, 0, 0, 50)
	s.must(s.Again(packet.Normal, dead))
	s = s.again()
	s.end(false)
	s.want("delivered at last", 50, 50, 0, 0)
	s = s.again()
	s.want("opened once more", 50, 50, 0, 0)
	s.must(s.Close())
}

// What is damaged at a boot's end has no later frame of the boot to miss it: the next boot's begin does.
func TestDamageAtABootsEndIsDeclared(t *testing.T) {
	for _, ended := range []bool{true, false} {
		s := open(t, simdisk.New())
		s.must(s.Begin(telemetry.Boot{1}, [packet.Classes]uint64{1000, 1000, 1000}))
		for first := uint64(0); first < 30; first += 10 {
			_, err := s.Append(packet.Normal, frameOf(telemetry.Boot{1}, first, 10))
			s.must(err)
		}
		if ended {
			s.must(s.End())
		}
		s.must(s.Begin(telemetry.Boot{2}, [packet.Classes]uint64{1000, 1000, 1000}))
		_, err := s.Append(packet.Normal, frameOf(telemetry.Boot{2}, 0, 10))
		s.must(err)
		s.must(s.Sync())
		damage(t, s.disk, frameOf(telemetry.Boot{1}, 20, 10))
		s.end(false)
		if a := s.Account(packet.Normal); a.Check() != nil || a.LostBy[ledger.Corrupted] != 10 {
			t.Errorf("ended %t: %+v", ended, a)
		}
		frames, _ := s.Load(packet.Normal, 100, 1<<20)
		if len(frames) != 1 || frames[0].Boot != (telemetry.Boot{1}) || frames[0].Range != (ledger.Range{First: 20, Count: 10}) {
			t.Fatalf("ended %t: declared %+v", ended, frames)
		}
		if h, err := frame.Peek(frames[0].Data); err != nil || h.Mode != frame.Lost || h.Reason != ledger.Corrupted {
			t.Errorf("ended %t: %+v, %v", ended, h, err)
		}
		s.end(false)
		if a := s.Account(packet.Normal); a.Numbered != 40 || a.Delivered != 30 || a.Waiting != 0 {
			t.Errorf("ended %t, and delivered: %+v", ended, a)
		}
		s.must(s.Close())
	}
}

// damage flips a bit where a frame lies in the log of its class.
func damage(t *testing.T, disk *simdisk.Disk, f []byte) {
	t.Helper()
	files, err := disk.ReadDir("spool/normal")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := "spool/normal/" + file.Name
		if at := bytes.Index(disk.File(name), f); at >= 0 {
			if err := disk.FlipBit(name, int64(8*at+100)); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatal("nothing to damage")
}
