package fulmar_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/ring"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

type everything struct {
	Speed      float64 `unit:"m/s"`
	Accel      [3]float32
	Ticks      int32
	Count      uint16
	GPSFix     bool
	Mode       string
	MotorTempC float32 `fulmar:"motor_temp" unit:"Cel"`
	Hidden     int     `fulmar:"-"`
	unexported int
}

// bench is a region with a publisher over it, and what a test reads from it.
type bench struct {
	t        testing.TB
	region   *ring.Region
	consumer *ring.Consumer
	monitor  fulmar.Monitor
}

func newBench(t testing.TB) *bench {
	r, err := ring.Create("", ring.Options{Device: "rover", Producers: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	for i := range packet.Classes {
		r.SetCeiling(packet.ClassAt(i), 1<<40)
	}
	return &bench{t: t, region: r, consumer: r.Consumer()}
}

// task makes a task runnable as a node does: its outputs are bound, its inputs connected by the caller.
func (b *bench) task(producer int, component string, task fulmar.Task) *fulmar.TaskRun {
	b.t.Helper()
	for _, out := range task.Writes {
		if _, err := out.Bind(component, nil); err != nil {
			b.t.Fatal(err)
		}
	}
	p, err := fulmar.NewPublisher(b.region, producer, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return fulmar.NewTaskRun(task, p, &b.monitor, fulmar.EventLayout(component))
}

func (b *bench) next(producer int) []byte {
	b.t.Helper()
	e, ok := b.consumer.Next(producer)
	if !ok {
		b.t.Fatal("nothing was published")
	}
	return e.Packet
}

func TestAStructBecomesARecord(t *testing.T) {
	b := newBench(t)
	var out fulmar.Out[everything]
	want := everything{Speed: 1.5, Accel: [3]float32{1, 2, 3}, Ticks: -7, Count: 9, GPSFix: true, Mode: "auto", MotorTempC: 40, Hidden: 1, unexported: 2}
	run := b.task(0, "drive", fulmar.Task{Name: "t", Writes: []fulmar.Output{out.As("state", fulmar.Bulk)},
		Step: func(*fulmar.Step) error { out.Set(want); return nil }})
	if err := run.Run(3*time.Second, time.Millisecond, 42); err != nil {
		t.Fatal(err)
	}
	p := b.next(0)
	h, err := packet.ParseHeader(p)
	if err != nil {
		t.Fatal(err)
	}
	if h.Class != fulmar.Bulk || h.Mono != int64(3*time.Second) || h.Wall != 42 {
		t.Errorf("header %+v", h)
	}
	var r packet.Reader
	r.Reset(p)
	got := fmt.Sprintln(r.Float64(), r.Float32(), r.Float32(), r.Float32(), r.Int64(), r.Uint64(), r.Bool(), string(r.Bytes()), r.Float32())
	if got != "1.5 1 2 3 -7 9 true auto 40\n" || r.Err(true) != nil {
		t.Errorf("values %s, %v", got, r.Err(true))
	}
	if out.Port() != "drive/state" {
		t.Errorf("port %q", out.Port())
	}
}

func TestFieldNamesAndUnits(t *testing.T) {
	var out fulmar.Out[everything]
	l, err := out.As("state").Bind("drive", nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range l.Fields {
		names = append(names, fmt.Sprintf("%s:%s:%d:%s", f.Name, f.Type, f.Elements(), f.Unit))
	}
	want := "speed:float64:1:m/s accel:float32:3: ticks:int64:1: count:uint64:1: gps_fix:bool:1: mode:string:1: motor_temp:float32:1:Cel"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("fields\n%s, want\n%s", got, want)
	}
}

func TestWhatCannotBePublishedIsRefused(t *testing.T) {
	bind := func(o fulmar.Output) error { _, err := o.Bind("c", nil); return err }
	var m fulmar.Out[map[string]int]
	var s fulmar.Out[struct{ P *int }]
	var e fulmar.Out[struct{ hidden int }]
	var a fulmar.Out[struct{ Names [2]string }]
	var twice fulmar.Out[float64]
	if err := bind(twice.As("x")); err != nil {
		t.Fatalf("a single number: %v", err)
	}
	var name fulmar.Out[float64]
	for what, err := range map[string]error{
		"a map": bind(m.As("x")), "a pointer": bind(s.As("x")), "nothing exported": bind(e.As("x")), "a vector of strings": bind(a.As("x")),
		"a port of two tasks": bind(twice.As("x")),
	} {
		if !errors.Is(err, fulmar.ErrSpec) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := bind(name.As("no good")); !errors.Is(err, telemetry.ErrInvalid) {
		t.Errorf("a name with a blank: %v", err)
	}
}

func TestInputsAreLatched(t *testing.T) {
	b := newBench(t)
	var out fulmar.Out[float64]
	writer := b.task(0, "imu", fulmar.Task{Writes: []fulmar.Output{out.As("rate")}, Step: func(s *fulmar.Step) error {
		if s.Run > 0 {
			out.Set(float64(s.Run))
		}
		return nil
	}})
	var in fulmar.In[float64]
	input := in.From("imu/rate")
	if err := input.Connect(&out, nil); err != nil {
		t.Fatal(err)
	}
	var seen []string
	reader := b.task(1, "drive", fulmar.Task{Reads: []fulmar.Input{input}, Step: func(*fulmar.Step) error {
		seen = append(seen, fmt.Sprintf("%v@%d", in.Get(), in.Version()))
		return nil
	}})
	for _, r := range []*fulmar.TaskRun{reader, writer, reader, writer, reader, reader, writer, writer, reader} {
		if err := r.Run(0, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := strings.Join(seen, " "), "0@0 0@0 1@1 1@1 3@3"; got != want {
		t.Errorf("seen %s, want %s", got, want)
	}
	var other fulmar.In[int]
	if err := other.From("imu/rate").Connect(&out, nil); !errors.Is(err, fulmar.ErrSpec) {
		t.Errorf("an int reads a float64: %v", err)
	}
	if err := input.Connect(&out, nil); !errors.Is(err, fulmar.ErrSpec) {
		t.Errorf("connected twice: %v", err)
	}
}

// Readers see whole values whose parts belong together, and never go back, while the writer goes on.
func TestReadersAndWriterAtTheSameTime(t *testing.T) {
	type pair struct{ A, B uint64 }
	b := newBench(t)
	var out fulmar.Out[pair]
	n := uint64(0)
	writer := b.task(0, "w", fulmar.Task{Writes: []fulmar.Output{out.As("p")}, Step: func(*fulmar.Step) error {
		n++
		out.Set(pair{n, n * n})
		return nil
	}})
	const writes = 20_000
	var readers []*fulmar.TaskRun
	for i := range 3 {
		in := new(fulmar.In[pair])
		input := in.From("w/p")
		if err := input.Connect(&out, nil); err != nil {
			t.Fatal(err)
		}
		last := uint64(0)
		readers = append(readers, b.task(1+i, fmt.Sprint("r", i), fulmar.Task{Reads: []fulmar.Input{input}, Step: func(*fulmar.Step) error {
			v := in.Get()
			if v.B != v.A*v.A || v.A < last || v.A != in.Version() {
				return fmt.Errorf("%+v at version %d after %d", v, in.Version(), last)
			}
			last = v.A
			return nil
		}}))
	}
	var wg sync.WaitGroup
	for _, r := range readers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range writes {
				if err := r.Run(0, 0, 0); err != nil {
					t.Error(err)
					return
				}
				runtime.Gosched()
			}
		}()
	}
	for range writes {
		if err := writer.Run(0, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
}

func TestAStepAllocatesNothing(t *testing.T) {
	b := newBench(t)
	var out fulmar.Out[everything]
	run := b.task(0, "drive", fulmar.Task{Writes: []fulmar.Output{out.As("state")}, Step: func(s *fulmar.Step) error {
		out.Set(everything{Speed: s.Dt.Seconds(), Mode: "auto"})
		s.OK()
		s.Event(fulmar.Info, "a constant text")
		return nil
	}})
	release := func() {
		for e, ok := b.consumer.Next(0); ok; e, ok = b.consumer.Next(0) {
			b.consumer.Release(e.Mark)
		}
	}
	if n := testing.AllocsPerRun(1000, func() {
		if err := run.Run(1, 1, 1); err != nil {
			t.Fatal(err)
		}
		release()
	}); n != 0 {
		t.Errorf("%v allocations per step", n)
	}
}

func TestHealthFollowsTheSteps(t *testing.T) {
	b := newBench(t)
	var do func(*fulmar.Step) error
	run := b.task(0, "gnss", fulmar.Task{Step: func(s *fulmar.Step) error { return do(s) }})
	b.monitor.Set(fulmar.StatusOK, "")
	do = func(s *fulmar.Step) error { s.Degraded("no fix"); s.Event(fulmar.Warning, "fix lost"); return nil }
	if err := run.Run(7, 0, 0); err != nil {
		t.Fatal(err)
	}
	h := b.monitor.Health()
	if h.Status != fulmar.StatusDegraded || h.Reason != "no fix" || h.LastEvent != "fix lost" || h.EventAt != 7 || h.Published != 1 {
		t.Errorf("health %+v", h)
	}
	if p, _ := packet.ParseHeader(b.next(0)); p.Class != fulmar.Urgent || p.Severity != fulmar.Warning {
		t.Errorf("a warning travels as %+v", p)
	}
	do = func(*fulmar.Step) error { panic("index out of range") }
	if err := run.Run(8, 0, 0); err == nil || !strings.Contains(err.Error(), "index out of range") {
		t.Errorf("a panic: %v", err)
	}
	b.monitor.Set(fulmar.StatusFailed, "x")
	do = func(s *fulmar.Step) error { s.OK(); return nil }
	if err := run.Run(9, 0, 0); err != nil || b.monitor.Health().Status != fulmar.StatusFailed {
		t.Errorf("a failed component is %s again by a step", b.monitor.Health().Status)
	}
}

func TestPublishWaitWaitsForRoom(t *testing.T) {
	r, err := ring.Create("", ring.Options{Device: "rover", Producers: 1, Capacity: ring.MinCapacity})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.SetCeiling(fulmar.Normal, 1<<40)
	p, err := fulmar.NewPublisher(r, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	layout := &fulmar.Layout{Name: "a", Kind: telemetry.Reading, Fields: []fulmar.Field{{Name: "x", Type: packet.String}}}
	var w packet.Writer
	w.Reset(nil, packet.Header{Layout: uint64(layout.ID()), Class: fulmar.Normal})
	w.String(strings.Repeat("x", 50_000))
	b, _ := w.Bytes()
	record := telemetry.Record{Layout: layout, Packet: b}
	for p.Publish(record) == nil {
	}
	if published, _, dropped := p.Counts(); published != 2 || dropped != 1 {
		t.Fatalf("%d published, %d dropped", published, dropped)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.PublishWait(ctx, record); !errors.Is(err, context.Canceled) {
		t.Fatalf("with a context that has ended: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- p.PublishDurable(context.Background(), record) }()
	c := r.Consumer()
	for taken := uint64(0); taken < 3; { // the two, then the declared loss is numbered with the third
		e, ok := c.Next(0)
		if !ok {
			runtime.Gosched()
			continue
		}
		c.Release(e.Mark)
		if e.Packet != nil {
			taken++
		}
	}
	select {
	case err := <-done:
		t.Fatalf("PublishDurable returned before the record was durable: %v", err)
	default:
	}
	r.SetDurable(fulmar.Normal, r.Next(fulmar.Normal))
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// evenOnly passes every second record.
type evenOnly struct{ n int }

func (e *evenOnly) Pass(telemetry.Record) bool { e.n++; return e.n%2 == 0 }

func TestWhatAFilterHoldsBackHasNoNumber(t *testing.T) {
	b := newBench(t)
	p, err := fulmar.NewPublisher(b.region, 0, &evenOnly{})
	if err != nil {
		t.Fatal(err)
	}
	var w packet.Writer
	w.Reset(nil, packet.Header{Class: fulmar.Normal})
	pk, _ := w.Bytes()
	for range 10 {
		if err := p.Publish(telemetry.Record{Layout: telemetry.LayoutRecords, Packet: pk}); err != nil {
			t.Fatal(err)
		}
	}
	if published, filtered, _ := p.Counts(); published != 5 || filtered != 5 || b.region.Next(fulmar.Normal) != 5 {
		t.Errorf("%d published, %d filtered, %d numbered", published, filtered, b.region.Next(fulmar.Normal))
	}
}
