package ulog

import (
	"math"

	"github.com/fulmar-io/fulmar/recording/ulog/ulogtest"
)

// logWriter writes logs for tests.
type logWriter struct{ b []byte }

func newLog(startUS uint64) *logWriter {
	return &logWriter{b: ulogtest.AppendHeader(nil, startUS)}
}

func (w *logWriter) message(typ byte, body ...any) *logWriter {
	w.b = ulogtest.AppendMessage(w.b, typ, body...)
	return w
}

func (w *logWriter) flagBits(incompatible byte, appended ...uint64) *logWriter {
	offsets := make([]uint64, 3)
	copy(offsets, appended)
	return w.message('B', make([]byte, 8), []byte{incompatible, 0, 0, 0, 0, 0, 0, 0}, offsets)
}

func (w *logWriter) sync() *logWriter { w.b = ulogtest.AppendSync(w.b); return w }

// definitions writes formats with every type, arrays, nesting and padding, and subscribes to them: imu 0, imu 1, escs.
func (w *logWriter) definitions() *logWriter {
	return w.
		message('F', "imu:uint64_t timestamp;float[3] gyro;int8_t a;uint8_t b;int16_t c;uint16_t d;int32_t e;uint32_t f;int64_t g;uint64_t h;double i;bool ok;char[5] name;char grade;uint8_t[4] _padding0;").
		message('F', "escs:report[2] esc;uint8_t count;uint64_t timestamp;report one;").
		message('F', "report:uint64_t timestamp;float rpm;uint8_t _padding0;").
		message('I', byte(len("char[3] sys_name")), "char[3] sys_name", "PX4").
		message('M', byte(1), byte(len("char[2] x")), "char[2] x", "yz").
		message('P', byte(len("float GAIN")), "float GAIN", float32(0.5)).
		message('Q', byte(1), byte(len("float GAIN")), "float GAIN", float32(0.5)).
		message('A', byte(0), uint16(0), "imu").
		message('A', byte(1), uint16(1), "imu").
		message('A', byte(0), uint16(7), "escs")
}

func (w *logWriter) imu(id uint16, us uint64) *logWriter {
	return w.message('D', id, us, float32(1), float32(2), float32(math.Inf(1)), int8(-3), uint8(250), int16(-1000), uint16(60000),
		int32(-70000), uint32(4e9), int64(math.MinInt64), uint64(math.MaxUint64), 2.5, true, "ab\x00cd", "A")
}

func (w *logWriter) escs(us uint64) *logWriter {
	return w.message('D', uint16(7), uint64(11), float32(100), byte(0), uint64(12), float32(200), byte(0), uint8(2), us, uint64(13), float32(300), byte(0))
}

func (w *logWriter) text(us uint64, text string) *logWriter {
	return w.message('L', byte('4'), us, text)
}
