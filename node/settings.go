package node

import (
	"cmp"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"github.com/fulmar-io/fulmar/config"
	"github.com/fulmar-io/fulmar/courier"
	"github.com/fulmar-io/fulmar/courier/batch"
	"github.com/fulmar-io/fulmar/courier/delivery"
	"github.com/fulmar-io/fulmar/courier/spool"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/carrier"
	"github.com/fulmar-io/fulmar/sched"
	"github.com/fulmar-io/fulmar/secure/identity"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/filter"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Settings are what a machine's file says: kind: machine. DefaultSettings has the defaults; config.Load reads it.
type Settings struct {
	Kind         string                       `choices:"machine" doc:"what the file is for"`
	Device       string                       `required:"true" doc:"name of the machine, which no other on its ground has: 1 to 64 of a-z, 0-9, '-' and '_'"`
	Data         string                       `doc:"folder of what must outlive the process: the spool, the dead letters"`
	Identity     string                       `doc:"folder of the machine's identity, as fulmar keys makes it; empty for identity below data"`
	Insecure     bool                         `doc:"for the bench: nothing is sealed, links may be without TLS, and no identity is wanted"`
	Links        []LinkSettings               `doc:"ways to the ground, most preferred first: URLs, or mappings with url; none keeps everything in the spool"`
	Components   map[string]ComponentSettings `doc:"what the machine is made of, by name"`
	RealTime     RealTimeSettings             `doc:"how the components' tasks run"`
	Courier      CourierSettings              `doc:"how what was published is brought to the ground"`
	Sandbox      SandboxSettings              `doc:"what the machine's processes may use of their host, on Linux: their own folders, the files of their hardware and the ports of their links"`
	Filters      []filter.Rule                `doc:"what is held back before it is numbered: the rules that match a record apply in order"`
	Ring         config.Size                  `doc:"shared memory per task, for what is published and not yet spooled" min:"128KiB" max:"1GiB"`
	HealthPeriod time.Duration                `doc:"between reports of health, timing and accounts" min:"10ms" max:"1h"`
	Probation    time.Duration                `doc:"how long changed parameters are on trial: if a component that they change fails within it, they are rolled back" min:"10ms" max:"1h"`
	StopTimeout  time.Duration                `doc:"how long each component may take to start or to stop" min:"10ms" max:"10m"`
	Linger       time.Duration                `doc:"how long to wait at the end for the ground to acknowledge everything" min:"0s" max:"24h"`
}

// LinkSettings are a way to the ground and what it is used for.
type LinkSettings struct {
	carrier.Settings
	Never   []packet.Class `doc:"classes that it does not carry: urgent, normal, bulk"`
	PerHour config.Size    `doc:"budget in any hour: the bytes of messages both ways, without what the carrier adds to them; a tenth of it is for urgent records alone, and beyond it the next link is used; 0B is none" min:"0B" max:"1TiB"`
}

// Validate implements config's hook.
func (l *LinkSettings) Validate() error {
	if err := l.Settings.Validate(); err != nil {
		return err
	}
	if u := l.unused(); len(u) == packet.Classes {
		return config.Wrong("never", "a link that carries no class is none")
	}
	return nil
}

// unused are the classes that the link does not carry, each once.
func (l *LinkSettings) unused() map[packet.Class]bool {
	set := make(map[packet.Class]bool)
	for _, c := range l.Never {
		set[c] = true
	}
	return set
}

// use is what the link is used for.
func (l *LinkSettings) use() delivery.Link {
	u := delivery.Link{PerHour: int64(l.PerHour)}
	for c := range l.unused() {
		u.Never[c.Index()] = true
	}
	return u
}

// RealTimeSettings are how the components' tasks run.
type RealTimeSettings struct {
	Mode        string        `choices:"auto,on,off" doc:"in threads under a real-time policy of the kernel's: where it lets them, or never, or not at all without"`
	Wake        string        `choices:"sleep,hybrid" doc:"how a thread waits for a release: hybrid spins for the last of it"`
	Margin      time.Duration `doc:"how long hybrid spins, at most" min:"1us" max:"10ms"`
	Policy      string        `choices:"fifo,deadline" doc:"the kernel's policy; deadline wants a budget of each task, and no core, and misses releases when Go's runtime yields (docs/real-time.md)"`
	Priority    int           `doc:"the kernel's, of the most urgent tasks under fifo" min:"1" max:"98"`
	WakeUp      time.Duration `doc:"longest from a release until the kernel lets an idle thread run, for the analysis of response times" min:"0s" max:"100ms"`
	MemoryLimit config.Size   `doc:"of the control half when it is a process of its own: its garbage is collected only beyond" min:"16MiB" max:"1TiB"`
}

// realTime returns the threads that the settings ask for, nil for ordinary ones.
func (r RealTimeSettings) realTime() *sched.RealTime {
	if r.Mode == "off" {
		return nil
	}
	rt := &sched.RealTime{Margin: r.Margin, Top: r.Priority}
	if r.Wake == "hybrid" {
		rt.Wake = sched.Hybrid
	}
	if r.Policy == "deadline" {
		rt.Policy = sched.Deadline
	}
	return rt
}

// SandboxSettings are what the machine's processes may use of their host beside what the rest of the file makes them need.
type SandboxSettings struct {
	Off   bool     `doc:"keep all rights of the user"`
	Read  []string `doc:"files and folders that components read"`
	Write []string `doc:"files and folders that components read and write"`
}

// CourierSettings are how what was published is brought to the ground.
type CourierSettings struct {
	Batch       BatchSettings       `doc:"when a batch is closed: at the first of these"`
	Spool       SpoolSettings       `doc:"the log on disk of what is not acknowledged yet"`
	Delivery    DeliverySettings    `doc:"sending, and sending again"`
	DeadLetters DeadLettersSettings `doc:"frames that the ground refused for good"`
}

// BatchSettings say when a batch is closed.
type BatchSettings struct {
	MaxAge       time.Duration `doc:"of the oldest record in it, in class normal" min:"1ms" max:"1h"`
	UrgentMaxAge time.Duration `doc:"the same in class urgent; 0s is a tenth of max_age" min:"0s" max:"1h"`
	BulkMaxAge   time.Duration `doc:"the same in class bulk; 0s is five times max_age" min:"0s" max:"24h"`
	MaxRecords   int           `doc:"records in it" min:"1" max:"65536"`
	MaxBytes     config.Size   `doc:"bytes of the records in it, before encoding" min:"1KiB" max:"1MiB"`
}

// Complete fills the ages that follow from MaxAge.
func (b *BatchSettings) Complete() {
	if b.UrgentMaxAge == 0 {
		b.UrgentMaxAge = max(b.MaxAge/10, time.Millisecond)
	}
	if b.BulkMaxAge == 0 {
		b.BulkMaxAge = 5 * b.MaxAge
	}
}

// SpoolSettings bound the spool.
type SpoolSettings struct {
	MaxBytes     config.Size `doc:"quota; beyond it the oldest yield, bulk first, and are declared lost" min:"1MiB" max:"16TiB"`
	SegmentBytes config.Size `doc:"size of a file; what yields at once, at most an eighth of max_bytes" min:"16KiB" max:"1GiB"`
	MinFree      config.Size `doc:"left on the disk for others" min:"1B" max:"1TiB"`
}

// DeliverySettings shape sending.
type DeliverySettings struct {
	InFlightFrames int           `doc:"frames sent and not yet acknowledged" min:"1" max:"65536"`
	InFlightBytes  config.Size   `doc:"bytes sent and not yet acknowledged" min:"256KiB" max:"1GiB"`
	AckTimeout     time.Duration `doc:"least time to wait for an acknowledgement before a frame is sent again; the measured round trip raises it" min:"10ms" max:"10m"`
	BackoffBase    time.Duration `doc:"the nth wait after a failure is drawn from 0 to this times 2ⁿ" min:"1ms" max:"10m"`
	BackoffCap     time.Duration `doc:"and at most this" min:"1ms" max:"24h"`
	ReconnectCap   time.Duration `doc:"and at most this after attempts to connect, which send nothing" min:"1ms" max:"24h"`
	BreakAfter     int           `doc:"failures in a row that open a link's breaker: then it is probed with one frame at a time" min:"1" max:"1000"`
}

// Validate implements config's hook.
func (d *DeliverySettings) Validate() error {
	if d.BackoffCap < d.BackoffBase {
		return config.Wrong("backoff_cap", "%s is less than backoff_base, %s", d.BackoffCap, d.BackoffBase)
	}
	return nil
}

// DeadLettersSettings bound the dead letters.
type DeadLettersSettings struct {
	MaxBytes config.Size `doc:"beyond it the oldest go" min:"1MiB" max:"1TiB"`
}

// DefaultSettings are those of a machine whose file says nothing but its name.
func DefaultSettings() Settings {
	o := Options{}.WithDefaults()
	c := o.Courier.WithDefaults()
	normal := c.Batch[packet.Normal.Index()]
	return Settings{
		Kind: "machine", Data: "fulmar-machine", Ring: config.Size(o.RingBytes), HealthPeriod: o.HealthPeriod, StopTimeout: o.StopTimeout, Probation: o.Probation,
		RealTime: RealTimeSettings{Mode: "auto", Wake: "sleep", Margin: sched.DefaultMargin, Policy: "fifo", Priority: sched.DefaultTop,
			WakeUp: o.WakeUp, MemoryLimit: config.Size(o.MemoryLimit)},
		Courier: CourierSettings{
			Batch: BatchSettings{MaxAge: normal.Age, MaxRecords: normal.Records, MaxBytes: config.Size(normal.Bytes)},
			Spool: SpoolSettings{MaxBytes: config.Size(c.Spool.MaxBytes), SegmentBytes: config.Size(c.Spool.SegmentBytes),
				MinFree: config.Size(c.Spool.MinFree)},
			Delivery: DeliverySettings{InFlightFrames: c.Delivery.InFlightFrames, InFlightBytes: config.Size(c.Delivery.InFlightBytes),
				AckTimeout: c.Delivery.AckTimeout, BackoffBase: c.Delivery.BackoffBase, BackoffCap: c.Delivery.BackoffCap,
				ReconnectCap: c.Delivery.ReconnectCap, BreakAfter: c.Delivery.BreakAfter},
			DeadLetters: DeadLettersSettings{MaxBytes: config.Size(c.DeadBytes)},
		},
	}
}

// Validate implements config's hook.
func (s *Settings) Validate() error {
	if err := telemetry.ValidateDevice(s.Device); err != nil {
		return &config.FieldError{Field: "device", Err: err}
	}
	for i, l := range s.Links {
		if !s.Insecure && !l.Secure() {
			return config.Wrong("links", "link %d, %s, is without TLS: write mqtts://, tls:// or grpcs://, or insecure: true for the bench", i+1, l.URL.Redacted())
		}
		// A batch is at most as large when it is encoded, and a tenth of the budget is not for all.
		if least := 2 * s.Courier.Batch.MaxBytes; l.PerHour > 0 && l.PerHour < least {
			return config.Wrong("links", "link %d, %s: a batch may have courier.batch.max_bytes, %s, and a budget per hour of %s has no room for it: at least %s, or smaller batches",
				i+1, l.URL.Redacted(), s.Courier.Batch.MaxBytes, l.PerHour, least)
		}
	}
	if err := s.everyClassIsCarried(); err != nil {
		return err
	}
	if len(s.Filters) > filter.MaxRules {
		return config.Wrong("filters", "%d rules; at most %d", len(s.Filters), filter.MaxRules)
	}
	return nil
}

// everyClassIsCarried reports a class that all links leave out: it would stay on board for ever.
func (s *Settings) everyClassIsCarried() error {
	for i := range packet.Classes {
		class := packet.ClassAt(i)
		if len(s.Links) > 0 && !slices.ContainsFunc(s.Links, func(l LinkSettings) bool { return !slices.Contains(l.Never, class) }) {
			return config.Wrong("links", "no link carries records of class %s", class)
		}
	}
	return nil
}

// IdentityDir is the folder of the machine's identity.
func (s *Settings) IdentityDir() string {
	return cmp.Or(s.Identity, filepath.Join(s.Data, "identity"))
}

// Options returns the node's options that the settings say; components, disk and what the process itself brings are not
// among them. keys are the machine's, nil where it has no use for them.
func (s *Settings) Options(keys *identity.Keyring) (Options, error) {
	o := Options{Device: s.Device, Keys: keys, RingBytes: int(s.Ring), HealthPeriod: s.HealthPeriod, StopTimeout: s.StopTimeout, Probation: s.Probation, Linger: s.Linger,
		Courier: s.CourierOptions(), RealTime: s.RealTime.realTime(), RealTimeOnly: s.RealTime.Mode == "on", WakeUp: s.RealTime.WakeUp,
		MemoryLimit: int64(s.RealTime.MemoryLimit)}
	var err, linkErr error
	o.Filter, err = s.NewFilter()
	o.Links, linkErr = s.Dialers(keys)
	return o, errors.Join(err, linkErr)
}

// CourierOptions returns the courier's options that the settings say, with what the links are used for.
func (s *Settings) CourierOptions() courier.Options {
	o := s.Courier.Options()
	for _, l := range s.Links {
		o.Delivery.Links = append(o.Delivery.Links, l.use())
	}
	return o
}

// NewFilter returns what makes the filter of a publisher.
func (s *Settings) NewFilter() (func() telemetry.Filter, error) {
	rules, err := filter.New(s.Filters)
	if err != nil {
		return nil, err
	}
	return rules.NewFilter, nil
}

// Dialers returns the links.
func (s *Settings) Dialers(keys *identity.Keyring) ([]link.Dialer, error) {
	var list []link.Dialer
	var errs []error
	for _, l := range s.Links {
		d, err := l.Dialer(s.Device, keys)
		list, errs = append(list, d), append(errs, err)
	}
	return list, errors.Join(errs...)
}

// Options returns the courier's options that the settings say.
func (c CourierSettings) Options() courier.Options {
	c.Batch.Complete()
	limits := func(age time.Duration) batch.Limits {
		return batch.Limits{Records: c.Batch.MaxRecords, Bytes: int(c.Batch.MaxBytes), Age: age}
	}
	o := courier.Options{
		Spool: spool.Options{MaxBytes: int64(c.Spool.MaxBytes), SegmentBytes: int64(c.Spool.SegmentBytes), MinFree: int64(c.Spool.MinFree)},
		Delivery: delivery.Options{InFlightFrames: c.Delivery.InFlightFrames, InFlightBytes: int(c.Delivery.InFlightBytes),
			AckTimeout: c.Delivery.AckTimeout, BackoffBase: c.Delivery.BackoffBase, BackoffCap: c.Delivery.BackoffCap, ReconnectCap: c.Delivery.ReconnectCap,
			BreakAfter: c.Delivery.BreakAfter},
		DeadBytes: int64(c.DeadLetters.MaxBytes),
	}
	o.Batch[packet.Urgent.Index()] = limits(c.Batch.UrgentMaxAge)
	o.Batch[packet.Normal.Index()] = limits(c.Batch.MaxAge)
	o.Batch[packet.Bulk.Index()] = limits(c.Batch.BulkMaxAge)
	return o
}
