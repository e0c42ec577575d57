package haltest

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"sync"

	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/internal/name"
)

// Recorder writes what goes over handles, in the format that this package's documentation has. Its handles may be used from
// several goroutines, each handle from one; calls are written in the order in which they ended. A call that is recorded
// allocates nothing more than the handle's own call does, and may wait for the writer: it is for the bench.
type Recorder struct {
	now   func() int64
	start int64

	mu  sync.Mutex // guards what is below
	w   *bufio.Writer
	err error
}

// NewRecorder returns a recorder that takes the time, in monotonic nanoseconds, from now.
func NewRecorder(w io.Writer, now func() int64) *Recorder {
	rec := &Recorder{now: now, start: now(), w: bufio.NewWriterSize(w, 1<<16)}
	_, rec.err = rec.w.WriteString(header + "\n")
	return rec
}

// Close writes what is still buffered, and returns the first error that there was in writing. After an error nothing is
// recorded; the handles work on.
func (rec *Recorder) Close() error {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.err == nil {
		rec.err = rec.w.Flush()
	}
	if rec.err != nil {
		return fmt.Errorf("haltest: record: %w", rec.err)
	}
	return nil
}

// Comment writes a line that a player skips.
func (rec *Recorder) Comment(text string) {
	line := []byte("# ")
	for i := range len(text) {
		if c := text[i]; c == '\n' || c == '\r' {
			line = append(line, ' ')
		} else {
			line = append(line, c)
		}
	}
	rec.write(append(line, '\n'))
}

func (rec *Recorder) write(line []byte) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.err == nil {
		_, rec.err = rec.w.Write(line)
	}
}

// Host returns a host whose handles are those of h, recorded. Opening and closing is recorded too, with errors.
func (rec *Recorder) Host(h hal.Host) hal.Host { return recordedHost{rec, h} }

type recordedHost struct {
	rec *Recorder
	h   hal.Host
}

// Open implements hal.Host.
func (x recordedHost) Open(r hal.Resource) (any, func() error, error) {
	line := x.rec.begin(nil, name.Of(r), "open")
	handle, closing, err := x.h.Open(r)
	x.rec.write(append(appendError(appendOpen(line, r), err), '\n'))
	if err != nil {
		return nil, nil, err
	}
	recorded, err := x.rec.handle(r, handle)
	if err != nil {
		return nil, nil, joinClose(err, closing)
	}
	return recorded, func() error {
		line := x.rec.begin(nil, name.Of(r), "close")
		err := closing()
		x.rec.write(append(appendError(line, err), '\n'))
		return err
	}, nil
}

func joinClose(err error, closing func() error) error {
	if also := closing(); also != nil {
		return fmt.Errorf("%w; and on closing it: %w", err, also)
	}
	return err
}

// Wrap returns one handle, recorded, as if it had just been opened.
func (rec *Recorder) Wrap(r hal.Resource, handle any) (any, error) {
	recorded, err := rec.handle(r, handle)
	if err == nil {
		rec.write(append(appendOpen(rec.begin(nil, name.Of(r), "open"), r), '\n'))
	}
	return recorded, err
}

func (rec *Recorder) begin(line []byte, resource, call string) []byte {
	line = strconv.AppendInt(line[:0], rec.now()-rec.start, 10)
	line = append(append(line, ' '), resource...)
	return append(append(line, ' '), call...)
}

func (rec *Recorder) handle(r hal.Resource, handle any) (any, error) {
	b := recorded{rec, name.Of(r), make([]byte, 0, 512)}
	switch r.Kind {
	case hal.KindInput:
		if h, ok := handle.(hal.Input); ok {
			return &recordedInput{b, h}, nil
		}
	case hal.KindOutput:
		if h, ok := handle.(hal.Output); ok {
			return &recordedOutput{b, h}, nil
		}
	case hal.KindPWM:
		if h, ok := handle.(hal.PWM); ok {
			return &recordedPWM{b, h}, nil
		}
	case hal.KindADC:
		if h, ok := handle.(hal.ADC); ok {
			return &recordedADC{b, h}, nil
		}
	case hal.KindCounter:
		if h, ok := handle.(hal.Counter); ok {
			return &recordedCounter{b, h}, nil
		}
	case hal.KindI2C, hal.KindSPI:
		if h, ok := handle.(hal.I2C); ok {
			return &recordedBus{b, h}, nil
		}
	case hal.KindUART:
		if h, ok := handle.(hal.UART); ok {
			return &recordedUART{b, h}, nil
		}
	case hal.KindCAN:
		if h, ok := handle.(hal.CAN); ok {
			return &recordedCAN{b, h}, nil
		}
	}
	return nil, fmt.Errorf("haltest: record %s: a %T is no %s", name.Of(r), handle, r.Kind)
}

// recorded is what the handles have in common. The line is one call's, while it is made.
type recorded struct {
	rec  *Recorder
	name string
	line []byte
}

func (b *recorded) begin(call string) { b.line = b.rec.begin(b.line, b.name, call) }

func (b *recorded) end(err error) {
	b.line = append(appendError(b.line, err), '\n')
	b.rec.write(b.line)
}

type recordedInput struct {
	recorded
	h hal.Input
}

func (b *recordedInput) Read() (bool, error) {
	b.begin("read")
	high, err := b.h.Read()
	if err == nil {
		b.line = append(append(b.line, " r "...), levelWord(high)...)
	}
	b.end(err)
	return high, err
}

func (b *recordedInput) Edges(buf []hal.Edge) (int, error) {
	b.begin("edges")
	n, err := b.h.Edges(buf)
	if n == 0 && err == nil {
		return 0, nil
	}
	b.line = append(b.line, " r"...)
	for _, e := range buf[:n] {
		b.line = appendEdge(b.line, e, b.rec.start)
	}
	b.end(err)
	return n, err
}

type recordedOutput struct {
	recorded
	h hal.Output
}

func (b *recordedOutput) Write(high bool) error {
	b.begin("write")
	b.line = append(append(b.line, " w "...), levelWord(high)...)
	err := b.h.Write(high)
	b.end(err)
	return err
}

type recordedPWM struct {
	recorded
	h hal.PWM
}

func (b *recordedPWM) Set(period, high int64) error {
	b.begin("set")
	b.line = strconv.AppendInt(append(b.line, " w "...), period, 10)
	b.line = strconv.AppendInt(append(b.line, ' '), high, 10)
	err := b.h.Set(period, high)
	b.end(err)
	return err
}

type recordedADC struct {
	recorded
	h hal.ADC
}

func (b *recordedADC) Volts() (float64, error) {
	b.begin("volts")
	v, err := b.h.Volts()
	if err == nil {
		b.line = strconv.AppendFloat(append(b.line, " r "...), v, 'g', -1, 64)
	}
	b.end(err)
	return v, err
}

type recordedCounter struct {
	recorded
	h hal.Counter
}

func (b *recordedCounter) Count() (int64, error) {
	b.begin("count")
	n, err := b.h.Count()
	if err == nil {
		b.line = strconv.AppendInt(append(b.line, " r "...), n, 10)
	}
	b.end(err)
	return n, err
}

type recordedBus struct {
	recorded
	h hal.I2C
}

func (b *recordedBus) Tx(w, r []byte) error {
	b.begin("tx")
	if len(w) > 0 {
		b.line = appendBytes(append(b.line, " w"...), w)
	}
	err := b.h.Tx(w, r)
	switch {
	case len(r) > 0 && err != nil:
		b.line = strconv.AppendInt(append(b.line, " r *"...), int64(len(r)), 10)
	case len(r) > 0:
		b.line = appendBytes(append(b.line, " r"...), r)
	}
	b.end(err)
	return err
}

type recordedUART struct {
	recorded
	h hal.UART
}

func (b *recordedUART) Read(p []byte) (int, error) {
	b.begin("read")
	n, err := b.h.Read(p)
	if n == 0 && err == nil {
		return 0, nil
	}
	b.line = appendBytes(append(b.line, " r"...), p[:n])
	b.end(err)
	return n, err
}

func (b *recordedUART) Write(p []byte) (int, error) {
	b.begin("write")
	b.line = appendBytes(append(b.line, " w"...), p)
	n, err := b.h.Write(p)
	if n < len(p) {
		b.line = strconv.AppendInt(append(b.line, " n "...), int64(n), 10)
	}
	b.end(err)
	return n, err
}

type recordedCAN struct {
	recorded
	h hal.CAN
}

func (b *recordedCAN) Send(f hal.Frame) error {
	if !f.Valid() {
		return b.h.Send(f) // no bus sees it, and a recording has no way to write it
	}
	b.begin("send")
	b.line = appendFrame(append(b.line, " w"...), f)
	err := b.h.Send(f)
	b.end(err)
	return err
}

func (b *recordedCAN) Receive(buf []hal.Frame) (int, error) {
	b.begin("receive")
	n, err := b.h.Receive(buf)
	if n == 0 && err == nil {
		return 0, nil
	}
	b.line = append(b.line, " r"...)
	for _, f := range buf[:n] {
		b.line = appendFrame(b.line, f)
	}
	b.end(err)
	return n, err
}
