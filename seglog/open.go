package seglog

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/fulmar-io/fulmar/env"
)

// A Report says what Open found.
type Report struct {
	Segments int    // in the log
	Scanned  int    // of which so many, at the end, were read
	Records  uint64 // whole ones in what was read
	// Cut counts whole records that are not in the log because one before them is not; they were never durable. CutBytes
	// is everything behind the end that is not in the log.
	Cut      uint64
	CutBytes int64
	// Unproven counts the records at the end that are not known to be durable. The next Sync makes them.
	Unproven uint64
	// Damaged lists what was damaged in what was read, the first 1000 places; older segments are not looked at.
	Damaged []*DamagedError
	// CheckpointsLost counts segments whose checkpoint was damaged or ahead of the records, so that an older one is used.
	CheckpointsLost int
	// MetaLost says that there was metadata and none of it is whole: Meta is empty and First may have gone back, also to
	// records that were trimmed and removed, which a Reader then reports as damaged. A first SaveMeta that was cut short
	// looks the same, with nothing lost.
	MetaLost bool
	// Unreadable is the last error of the disk's that hid something from Open, nil if it returned whatever was asked for. The
	// log is open and as sound as with the same places damaged, but a later Open may find more: an owner who would do
	// harm with an old checkpoint or cursor tries again rather.
	Unreadable error
}

// Open opens the log in a folder of disk, which is made if it does not exist. Whatever a crash or decay left there, it
// opens: what is damaged is reported, here or when it is read, and only the segments at the end that are not proven
// durable are read. It fails if the folder cannot be made or listed, if the disk can neither read nor sync the end of the
// log, with ErrVersion if a newer build wrote it, and for Options that contradict each other.
func Open(disk env.Disk, dir string, opt Options) (*Log, error) {
	opt, err := opt.withDefaults()
	if err != nil {
		return nil, err
	}
	if !opt.ReadOnly {
		if err := disk.MkdirAll(dir); err != nil {
			return nil, failed("open", dir, err)
		}
	}
	entries, err := disk.ReadDir(dir)
	if err != nil {
		return nil, failed("open", dir, err)
	}
	l := &Log{
		opt: opt, dir: dir, disk: disk,
		files: files{disk: disk, dir: dir}, readers: make(chan *Reader, maxReaders),
		meta: metaStore{disk: disk, dir: dir},
	}
	if err := l.recover(entries); err != nil {
		l.files.closeAll()
		return nil, err
	}
	return l, nil
}

// Report returns what Open found. It is the caller's.
func (l *Log) Report() Report { return l.report }

// Checkpoint returns the newest checkpoint that was whole when the log was opened, and the index of the first record that
// is not in it: the owner's state is the checkpoint and the records from there on. Without one it is nil and First.
func (l *Log) Checkpoint() (state []byte, from uint64) { return l.checkpoint, l.checkpointIndex }

func (l *Log) recover(entries []env.FileInfo) error {
	metas := l.list(entries)
	data, lost, err := l.meta.load(metas)
	if err != nil {
		return err
	}
	l.metaData, l.report.MetaLost, l.report.Unreadable = data, lost, l.meta.unreadable
	l.cursor = max(1, l.meta.cursor)
	l.order()
	surveys, err := l.surveyEnd()
	if err != nil {
		return err
	}
	if err := l.keepUnreadable(surveys); err != nil {
		return err
	}
	l.cut(surveys)
	l.listDamage(surveys)
	if err := l.findCheckpoint(); err != nil {
		return err
	}
	if !l.opt.ReadOnly {
		if err := l.loadPending(); err != nil {
			return err
		}
	}
	l.found = l.next
	l.report.Segments, l.report.Unproven = len(l.segs), l.next-1-l.durable
	return nil
}

// list takes up what is in the folder. Files that are not the log's are left alone.
func (l *Log) list(entries []env.FileInfo) (metas []string) {
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name, tempSuffix); ok {
			if _, id, ok := parseSegmentName(name); ok {
				l.epoch = max(l.epoch, epoch(id))
				if !l.opt.ReadOnly {
					_ = l.disk.Remove(join(l.dir, e.Name)) // tried again at the next start
				}
			}
			continue
		}
		if strings.HasSuffix(e.Name, metaSuffix) {
			metas = append(metas, e.Name)
		}
		first, id, ok := parseSegmentName(e.Name)
		if !ok {
			continue
		}
		s := &segment{first: first, id: id, name: e.Name, end: maxIndex}
		s.size.Store(e.Size)
		l.bytes += e.Size
		l.epoch = max(l.epoch, epoch(id))
		l.segs = append(l.segs, s)
	}
	return metas
}

// order applies the rule that from its first index on, a segment counts and no older one does.
func (l *Log) order() {
	slices.SortFunc(l.segs, func(a, b *segment) int {
		return cmp.Or(cmp.Compare(epoch(a.id), epoch(b.id)), cmp.Compare(a.id, b.id), cmp.Compare(a.first, b.first))
	})
	var kept []*segment
	end := maxIndex
	for _, s := range slices.Backward(l.segs) {
		if s.first >= end {
			l.garbage = append(l.garbage, s)
			continue
		}
		s.end, end = end, s.first
		kept = append(kept, s)
	}
	slices.Reverse(kept)
	l.segs = kept
}

// A survey is what is in a segment.
type survey struct {
	seg    *segment
	runs   []run
	proven uint64 // every record up to this one was durable once
	used   uint64 // there may be records up to this one, which cannot be read
	cursor uint64
	start  int64 // where the first item should be
}

// A run is records that are all whole, and where the last one, or a mark behind it, ends.
type run struct {
	first, last uint64
	end         int64
}

// surveyEnd reads segments from the last one backwards until one shows that everything before was durable.
func (l *Log) surveyEnd() ([]survey, error) {
	var surveys []survey
	proven := uint64(0)
	l.durable = l.cursor - 1
	for _, s := range slices.Backward(l.segs) {
		v, err := l.survey(s)
		if err != nil {
			return nil, err
		}
		surveys = append(surveys, v)
		l.cursor = max(l.cursor, v.cursor)
		proven = max(proven, v.proven)
		l.durable = max(proven, l.cursor-1)
		if l.durable+1 >= s.first {
			break
		}
	}
	if l.cursor-1 > proven && !l.opt.ReadOnly && l.meta.readable() {
		// Records below the cursor pass for durable from now on, so the cursor must be, which may have been read from a
		// save cut short. If that fails, records that were trimmed may later be reported as damaged: no reason to fail.
		_ = l.save(l.cursor, l.metaData)
	}
	slices.Reverse(surveys)
	l.report.Scanned = len(surveys)
	return surveys, nil
}

// survey reads a segment. What cannot be read, as opposed to what reads wrong, may hold durable records, so their indexes
// are taken to be used: as many as there may be.
func (l *Log) survey(s *segment) (survey, error) {
	v := survey{seg: s}
	f, err := l.files.acquire(s)
	if err != nil {
		f, err = l.files.acquire(s) // an error may pass
	}
	if err != nil {
		l.report.Unreadable = failed("open", s.name, err)
		v.used = min(s.first-1+uint64(s.size.Load()/itemSize), s.end-1)
		return v, nil
	}
	defer l.files.release(s)
	scan := scanners.Get().(*scanner)
	defer scanners.Put(scan)
	scan.reset(s, f, s.size.Load())
	h, ok, _, err := scan.start()
	if err != nil {
		return v, err
	}
	if ok {
		v.proven, v.cursor = h.durable, h.cursor
	}
	v.start = scan.pos
	last, bad := s.first-1, int64(0)
	for {
		it, off, ok := scan.next()
		if !ok {
			break
		}
		v.proven = max(v.proven, it.durable)
		if it.mark || it.index >= s.end {
			if n := len(v.runs); n > 0 && it.index == v.runs[n-1].last+1 {
				v.runs[n-1].end = scan.pos
			}
			continue
		}
		if _, ok := scan.payload(it, off); !ok {
			continue
		}
		last, bad = it.index, scan.unreadable
		v.add(it.index, scan.pos)
		l.report.Records++
	}
	if scan.unreadable > 0 {
		l.report.Unreadable = failed("read", s.name, scan.cause)
	}
	if n := scan.unreadable - bad; n > 0 {
		v.used = min(last+uint64(n/itemSize), s.end-1)
	} else if bad > 0 {
		v.used = last
	}
	return v, nil
}

// keepUnreadable passes over the indexes of records that cannot be read, as opposed to read wrong: the disk may recover.
// They can be neither cut nor written again, so they are synced where they are.
func (l *Log) keepUnreadable(surveys []survey) error {
	used := uint64(0)
	for _, v := range surveys {
		used = max(used, v.used)
	}
	if used <= l.durable {
		return nil
	}
	l.durable = used
	if l.opt.ReadOnly {
		return nil
	}
	for _, v := range surveys {
		f, err := l.files.acquire(v.seg)
		if err != nil {
			continue // nor will a reader get anything from it
		}
		err = f.Sync()
		l.files.release(v.seg)
		if err != nil {
			return failed("open: the end can be neither read nor synced: sync", v.seg.name, err)
		}
	}
	return l.syncNames()
}

func (v *survey) add(index uint64, end int64) {
	if n := len(v.runs); n > 0 && v.runs[n-1].last+1 == index {
		v.runs[n-1].last, v.runs[n-1].end = index, end
		return
	}
	v.runs = append(v.runs, run{index, index, end})
}

// cut finds the end of the log: behind the last record that is proven durable, as long as there is one whole record after
// the other.
func (l *Log) cut(surveys []survey) {
	l.next = l.durable + 1
	for _, v := range surveys {
		for _, r := range v.runs {
			if r.first <= l.next {
				l.next = max(l.next, r.last+1)
			}
		}
	}
	for len(l.segs) > 0 && l.segs[len(l.segs)-1].first > l.next {
		l.garbage = append(l.garbage, l.segs[len(l.segs)-1])
		l.segs = l.segs[:len(l.segs)-1]
	}
	if n := len(l.segs); n > 0 {
		l.segs[n-1].end = maxIndex
	}
	for _, v := range surveys {
		end := v.start
		for _, r := range v.runs {
			if r.first < l.next {
				end = r.end
			} else {
				l.report.Cut += r.last - r.first + 1
			}
		}
		if v.seg.end == maxIndex || v.seg.first > l.next {
			l.report.CutBytes += max(0, v.seg.size.Load()-end)
		}
	}
}

// listDamage reports the holes in what was read.
func (l *Log) listDamage(surveys []survey) {
	for _, v := range surveys {
		at, off := max(v.seg.first, l.cursor), int64(headerSize)
		end := min(v.seg.end, l.next)
		hole := func(to uint64) {
			if at < to && len(l.report.Damaged) < maxListed {
				l.report.Damaged = append(l.report.Damaged, &DamagedError{First: at, Last: to - 1, Segment: v.seg.name, Offset: off})
			}
		}
		for _, r := range v.runs {
			hole(min(r.first, end))
			at, off = max(at, r.last+1), r.end
		}
		hole(end)
	}
}

// findCheckpoint finds the newest one that is whole and not ahead of the records.
func (l *Log) findCheckpoint() error {
	l.checkpointIndex = l.cursor
	for _, s := range slices.Backward(l.segs) {
		h, checkpoint, hidden, err := l.readHeader(s)
		if err != nil {
			return err
		}
		if hidden != nil {
			l.report.Unreadable = hidden
		}
		if checkpoint != nil && h.state <= min(s.end, l.next) {
			l.checkpoint, l.checkpointIndex = checkpoint, max(h.state, l.cursor)
			return nil
		}
		l.report.CheckpointsLost++
	}
	return nil
}

// readHeader returns the header and checkpoint of a segment; the checkpoint is nil if either is damaged, or hidden by an
// error of the disk's.
func (l *Log) readHeader(s *segment) (h header, checkpoint []byte, hidden, err error) {
	f, err := l.files.acquire(s)
	if err != nil {
		f, err = l.files.acquire(s) // an error may pass
	}
	if err != nil {
		return header{}, nil, failed("open", s.name, err), nil
	}
	defer l.files.release(s)
	scan := scanners.Get().(*scanner)
	defer scanners.Put(scan)
	scan.reset(s, f, s.size.Load())
	h, _, checkpoint, err = scan.start()
	if checkpoint == nil && scan.unreadable > 0 {
		hidden = failed("read", s.name, scan.cause)
	}
	return h, checkpoint, hidden, err
}

// loadPending takes the records that are not proven durable into memory. They may be on disk or only seem to be, if the
// process before was told of an error; the next segment will begin with them.
func (l *Log) loadPending() error {
	r := l.Reader(l.durable + 1)
	for r.Index() < l.next {
		at := r.Index()
		index, payload, err := r.Next()
		if err != nil {
			// It was whole a moment ago.
			return failed("open: the end of the log", fmt.Sprintf("record %d", at), err)
		}
		l.encode(index, payload)
	}
	l.suspect = len(l.pending) > 0
	return nil
}
