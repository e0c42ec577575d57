package haltest

import (
	"bytes"
	"strconv"

	"github.com/fulmar-io/fulmar/hal"
)

func (x *reel) handle(k hal.Kind) any {
	switch k {
	case hal.KindInput:
		return &playedInput{x}
	case hal.KindOutput:
		return &playedOutput{x}
	case hal.KindPWM:
		return &playedPWM{x}
	case hal.KindADC:
		return &playedADC{x}
	case hal.KindCounter:
		return &playedCounter{x}
	case hal.KindUART:
		return &playedUART{x}
	case hal.KindCAN:
		return &playedCAN{x}
	}
	return &playedBus{x} // a recording has no other kinds
}

func anything(*transaction) bool   { return true }
func nothing(b []byte) []byte      { return b }
func (x *reel) due(at int64) int64 { return x.p.start + at }

type playedInput struct{ x *reel }

func (h *playedInput) Read() (bool, error) {
	t, err := h.x.take("read", anything, nothing)
	if err != nil {
		return false, err
	}
	return t.level, t.err
}

func (h *playedInput) Edges(buf []hal.Edge) (int, error) {
	t, err := h.x.news("edges")
	if t == nil || err != nil {
		return 0, err
	}
	n := copy(buf, t.edges)
	for i := range buf[:n] {
		buf[i].At = h.x.due(buf[i].At)
	}
	if t.edges = t.edges[n:]; len(t.edges) > 0 {
		return n, nil
	}
	h.x.pop()
	return n, t.err
}

type playedOutput struct{ x *reel }

func (h *playedOutput) Write(high bool) error {
	t, err := h.x.take("write", func(t *transaction) bool { return t.level == high },
		func(b []byte) []byte { return append(append(b, " w "...), levelWord(high)...) })
	if err != nil {
		return err
	}
	return t.err
}

type playedPWM struct{ x *reel }

func (h *playedPWM) Set(period, high int64) error {
	t, err := h.x.take("set", func(t *transaction) bool { return t.n == period && t.high == high },
		func(b []byte) []byte {
			b = strconv.AppendInt(append(b, " w "...), period, 10)
			return strconv.AppendInt(append(b, ' '), high, 10)
		})
	if err != nil {
		return err
	}
	return t.err
}

type playedADC struct{ x *reel }

func (h *playedADC) Volts() (float64, error) {
	t, err := h.x.take("volts", anything, nothing)
	if err != nil {
		return 0, err
	}
	return t.volts, t.err
}

type playedCounter struct{ x *reel }

func (h *playedCounter) Count() (int64, error) {
	t, err := h.x.take("count", anything, nothing)
	if err != nil {
		return 0, err
	}
	return t.n, t.err
}

type playedBus struct{ x *reel }

func (h *playedBus) Tx(w, r []byte) error {
	t, err := h.x.take("tx", func(t *transaction) bool { return bytes.Equal(t.out, w) && t.asked == len(r) },
		func(b []byte) []byte {
			if len(w) > 0 {
				b = appendBytes(append(b, " w"...), w)
			}
			if len(r) > 0 {
				b = strconv.AppendInt(append(b, " r *"...), int64(len(r)), 10)
			}
			return b
		})
	if err != nil {
		return err
	}
	copy(r, t.in)
	return t.err
}

type playedUART struct{ x *reel }

func (h *playedUART) Read(p []byte) (int, error) {
	t, err := h.x.news("read")
	if t == nil || err != nil {
		return 0, err
	}
	n := copy(p, t.in)
	if t.in = t.in[n:]; len(t.in) > 0 {
		return n, nil
	}
	h.x.pop()
	return n, t.err
}

func (h *playedUART) Write(p []byte) (int, error) {
	t, err := h.x.take("write", func(t *transaction) bool { return bytes.Equal(t.out, p) },
		func(b []byte) []byte { return appendBytes(append(b, " w"...), p) })
	if err != nil {
		return 0, err
	}
	return t.taken, t.err
}

type playedCAN struct{ x *reel }

func (h *playedCAN) Send(f hal.Frame) error {
	if !f.Valid() {
		return hal.ErrRange
	}
	if f.Remote {
		f.Data = [8]byte{}
	}
	clear(f.Data[f.Len:]) // that is not sent
	t, err := h.x.take("send", func(t *transaction) bool { return t.frames[0] == f },
		func(b []byte) []byte { return appendFrame(append(b, " w"...), f) })
	if err != nil {
		return err
	}
	return t.err
}

func (h *playedCAN) Receive(buf []hal.Frame) (int, error) {
	t, err := h.x.news("receive")
	if t == nil || err != nil {
		return 0, err
	}
	n := copy(buf, t.frames)
	if t.frames = t.frames[n:]; len(t.frames) > 0 {
		return n, nil
	}
	h.x.pop()
	return n, t.err
}
