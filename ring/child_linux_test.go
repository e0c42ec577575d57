package ring_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fulmar-io/fulmar/ring"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// The test's binary is also the process that the tests kill: it publishes into a region in a folder of shared memory and
// keeps a journal beside it, which says what had returned when it ended.
const childEnv = "FULMAR_RING_CHILD"

func init() {
	if os.Getenv(childEnv) == "step" {
		runtime.LockOSThread() // the thread that is traced
	}
}

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(childEnv) {
	case "":
		os.Exit(m.Run())
	case "publish":
		err = publishForever(os.Args[1], os.Args[2])
	case "step":
		err = stepThrough(os.Args[1], os.Args[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// child prepares a process of the kind.
func child(kind, dir, arg string) *exec.Cmd {
	c := exec.Command(os.Args[0], dir, arg)
	c.Env = append(os.Environ(), childEnv+"="+kind, "GODEBUG=asyncpreemptoff=1", "GOGC=off", "GORACE=atexit_sleep_ms=0")
	c.Stderr = os.Stderr
	return c
}

// sharedDir returns a folder in shared memory, where there is any, that goes with the test.
func sharedDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "fulmar-ring-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

const (
	killed        = 4 // producers of a process that is killed
	journalLength = 1 << 16
)

// A journal is memory that is shared with the process that is killed: a word per packet that was tried, written after
// Publish had returned.
type journal struct{ words []uint64 }

// The words of a journal that are no packets.
const (
	wordProgress = iota // Publish calls that have returned, of all producers
	wordStep            // 1 from before the call that is stepped through, 2 after it has returned
	wordLosses          // losses taken by the consumer: three words each, from offLosses on
	offTaken     = 16   // numbers released, per producer and packet
	offPublished = offTaken + killed*journalLength
	offLosses    = offPublished + killed*journalLength
	journalWords = offLosses + 3*journalLength
)

func openJournal(path string) (journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return journal{}, err
	}
	defer f.Close()
	if err := f.Truncate(8 * journalWords); err != nil {
		return journal{}, err
	}
	b, err := unix.Mmap(int(f.Fd()), 0, 8*journalWords, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return journal{}, err
	}
	return journal{unsafe.Slice((*uint64)(unsafe.Pointer(&b[0])), journalWords)}, nil
}

func (j journal) close() error {
	return unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(&j.words[0])), 8*journalWords))
}

func (j journal) store(i int, v uint64) { atomic.StoreUint64(&j.words[i], v) }
func (j journal) load(i int) uint64     { return atomic.LoadUint64(&j.words[i]) }
func (j journal) count(i int) uint64    { return atomic.AddUint64(&j.words[i], 1) }

const wasDropped = ^uint64(0)

func identity(producer, n int) uint64         { return uint64(producer)<<32 | uint64(n) }
func parseID(id uint64) (producer, n int)     { return int(id >> 32), int(uint32(id)) }
func taken1(producer, n int) int              { return offTaken + producer*journalLength + n }
func published1(producer, n int) int          { return offPublished + producer*journalLength + n }
func classOf(id uint64) packet.Class          { return packet.ClassAt(int(id % packet.Classes)) }
func contentOf(id uint64, largest int) []byte { return newPacket(classOf(id), id, sizeOf(id, largest)) }

func sizeOf(id uint64, largest int) int {
	return rand.New(rand.NewPCG(id, 1)).IntN(largest)
}

// largestOf is how many bytes the packets of a run have at most, beyond their headers.
func largestOf(seed uint64) int { return []int{1, 40, 400, 4000}[seed%4] }

// publishForever is the process that is killed: producers, and for most seeds a consumer that takes and releases.
func publishForever(dir, arg string) error {
	seed, err := strconv.ParseUint(arg, 10, 64)
	if err != nil {
		return err
	}
	j, err := openJournal(filepath.Join(dir, "journal"))
	if err != nil {
		return err
	}
	r, err := ring.Create(filepath.Join(dir, "ring"), ring.Options{Device: "rover", Boot: telemetry.Boot{1}, Producers: killed,
		Capacity: ring.MinCapacity})
	if err != nil {
		return err
	}
	for i := range packet.Classes {
		r.SetCeiling(packet.ClassAt(i), 1<<62)
	}
	if seed%3 != 0 {
		go consume(r, j, seed%3 == 2)
	}
	failures := make(chan error)
	for i := range killed {
		p, err := r.Producer(i)
		if err != nil {
			return err
		}
		go func() { failures <- publishAll(p, i, j, largestOf(seed)) }()
	}
	return <-failures // nobody returns before it is killed
}

func publishAll(p *ring.Producer, producer int, j journal, largest int) error {
	for n := range journalLength {
		seq, err := p.Publish(contentOf(identity(producer, n), largest))
		switch {
		case err == nil:
			j.store(published1(producer, n), seq+1)
		case errors.Is(err, ring.ErrFull):
			j.store(published1(producer, n), wasDropped)
		default:
			return err
		}
		j.count(wordProgress)
	}
	return errors.New("nobody killed this process")
}

// consume takes and releases, the slow one only what is left when the ring has been read to its end.
func consume(r *ring.Region, j journal, slow bool) {
	c := r.Consumer()
	for {
		var marks [killed]ring.Mark
		for i := range marks {
			for e, ok := c.Next(i); ok; e, ok = c.Next(i) {
				note(j, e)
				if marks[i] = e.Mark; !slow {
					c.Release(e.Mark)
				}
			}
		}
		for i := range marks {
			c.Release(marks[i])
		}
		runtime.Gosched()
	}
}

// note keeps what was taken before it is released.
func note(j journal, e ring.Entry) {
	if e.Packet != nil {
		producer, n := parseID(idOf(e.Packet))
		j.store(taken1(producer, n), e.Range.First+1)
		return
	}
	at := offLosses + 3*int(j.load(wordLosses))
	j.store(at, uint64(e.Class))
	j.store(at+1, e.Range.First)
	j.store(at+2, e.Range.Count)
	j.count(wordLosses)
}

// recovered is what a region held and what its consumer had taken before, as the courier's recovery sees it.
type recovered struct {
	numbers  [packet.Classes]ledger.Set // held by a packet or declared
	declared [packet.Classes]uint64
	dropped  [packet.Classes]uint64
	packets  map[uint64]uint64 // id → number
	next     [packet.Classes]uint64
}

// recover reads a region as the courier does after its process has ended.
func recoverRegion(path string, j journal, largest int) (*recovered, error) {
	r, err := ring.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	v := &recovered{packets: make(map[uint64]uint64)}
	for p := range killed {
		for n := range journalLength {
			if seq := j.load(taken1(p, n)); seq > 0 {
				id := identity(p, n)
				v.packets[id] = seq - 1
				v.numbers[classOf(id).Index()].Add(ledger.Range{First: seq - 1, Count: 1})
			} else if j.load(published1(p, n)) == 0 {
				break
			}
		}
	}
	for i := range int(j.load(wordLosses)) {
		at := offLosses + 3*i
		v.declare(packet.Class(j.load(at)).Index(), ledger.Range{First: j.load(at + 1), Count: j.load(at + 2)})
	}
	c := r.Consumer()
	for i := range r.Producers() {
		for e, ok := c.Next(i); ok; e, ok = c.Next(i) {
			if err := v.take(e, i, largest); err != nil {
				return nil, err
			}
		}
	}
	if c.Damaged > 0 {
		return nil, fmt.Errorf("%d entries are damaged", c.Damaged)
	}
	for i := range packet.Classes {
		v.next[i] = r.Next(packet.ClassAt(i))
		var missing ledger.Set
		for g := range v.numbers[i].Missing(ledger.Range{Count: v.next[i]}) {
			missing.Add(g)
		}
		_, v.dropped[i] = r.NumberDropped(packet.ClassAt(i), &missing)
	}
	return v, nil
}

func (v *recovered) declare(class int, r ledger.Range) uint64 {
	n := v.numbers[class].Add(r)
	v.declared[class] += n
	return n
}

// take takes an entry out of the region. What had been taken and not released is there again, and the same.
func (v *recovered) take(e ring.Entry, producer, largest int) error {
	class := e.Class.Index()
	if e.Packet == nil {
		// Either all of it was taken before, or none.
		if n := v.declare(class, e.Range); n != 0 && n != e.Range.Count {
			return fmt.Errorf("loss %v of %s overlaps numbers that others hold", e.Range, e.Class)
		}
		return nil
	}
	id := idOf(e.Packet)
	if p, _ := parseID(id); p != producer || classOf(id) != e.Class {
		return fmt.Errorf("packet %x of producer %d lies in the ring of %d as %s", id, p, producer, e.Class)
	}
	want := contentOf(id, largest)
	packet.SetSeq(want, e.Range.First)
	if !bytes.Equal(e.Packet, want) {
		return fmt.Errorf("packet %x has another content", id)
	}
	before, again := v.packets[id]
	if again && before != e.Range.First {
		return fmt.Errorf("packet %x is there as %d and as %d", id, before, e.Range.First)
	}
	if n := v.numbers[class].Add(e.Range); n == 0 && !again {
		return fmt.Errorf("number %d of %s is held twice", e.Range.First, e.Class)
	}
	v.packets[id] = e.Range.First
	return nil
}

// gaps returns the numbers of a class that were given out and that nobody holds.
func (v *recovered) gaps(class int) (runs int, numbers uint64) {
	for g := range v.numbers[class].Missing(ledger.Range{Count: v.next[class]}) {
		runs++
		numbers += g.Count
	}
	return runs, numbers
}
