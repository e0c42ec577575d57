package seglog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sort"
	"syscall"

	"github.com/fulmar-io/fulmar/env"
)

// A Reader returns the records of a log one after the other, also those that are appended meanwhile. It needs no Close.
// It is for one goroutine; any number of Readers may run beside the writer.
type Reader struct {
	// Durable makes the Reader end at Log.Durable rather than at Log.Next.
	Durable bool

	log     *Log
	index   uint64 // of the record that Next returns
	seg     *segment
	at      uint64 // the scanner is at this index, or at what damage left before it
	learned int64  // offset of the last point that was told to files
	scan    scanner
}

// Reader returns a Reader that begins at index.
func (l *Log) Reader(index uint64) *Reader { return &Reader{log: l, index: index} }

// Seek sets the index of the record that Next will return.
func (r *Reader) Seek(index uint64) { r.index = index }

// Index returns the index of the record that Next will return.
func (r *Reader) Index() uint64 { return r.index }

// Next returns the next record. The payload is valid until the Reader is used again. Errors: io.EOF at the end, for now;
// a *DamagedError, behind which the Reader goes on when called again; ErrTrimmed if the record is not there any more;
// ErrClosed. After another error the Reader stays where it is.
func (r *Reader) Next() (index uint64, payload []byte, err error) {
	seg, end, f, err := r.log.locate(r.index, r.Durable)
	if err != nil {
		return 0, nil, r.pass(err)
	}
	defer r.log.files.release(seg)
	limit := seg.size.Load()
	switch {
	case r.seg != seg:
		r.seg = seg
		r.scan.reset(seg, f, limit)
		err = r.jump()
	case r.at != r.index:
		r.scan.file, r.scan.limit = f, limit
		err = r.jump()
	default:
		r.scan.file, r.scan.limit = f, limit
	}
	if err != nil {
		r.seg = nil
		return 0, nil, err
	}
	return r.read(end)
}

// pass moves on behind damage.
func (r *Reader) pass(err error) error {
	var d *DamagedError
	if errors.As(err, &d) {
		r.index = d.Last + 1
	}
	return err
}

// jump sets the scanner to the last place known that is not behind the index.
func (r *Reader) jump() error {
	if p, ok := r.log.files.near(r.seg, r.index); ok {
		r.scan.pos, r.learned = p.off, p.off
		return nil
	}
	r.learned = 0
	_, _, _, err := r.scan.start()
	return err
}

// read returns the record at the index, which lies in the segment if it is anywhere; the records of the segment go up to
// before end.
func (r *Reader) read(end uint64) (uint64, []byte, error) {
	bad := r.scan.unreadable
	for hole := r.scan.pos; ; {
		it, off, ok := r.scan.next()
		switch {
		case !ok || it.index >= end && !it.mark:
			r.at = end
			r.seg = nil // whatever comes is looked for from a place that is known
			return 0, nil, r.damaged(r.index, end-1, hole, bad)
		case it.mark:
			if it.index <= r.index {
				hole = r.scan.pos
			}
			continue
		case it.index < r.index:
			hole = r.scan.pos
			r.learn(it.index, off)
			continue
		case it.index > r.index:
			r.scan.pos, r.at = off, it.index
			return 0, nil, r.damaged(r.index, it.index-1, hole, bad)
		}
		r.learn(it.index, off)
		index := r.index
		r.at = index + 1
		payload, ok := r.scan.payload(it, off)
		if !ok {
			return 0, nil, r.damaged(index, index, off, bad)
		}
		r.index = r.at
		return index, payload, nil
	}
}

func (r *Reader) learn(index uint64, off int64) {
	if off < r.learned+pointStride {
		return
	}
	r.learned = off
	r.log.files.mu.Lock()
	defer r.log.files.mu.Unlock()
	r.log.files.learn(r.scan.owner, index, off)
}

func (r *Reader) damaged(first, last uint64, off, bad int64) error {
	d := &DamagedError{First: first, Last: last, Segment: r.scan.owner.name, Offset: off}
	if r.scan.unreadable > bad || r.scan.blanks { // now, or when the window was filled for what came before
		d.Cause = r.scan.cause
		r.seg = nil // look again next time: the disk may recover
	}
	return r.pass(d)
}

// locate returns the segment that has the record, its open file, and the index at which its records end for this
// reader. The file is to be released.
func (l *Log) locate(index uint64, durable bool) (*segment, uint64, env.File, error) {
	var last *segment
	for {
		s, end, err := l.find(index, durable)
		if err != nil {
			return nil, 0, nil, err
		}
		f, err := l.files.acquire(s)
		if err == nil {
			return s, end, f, nil
		}
		if s != last { // it may have been removed meanwhile, or the error may pass
			last = s
			continue
		}
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EIO) {
			err = &DamagedError{First: index, Last: end - 1, Segment: s.name, Cause: err}
		}
		return nil, 0, nil, err
	}
}

func (l *Log) find(index uint64, durable bool) (s *segment, end uint64, err error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	end = l.next
	if durable {
		end = min(end, l.durable+1)
	}
	switch {
	case l.closed:
		return nil, 0, failed("read", l.dir, ErrClosed)
	case index < l.cursor:
		return nil, 0, fmt.Errorf("seglog: read record %d: %w: the first is %d", index, ErrTrimmed, l.cursor)
	case index >= end:
		return nil, 0, io.EOF
	}
	i := sort.Search(len(l.segs), func(i int) bool { return l.segs[i].first > index })
	if i == 0 {
		if len(l.segs) > 0 {
			end = min(end, l.segs[0].first)
		}
		return nil, 0, &DamagedError{First: index, Last: end - 1}
	}
	s = l.segs[i-1]
	return s, min(end, s.end), nil
}

// maxReaders bounds the readers that are kept for ReadAt, each with a window. They are not in a sync.Pool, from which the
// garbage collector takes them when it runs: what a call reads from the disk would depend on that, and a failure in a world
// of the simulator could not be shown again.
const maxReaders = 4

// ReadAt returns the payload of one record, in buf if it is large enough. Errors are those of Reader.Next; io.EOF if the
// index is not below Next.
func (l *Log) ReadAt(index uint64, buf []byte) ([]byte, error) {
	var r *Reader
	select {
	case r = <-l.readers:
	default:
		r = l.Reader(index)
	}
	defer func() {
		select {
		case l.readers <- r:
		default:
		}
	}()
	r.Seek(index)
	_, payload, err := r.Next()
	if err != nil {
		return nil, err
	}
	return append(buf[:0], payload...), nil
}

// maxListed bounds how much damage is listed one by one.
const maxListed = 1000

// A Verification is what Verify found.
type Verification struct {
	Records uint64 // that are whole
	Bytes   int64  // of their payloads
	Lost    uint64 // records that are damaged
	Damaged []*DamagedError
	More    bool     // there is more damage than is listed
	Headers []string // segments whose header or checkpoint is damaged, which costs no record
}

// Verify reads everything from First to what is Next when it begins, and lists what is damaged. The error is for what
// kept it from reading, not for damage.
func (l *Log) Verify() (Verification, error) {
	var v Verification
	st := l.Stats()
	r := l.Reader(st.First)
	for r.Index() < st.Next {
		_, payload, err := r.Next()
		var d *DamagedError
		switch {
		case err == nil:
			v.Records++
			v.Bytes += int64(len(payload))
		case errors.As(err, &d):
			v.Lost += d.Last - d.First + 1
			if len(v.Damaged) < maxListed {
				v.Damaged = append(v.Damaged, d)
			} else {
				v.More = true
			}
		case errors.Is(err, ErrTrimmed):
			r.Seek(l.First())
		default:
			return v, err
		}
	}
	return v, l.verifyHeaders(&v)
}

func (l *Log) verifyHeaders(v *Verification) error {
	l.mu.RLock()
	segs := append([]*segment(nil), l.segs...)
	l.mu.RUnlock()
	for _, s := range segs {
		_, checkpoint, _, err := l.readHeader(s)
		if err != nil {
			return err
		}
		if checkpoint == nil && len(v.Headers) < maxListed {
			v.Headers = append(v.Headers, s.name)
		}
	}
	return nil
}
