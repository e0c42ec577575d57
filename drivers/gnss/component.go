package gnss

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/drivers"
	"github.com/fulmar-io/fulmar/drivers/gnss/ubx"
	"github.com/fulmar-io/fulmar/hal"
)

// ReceiverComponent is a satellite receiver as a component: it publishes each epoch, also those without a fix, and once a second
// how the line is. If the line is gone, or silent for too long, the component fails; it is opened and set up again until the
// receiver is back.
type ReceiverComponent struct {
	Name     string // "gnss"
	Resource hal.Resource
	Defaults ReceiverParams

	params   fulmar.Params[ReceiverParams]
	line     fulmar.Handle[hal.UART]
	receiver *Receiver
	setup    Settings

	// What follows is poll's own.
	settings fulmar.In[ReceiverParams]
	fix      fulmar.Out[Solution]
	status   fulmar.Out[LineStatus]
	begun    bool
	fixed    bool
	solved   time.Duration // when the last solution came, or the first step
	reported time.Duration // when the status was
	told     Progress      // of the configuration
	unasked  int           // solutions by sentences, which were switched off
	unset    bool          // so many that the receiver is set up again, and there was none by NAV-PVT since
}

// ReceiverParams are what can be set.
type ReceiverParams struct {
	Configure bool          `doc:"set a u-blox receiver up: its period, NAV-PVT, and no sentences" rebuild:"true"`
	Period    time.Duration `doc:"from one solution to the next, in whole ms, where it is configured" min:"25ms" max:"65535ms" rebuild:"true"`
	Port      string        `doc:"of the receiver, where it is configured: generation 9 and later ask" choices:"uart1,uart2,usb" rebuild:"true"`
	Quiet     time.Duration `doc:"how long the line is quiet at the end of an epoch" min:"1ms" max:"10s" rebuild:"true"`
	Silence   time.Duration `doc:"how long nothing may arrive until the component is degraded" min:"100ms" max:"10m"`
	GiveUp    time.Duration `doc:"how long nothing may arrive until the line is opened anew" min:"1s" max:"1h"`
}

// portNames are the ports as parameters have them.
var portNames = []string{ubx.UART1: "uart1", ubx.UART2: "uart2", ubx.USB: "usb"}

// Validate implements the machine's question whether the parameters fit together.
func (p *ReceiverParams) Validate() error {
	if p.GiveUp < p.Silence {
		return fmt.Errorf("given up after %s, before it is degraded, after %s", p.GiveUp, p.Silence)
	}
	if p.Configure && p.Silence < 2*p.Period {
		return fmt.Errorf("silent after %s: a receiver that solves every %s is that, between two", p.Silence, p.Period)
	}
	if !slices.Contains(portNames[ubx.UART1:], p.Port) {
		return fmt.Errorf("no port is named %q", p.Port)
	}
	return new(Receiver).Configure(p.setup())
}

func (p ReceiverParams) setup() Settings {
	return Settings{Period: p.Period, PVT: true, NoNMEA: true, Port: ubx.Port(max(0, slices.Index(portNames, p.Port)))}
}

// NewReceiverComponent returns the component with its defaults: at 9600 bits per second on ttyACM0, and as the receiver is set up.
func NewReceiverComponent() *ReceiverComponent {
	return &ReceiverComponent{Name: "gnss", Resource: hal.Resource{Path: "ttyACM0", RateHz: 9600},
		Defaults: ReceiverParams{Period: time.Second, Port: "uart1", Quiet: defaultQuiet, Silence: 3 * time.Second, GiveUp: 15 * time.Second}}
}

// Solution is what the receiver said of one epoch. What is not in Has is 0; without a fix there is neither position nor motion.
type Solution struct {
	Fix           bool
	Mode          Mode          `unit:"1"`
	Quality       Quality       `unit:"1"`
	Satellites    int           `unit:"1"`
	Latitude      float64       `unit:"deg"` // north is positive
	Longitude     float64       `unit:"deg"` // east is positive
	Altitude      float64       `unit:"m"`   // above mean sea level
	Speed         float64       `unit:"m/s"` // over ground
	Course        float64       `unit:"deg"` // clockwise from true north
	Climb         float64       `unit:"m/s"`
	HDOP          float64       `unit:"1"`
	HorizontalAcc float64       `unit:"m"` // one standard deviation, as the receiver estimates it
	VerticalAcc   float64       `unit:"m"`
	SpeedAcc      float64       `unit:"m/s"`
	Time          int64         `unit:"ns"` // since 1970, of the epoch; 0 if the receiver does not know its date
	Age           time.Duration `unit:"ns"` // since the epoch's first message; what the receiver computes not included
	Has           Fields        // bits
}

// LineStatus is how the line is, since the component was made ready.
type LineStatus struct {
	Bytes       uint64  `unit:"By"`
	Fixes       uint64  `unit:"1"` // epochs, those without a fix included
	BadChecksum uint64  `unit:"1"`
	Broken      uint64  `unit:"1"`  // messages that were cut off
	Garbage     uint64  `unit:"By"` // in no message
	Unknown     uint64  `unit:"1"`  // messages that nothing here reads
	Silent      float64 `unit:"s"`
}

// Spec implements fulmar.Component.
func (c *ReceiverComponent) Spec() fulmar.Spec {
	return fulmar.Spec{
		Name: c.Name, Parameters: c.params.As(c.Defaults), Restart: drivers.Restart(),
		Hardware: []fulmar.Hardware{c.line.As("line", c.Resource)},
		Tasks: []fulmar.Task{{
			Name: "poll", Period: 20 * time.Millisecond,
			Reads:  []fulmar.Input{c.settings.Of(&c.params)},
			Writes: []fulmar.Output{c.fix.As("fix"), c.status.As("status", fulmar.Bulk)},
			Step:   c.poll,
		}},
	}
}

// Start implements fulmar.Starter. What is to be configured is, while the component runs.
func (c *ReceiverComponent) Start(context.Context) error {
	p := c.params.Get()
	c.receiver = New(c.line.Get(), Options{Quiet: p.Quiet})
	if !p.Configure {
		return nil
	}
	c.setup = p.setup()
	return c.receiver.Configure(c.setup)
}

// Renew implements fulmar.Renewer.
func (c *ReceiverComponent) Renew() fulmar.Component {
	return &ReceiverComponent{Name: c.Name, Resource: c.Resource, Defaults: c.Defaults}
}

func (c *ReceiverComponent) poll(s *fulmar.Step) error {
	if err := c.receiver.Poll(s.Now); err != nil {
		return err
	}
	if !c.begun {
		c.begun, c.solved, c.reported = true, s.Now, s.Now
	}
	for f, ok := c.receiver.Next(); ok; f, ok = c.receiver.Next() {
		c.take(s, &f)
	}
	p, status := c.settings.Get(), c.receiver.Status(s.Now)
	if s.Now-c.reported >= time.Second {
		n := status.Counts
		c.reported = s.Now
		c.status.Set(LineStatus{Bytes: n.Bytes, Fixes: n.Fixes, BadChecksum: n.BadChecksum, Broken: n.Broken, Garbage: n.Garbage,
			Unknown: n.Unknown, Silent: status.Silent.Seconds()})
	}
	return c.judge(s, p, &status)
}

// take publishes what an epoch came to.
func (c *ReceiverComponent) take(s *fulmar.Step, f *Fix) {
	v := Solution{Fix: f.Mode == Fix2D || f.Mode == Fix3D, Mode: f.Mode, Quality: f.Quality, Satellites: f.Satellites, Latitude: f.LatitudeDeg, Longitude: f.LongitudeDeg,
		Altitude: f.AltitudeM, Speed: f.SpeedMps, Course: f.CourseDeg, Climb: f.ClimbMps, HDOP: f.HDOP, HorizontalAcc: f.HorizontalAccM,
		VerticalAcc: f.VerticalAccM, SpeedAcc: f.SpeedAccMps, Age: s.Now - f.Begun, Has: f.Has}
	if year := f.Time.Year(); f.TimeValid && f.DateValid && year >= 1970 && year < 2262 { // what an int64 of ns has
		v.Time = f.Time.UnixNano()
	}
	c.fix.Set(v)
	c.solved = s.Now
	c.has(s, v.Fix)
	c.keepsSetup(s, f.Protocol)
}

// unaskedFor is how many solutions in a row come by sentences until a receiver counts as one that has lost its setup. A few may be
// on their way when it is set up.
const unaskedFor = 4

// keepsSetup sets the receiver up again where it sends what it was told not to: its power may have failed for a moment, or another
// one was plugged in.
func (c *ReceiverComponent) keepsSetup(s *fulmar.Step, by Protocol) {
	switch {
	case by == UBX:
		c.unasked, c.unset = 0, false
		return
	case c.told != Configured:
		return
	}
	if c.unasked++; c.unasked < unaskedFor {
		return
	}
	c.unasked = 0
	if !c.unset {
		c.unset = true
		s.Event(fulmar.Warning, "the receiver has lost its setup, or it is at another of its ports")
	}
	_ = c.receiver.Configure(c.setup) // it was taken before, and none is under way
}

// has tells when the fix comes and goes.
func (c *ReceiverComponent) has(s *fulmar.Step, fix bool) {
	switch {
	case fix && !c.fixed:
		s.Event(fulmar.Info, "fix acquired")
	case !fix && c.fixed:
		s.Event(fulmar.Warning, "fix lost")
	}
	c.fixed = fix
}

// judge says in the component's health how the receiver is.
func (c *ReceiverComponent) judge(s *fulmar.Step, p ReceiverParams, status *Status) error {
	if status.Configuration != c.told {
		c.told = status.Configuration
		if c.told == ConfigureFailed {
			s.Event(fulmar.Warning, status.Err.Error())
		}
	}
	if s.Now-c.solved > p.Silence {
		c.has(s, false)
	}
	n := status.Counts
	switch {
	case status.Silent > p.GiveUp:
		return fmt.Errorf("%w: the line is silent for %s", drivers.ErrStale, p.GiveUp)
	case status.Silent > p.Silence:
		s.Degraded("the line is silent")
	case n.Bytes > 0 && n.Sentences+n.Frames == 0:
		s.Degraded("nothing that can be read: is the line's rate right?")
	case !c.fixed:
		s.Degraded("no fix")
	case c.told == ConfigureFailed:
		s.Degraded("the receiver does not take its setup")
	case c.unset:
		s.Degraded("the receiver does not keep its setup")
	default:
		s.OK()
	}
	return nil
}

// Register makes the components known to programs that read machines from files.
func Register(t *fulmar.Types) {
	t.Register(fulmar.Type{Name: "gnss/receiver", Doc: "satellite receiver on a serial line: NMEA 0183 and UBX",
		New: func() fulmar.Component { return NewReceiverComponent() }})
}
