package seglog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/internal/extent"
)

// written makes a log of about size bytes in segments of segmentSize, closed, and returns its records and the metadata.
func written(t testing.TB, size, segmentSize int64) (*simdisk.Disk, [][]byte) {
	t.Helper()
	disk, rng := simdisk.New(), rand.New(rand.NewPCG(7, 7))
	l, err := Open(disk, "log", Options{SegmentSize: segmentSize, Rand: rng, Checkpoint: func() []byte { return []byte("state") }})
	if err != nil {
		t.Fatal(err)
	}
	var recs [][]byte
	for l.Bytes() < size-600 {
		p := make([]byte, rng.IntN(1000))
		for i := range p {
			p[i] = byte(rng.Uint32())
		}
		recs = append(recs, p)
		if _, err := l.Append(p); err != nil {
			t.Fatal(err)
		}
		if rng.IntN(4) == 0 {
			if err := l.Sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := l.SaveMeta([]byte("meta")); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return disk, recs
}

var readers = sync.Pool{New: func() any { return new(Reader) }}

// salvage opens a log and returns how many records are lost. Those that are there must be what was written.
func salvage(t testing.TB, disk *simdisk.Disk, recs [][]byte) (lost int, l *Log) {
	t.Helper()
	l, err := Open(disk, "log", Options{ReadOnly: true})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	if l.Next() > uint64(len(recs))+1 {
		t.Fatalf("next is %d of %d records", l.Next(), len(recs))
	}
	r, got := readers.Get().(*Reader), 0 // a window for each of half a million logs would be most of the work
	defer readers.Put(r)
	*r = Reader{log: l, index: l.First(), scan: r.scan}
	for {
		index, p, err := r.Next()
		switch {
		case err == io.EOF:
			return len(recs) - got, l
		case errors.Is(err, ErrDamaged):
			continue
		case err != nil:
			t.Fatalf("read: %v", err)
		case !bytes.Equal(p, recs[index-1]):
			t.Fatalf("record %d has other bytes than were written", index)
		}
		got++
	}
}

// TestFlipEveryBit flips each bit of each file of a log of 64 KiB. Whatever it hits, the log opens, no record has other
// bytes, and at most the one record that was hit is lost; in a header, none. That is 520,288 flips, 22 s on one core; with
// -race, and of a log in many segments, it is each 61st.
func TestFlipEveryBit(t *testing.T) {
	for _, segmentSize := range []int64{1 << 20, 8 << 10} {
		disk, recs := written(t, 64<<10, segmentSize)
		if lost, _ := salvage(t, disk, recs); lost != 0 {
			t.Fatalf("%d records lost of an undamaged log", lost)
		}
		stride := int64(1)
		if raceEnabled || testing.Short() || segmentSize < 1<<20 {
			stride = 61
		}
		for part := range int64(2) {
			t.Run(fmt.Sprintf("segments of %d, half %d", segmentSize, part), func(t *testing.T) {
				t.Parallel()
				flips := flipBits(t, disk.Clone(), recs, part*stride, 2*stride)
				t.Logf("%d records", len(recs))
				extent.Covered(t, uint64(flips), "flipped bits of a log")
			})
		}
	}
}

// flipBits flips one bit in stride of each file, from the bit first on, and back again.
func flipBits(t *testing.T, disk *simdisk.Disk, recs [][]byte, first, stride int64) (flips int) {
	entries, err := disk.ReadDir("log")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		segment := strings.HasSuffix(e.Name, segmentSuffix)
		for bit := first; bit < e.Size*8; bit += stride {
			flips++
			flip(t, disk, "log/"+e.Name, bit)
			lost, l := salvage(t, disk, recs)
			if lost > 1 || lost > 0 && (!segment || bit/8 < headerSize+8) {
				t.Fatalf("%s: bit %d flipped: %d records lost", e.Name, bit, lost)
			}
			if string(l.Meta()) != "meta" && segment {
				t.Fatalf("%s: bit %d flipped: metadata is %q", e.Name, bit, l.Meta())
			}
			l.Close()
			flip(t, disk, "log/"+e.Name, bit)
		}
	}
	return flips
}

func flip(t testing.TB, disk *simdisk.Disk, name string, bit int64) {
	t.Helper()
	if err := disk.FlipBit(name, bit); err != nil {
		t.Fatal(err)
	}
}

// TestTruncateEverywhere cuts the last segment at every byte: what lies whole before the cut is there.
func TestTruncateEverywhere(t *testing.T) {
	disk, recs := written(t, 16<<10, 4<<10)
	entries, err := disk.ReadDir("log")
	if err != nil {
		t.Fatal(err)
	}
	var last string
	for _, e := range entries {
		if strings.HasSuffix(e.Name, segmentSuffix) {
			last = "log/" + e.Name
		}
	}
	whole := disk.File(last)
	first, _, _ := parseSegmentName(strings.TrimPrefix(last, "log/"))
	extent.Covered(t, uint64(len(whole)), "cuts of a log")
	for cut := len(whole) - 1; cut >= 0; cut-- {
		if err := disk.SetFile(last, whole[:cut]); err != nil {
			t.Fatal(err)
		}
		want := 0 // records of the last segment that end behind the cut
		off := headerSize + 8
		for i := int(first) - 1; i < len(recs); {
			if string(whole[off:off+4]) == "FSM1" {
				off += itemSize
				continue
			}
			if off+itemSize+len(recs[i]) > cut {
				want++
			}
			off += itemBytes(len(recs[i]))
			i++
		}
		lost, l := salvage(t, disk, recs)
		if lost != want {
			t.Fatalf("cut at %d of %d: %d records lost, want %d", cut, len(whole), lost, want)
		}
		l.Close()
	}
}

// TestPayloadIsNoItem has payloads that hold what looks like the next items of the very segment that they are in, and
// damages the header in front: the search for the next item must not take them for it.
func TestPayloadIsNoItem(t *testing.T) {
	disk, rng := simdisk.New(), rand.New(rand.NewPCG(3, 3))
	l, err := Open(disk, "log", Options{Rand: rng})
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, []byte("one"))
	id := l.segs[0].id
	var fake []byte
	for index := uint64(2); index < 5; index++ {
		for off := int64(0); off < 4096; off += 8 {
			if off == l.segs[0].size.Load()+itemSize+int64(len(fake)) {
				continue // where it will lie is the one place where it would be believed, by whoever knows the identity
			}
			b := make([]byte, itemSize)
			l.codec.put(b, id, off, item{index: index})
			fake = append(fake, b...)
		}
	}
	at := l.segs[0].size.Load()
	mustAppend(t, l, fake)
	mustAppend(t, l, []byte("three"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	flip(t, disk, "log/"+l.segs[0].name, (at+4)*8)
	if lost, _ := salvage(t, disk, [][]byte{[]byte("one"), fake, []byte("three")}); lost != 1 {
		t.Fatalf("%d records lost", lost)
	}
}

func mustAppend(t testing.TB, l *Log, p []byte) uint64 {
	t.Helper()
	index, err := l.Append(p)
	if err != nil {
		t.Fatal(err)
	}
	return index
}

// TestCheckpointAheadOfRecords: a checkpoint that knows of records which are cut does not count, neither at once nor when
// their indexes are taken by others.
func TestCheckpointAheadOfRecords(t *testing.T) {
	disk := simdisk.New()
	appended := 0
	opt := Options{Checkpoint: func() []byte { return []byte{byte(appended)} }}
	l, err := Open(disk, "log", opt)
	if err != nil {
		t.Fatal(err)
	}
	for ; appended < 5; appended++ {
		mustAppend(t, l, make([]byte, 100))
	}
	disk.Inject(simdisk.Fault{Ops: simdisk.OpSync, Times: 1, Err: errors.New("worn out")})
	if l.Sync() == nil {
		t.Fatal("no error from a disk that fails")
	}
	mustSync(t, l) // in a new segment, with a checkpoint of 5
	size := l.segs[0].size.Load()
	at := l.segs[0].size.Load() - itemSize - int64(2*itemBytes(100))
	flip(t, disk, "log/"+l.segs[0].name, 8*(size-1)) // the mark that proves 4 and 5 durable
	flip(t, disk, "log/"+l.segs[0].name, 8*(at+40))  // and record 4
	disk.Kill()
	appended = 3
	for range 2 {
		l, err = Open(disk, "log", opt)
		if err != nil {
			t.Fatal(err)
		}
		if state, from := l.Checkpoint(); state != nil && (int(state[0]) != 3 || from != 4) {
			t.Fatalf("checkpoint of %d records, replay from %d", state[0], from)
		}
		for ; appended < 9; appended++ {
			mustAppend(t, l, make([]byte, 50))
		}
		mustSync(t, l)
		// The checkpoint of the segment that was begun just now is lost.
		flip(t, disk, "log/"+l.segs[len(l.segs)-1].name, 8*headerSize)
		disk.Kill()
	}
}

func mustSync(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
}

// TestNewerVersion: a log of a newer build is not touched, and the error says so.
func TestNewerVersion(t *testing.T) {
	disk, _ := written(t, 8<<10, 4<<10)
	entries, _ := disk.ReadDir("log")
	for _, e := range entries {
		if !strings.HasSuffix(e.Name, segmentSuffix) {
			continue
		}
		b := disk.File("log/" + e.Name)
		first, id, _ := parseSegmentName(e.Name)
		h, ok, err := getHeader(b, &segment{first: first, id: id})
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		putHeader(b, h)
		b[8] = version + 1
		resum(b)
		if err := disk.SetFile("log/"+e.Name, b); err != nil {
			t.Fatal(err)
		}
	}
	_, err := Open(disk, "log", Options{})
	if !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), "format 2") {
		t.Fatalf("open: %v", err)
	}
}

// TestStaleBlocks puts blocks of another log, in the same place and with the same indexes, where a segment ends: what a
// file system may show after a power cut. They must not be taken for records.
func TestStaleBlocks(t *testing.T) {
	fill := func(luck uint64, records int, content byte) (*simdisk.Disk, *Log) {
		disk := simdisk.New()
		l, err := Open(disk, "log", Options{Rand: rand.New(rand.NewPCG(luck, 0))})
		if err != nil {
			t.Fatal(err)
		}
		for range records {
			mustAppend(t, l, bytes.Repeat([]byte{content}, 100))
		}
		return disk, l
	}
	disk, l := fill(1, 3, 'a')
	name := "log/" + l.segs[0].name
	before, m := fill(2, 9, 'b')
	stale := before.File("log/" + m.segs[0].name)
	if err := disk.SetFile(name, append(disk.File(name), stale[l.segs[0].size.Load():]...)); err != nil {
		t.Fatal(err)
	}
	disk.Kill()
	l, err := Open(disk, "log", Options{})
	if err != nil || l.Next() != 4 {
		t.Fatalf("next is %d, %v", l.Next(), err)
	}
	if r := l.Report(); r.CutBytes != 6*int64(itemBytes(100)) {
		t.Fatalf("%+v", r)
	}
}
