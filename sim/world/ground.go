package world

import (
	"time"

	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/ground/ingest"
	"github.com/fulmar-io/fulmar/ground/store"
	"github.com/fulmar-io/fulmar/link"
)

// ground is the receiving side: the intake on a disk of its own.
type ground struct {
	w      *World
	disk   *disk
	clock  clock
	intake *ingest.Intake // nil while it is down
	life   int            // counts starts; what was asked for in an earlier life is void
}

func newGround(w *World) *ground { return &ground{w: w, disk: newDisk(w), clock: clock{w: w}} }

// start starts the ground's process; one that the disk does not let start is started again, as a supervisor would.
func (g *ground) start() {
	in, err := ingest.OpenIntake(g.disk.Disk, "frames", ingest.Options{Keys: g.w.c.Keys.groundKeys()}, store.FramesOptions{SegmentBytes: 256 << 10, MinFree: 1})
	if err != nil {
		if !g.disk.excuses(err) {
			g.w.must(err)
			return
		}
		g.disk.Kill()
		g.w.after(g.w.upTo(restartDelay), g.start)
		return
	}
	g.intake = in
	g.life++
	g.perform()
}

// die ends the ground's process, with the power or without, for a while. The power may be cut while it is down, too.
func (g *ground) die() {
	down := g.intake == nil
	g.intake = nil
	g.life++
	if g.w.rng.IntN(2) == 0 {
		g.disk.Kill()
	} else {
		g.disk.Crash(g.w.rng, simdisk.Mode(g.w.rng.IntN(simdisk.Modes)))
	}
	if down {
		return // it is to be started already
	}
	g.w.after(g.w.upTo(5*time.Second), g.start)
}

// receive takes a message from a machine.
func (g *ground) receive(device string, message []byte) {
	if g.intake == nil {
		return
	}
	// An error means a message that is not one. The network damages none, and what it forges is told otherwise.
	g.w.must(g.intake.Message(g.clock.wall(), device, message))
	g.perform()
}

func (g *ground) perform() {
	for effects := g.intake.Effects(); len(effects) > 0; effects = g.intake.Effects() {
		for _, e := range effects {
			switch e := e.(type) {
			case ingest.Reply:
				g.reply(e)
			case ingest.Sync:
				life := g.life
				g.w.after(g.w.upTo(15*time.Millisecond), func() {
					if g.life == life {
						g.intake.Synced(g.intake.Sync())
						g.perform()
					}
				})
			}
		}
	}
}

func (g *ground) reply(e ingest.Reply) {
	if r, ok := e.Message.(link.Refuse); ok {
		g.w.must(&refusal{r})
	}
	for _, m := range g.w.machines {
		if m.name == e.Device {
			g.w.net.send(m.heard, e.Wire, m.receive)
		}
	}
}

type refusal struct{ link.Refuse }

func (r *refusal) Error() string { return "the ground refused a frame: " + r.Text }
