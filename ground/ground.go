package ground

import (
	"context"
	"errors"
	"io"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// ErrNotFound is wrapped by the errors of a Source that was asked for a machine or series it does not have.
var ErrNotFound = errors.New("not found")

// ErrDamaged is wrapped by the errors of a Source whose index is damaged: what is stored is not lost, and the index has to be
// built again before it can be asked.
var ErrDamaged = errors.New("the index is damaged")

// A Machine is one device, as the ground knows it.
type Machine struct {
	Device     string
	FirstSeen  int64 // ground's clock, ns
	LastSeen   int64 // ground's clock, ns, of the last frame that was new
	Boots      int
	Status     Status // worst of its components'
	Components []Component
	Tasks      []Task
	Processes  []Process
	Ledger     Ledger
	Records    uint64
	Readings   uint64
	Bytes      uint64 // of frames stored
}

// Status grades the health of a component or machine, best first.
type Status string

// The statuses of a component.
const (
	StatusUnknown  Status = "unknown"
	StatusStarting Status = "starting"
	StatusOK       Status = "ok"
	StatusDegraded Status = "degraded"
	StatusFailed   Status = "failed"
	StatusStopped  Status = "stopped"
)

// A Component's health as its machine last told it.
type Component struct {
	Name          string
	Status        Status
	Reason        string // why it is not ok; empty if it is
	UptimeSeconds float64
	LastEvent     string
	LastEventTime int64 // ns; 0 if there was none
	LastPacket    int64 // ns, time of its last record; 0 if there was none
	Time          int64 // ns, when the machine said so
}

// A Task's timing as its machine last told it, over the task's lifetime.
type Task struct {
	Component, Name string
	PeriodNS        int64
	Runs, Misses    uint64
	JitterP50NS     int64
	JitterP99NS     int64
	JitterMaxNS     int64
	ExecP99NS       int64
	Time            int64
}

// A Process of a machine, as it last told.
type Process struct {
	Name          string // node, with the components, or courier
	ResidentBytes uint64
	Restricted    string // what it has given up of its host, as "files, system calls"; empty where nobody has cared
	Time          int64
}

// A Ledger accounts for every record of a machine, at the machine and here.
type Ledger struct {
	// Machine is the machine's own account, summed over its streams, when it last told it.
	Machine     ledger.Account
	MachineTime int64
	// Ground is what arrived here: Numbered is the highest number seen plus one, summed over the streams; what is
	// numbered but neither delivered nor declared lost has not arrived yet.
	Ground ledger.Account
	// Duplicates is how many frames came again and were dropped.
	Duplicates uint64
	// Spool of the machine, when it last told.
	SpoolBytes, SpoolQuota uint64
	SpoolInPerSecond       float64 // bytes per second that are being spooled
}

// A Series is one scalar over time.
type Series struct {
	Name     string // telemetry.Layout.SeriesName
	Type     packet.Type
	Unit     string
	Kind     telemetry.Kind
	From, To int64 // ns, first and last record's time
	Rows     uint64
}

// A Sample is one value of a series.
type Sample struct {
	Series string
	Time   int64
	Value  any // float64, float32, int64, uint64, bool or string
}

// RangeQuery asks for series of one machine between two times.
type RangeQuery struct {
	Device   string
	Series   []string
	From, To int64 // ns; From inclusive, To exclusive
	// Buckets is into how many equal parts the time is divided, 1 to 10,000. Where a series has no more samples than
	// that, the samples themselves are returned.
	Buckets int
}

// A Trace is the answer for one series: either samples (Min, Max and Count are nil and Mean holds the values) or one
// entry per bucket that is not empty. Times ascend. Values that are not numbers are NaN: use Latest for strings.
type Trace struct {
	Series         string
	Time           []int64 // ns; of a bucket its start
	Mean, Min, Max []float64
	Count          []uint32
}

// EventQuery asks for events of one machine, newest first.
type EventQuery struct {
	Device   string
	From, To int64           // ns; To 0 means no end
	Least    packet.Severity // and above
	Limit    int             // 1 to 1,000
}

// An Event is something that happened on a machine.
type Event struct {
	Device, Component string
	Time              int64
	Severity          packet.Severity
	Text              string
	Stream            telemetry.Stream
	Seq               uint64
}

// A Source answers questions about what is stored. All methods may be called concurrently; what they return belongs to
// the caller.
type Source interface {
	Machines(ctx context.Context) ([]Machine, error)
	Series(ctx context.Context, device string) ([]Series, error)
	Latest(ctx context.Context, device string, series []string) ([]Sample, error)
	Range(ctx context.Context, q RangeQuery) ([]Trace, error)
	Events(ctx context.Context, q EventQuery) ([]Event, error)
}

// An Exporter writes what is stored as a file.
type Exporter interface {
	// Export writes the records of device between from and to (ns; 0, 0 for all; device "" for all) in format "csv" or
	// "mcap". A nil series means all.
	Export(ctx context.Context, w io.Writer, format, device string, series []string, from, to int64) (Exported, error)
}

// Exported is what a file of an Exporter has, and has not.
type Exported struct {
	Records uint64
	// Unread are records that are stored and could not be read; the file says which. Cause is why, of the first.
	Unread uint64
	Cause  error
}

// A Tail tells what is new as it is committed.
type Tail interface {
	// Watch begins with what is committed after now. The channel is closed when ctx ends or when the watcher fell so
	// far behind that its buffer of size updates overflowed: it must then ask the Source for what it missed.
	Watch(ctx context.Context, size int) <-chan Update
}

// An Update is one committed frame, decoded, or a change of a machine's state. It is shared by all watchers and must not
// be changed.
type Update struct {
	Device string
	// Traces has the samples of every series in the frame, in time order.
	Traces []Trace
	Events []Event
}
