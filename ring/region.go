package ring

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"
	"sync/atomic"
	"unsafe"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Limits of a Region.
const (
	MaxProducers = 256
	MinCapacity  = 2 * packet.MaxSize // so that the largest packet always fits an empty ring
	MaxCapacity  = 1 << 30
)

var (
	// ErrFull: there is no room, or no number below the ceiling. The packet was dropped and will be declared lost.
	ErrFull = errors.New("ring: full")
	// ErrFormat: the file is not a region, is damaged, or was made by another version of this build.
	ErrFormat = errors.New("ring: not a readable region")
	// ErrInUse: another process holds the region.
	ErrInUse = errors.New("ring: in use by another process")
)

const (
	magic        = 0x474e4952524d4c46 // "FLMRRING"
	formatNumber = 1
	pageSize     = 4096

	offProducers = 16
	offCapacity  = 24
	offBoot      = 32
	offDevice    = 48 // length byte and up to telemetry.MaxDevice bytes
	offSum       = 504
	offClasses   = 512
	classStride  = 256 // next, ceiling, durable and wanted on a cache line each
)

// Options describe a Region to be made.
type Options struct {
	Device    string
	Boot      telemetry.Boot
	Producers int // 1 to MaxProducers
	// Capacity is the bytes of slots per producer, rounded up to a power of two. Default 1 MiB; at 100 bytes a packet
	// about 8,000 packets.
	Capacity int
}

// A Region is the shared memory of one boot.
type Region struct {
	mem       memory
	b         []byte
	device    string
	boot      telemetry.Boot
	producers int
	capacity  uint64

	wanted, durable bell // of the taking half and of the publishing half
	waiting         waiting
}

// Create makes a region at path, which must not exist, takes all its memory at once and locks it for this process.
// An empty path makes one that dies with the process.
func Create(path string, o Options) (*Region, error) {
	if err := telemetry.ValidateDevice(o.Device); err != nil {
		return nil, fmt.Errorf("ring: create: %w", err)
	}
	if o.Producers < 1 || o.Producers > MaxProducers {
		return nil, fmt.Errorf("ring: create: %d producers, want 1 to %d", o.Producers, MaxProducers)
	}
	if o.Capacity == 0 {
		o.Capacity = 1 << 20
	}
	if o.Capacity > MaxCapacity {
		return nil, fmt.Errorf("ring: create: capacity of %d bytes, want at most %d", o.Capacity, MaxCapacity)
	}
	capacity := uint64(1) << bits.Len64(uint64(max(o.Capacity, MinCapacity))-1)
	mem, err := createMemory(path, pageSize+o.Producers*(pageSize+int(capacity)))
	if err != nil {
		return nil, err
	}
	r := &Region{mem: mem, b: mem.bytes(), device: o.Device, boot: o.Boot, producers: o.Producers, capacity: capacity}
	binary.NativeEndian.PutUint64(r.b[0:], magic)
	binary.NativeEndian.PutUint32(r.b[8:], formatNumber)
	binary.NativeEndian.PutUint32(r.b[offProducers:], uint32(o.Producers))
	binary.NativeEndian.PutUint64(r.b[offCapacity:], capacity)
	copy(r.b[offBoot:], o.Boot[:])
	r.b[offDevice] = byte(len(o.Device))
	copy(r.b[offDevice+1:], o.Device)
	binary.NativeEndian.PutUint32(r.b[offSum:], crc32.Checksum(r.b[:offSum], castagnoli))
	r.hang()
	return r, nil
}

// hang hangs the bells.
func (r *Region) hang() {
	r.wanted, r.durable = r.bell(offWantBell), r.bell(offDurableBell)
	r.waiting.lead, r.waiting.changed = make(chan struct{}, 1), make(chan struct{})
}

// Open opens the region at path that another process made, to take what it left. It fails with ErrInUse while that
// process lives, and with ErrFormat if the file cannot be used.
func Open(path string) (*Region, error) { return open(path, false) }

// Join opens the region at path that another half of the same machine uses and has let Share: one of the halves publishes, the
// other takes.
func Join(path string) (*Region, error) { return open(path, true) }

func open(path string, shared bool) (*Region, error) {
	mem, err := openMemory(path, shared)
	if err != nil {
		return nil, err
	}
	r := &Region{mem: mem, b: mem.bytes()}
	if err := r.readHeader(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), mem.close())
	}
	r.hang()
	return r, nil
}

func (r *Region) readHeader() error {
	if len(r.b) < pageSize || binary.NativeEndian.Uint64(r.b) != magic {
		return fmt.Errorf("%w: no magic", ErrFormat)
	}
	if v := binary.NativeEndian.Uint32(r.b[8:]); v != formatNumber {
		return fmt.Errorf("%w: version %d, this build reads %d", ErrFormat, v, formatNumber)
	}
	if binary.NativeEndian.Uint32(r.b[offSum:]) != crc32.Checksum(r.b[:offSum], castagnoli) {
		return fmt.Errorf("%w: checksum mismatch", ErrFormat)
	}
	r.producers = int(binary.NativeEndian.Uint32(r.b[offProducers:]))
	r.capacity = binary.NativeEndian.Uint64(r.b[offCapacity:])
	n := int(r.b[offDevice])
	sound := r.producers >= 1 && r.producers <= MaxProducers && r.capacity >= MinCapacity && r.capacity <= MaxCapacity &&
		r.capacity&(r.capacity-1) == 0 && n <= telemetry.MaxDevice &&
		len(r.b) == pageSize+r.producers*(pageSize+int(r.capacity))
	if !sound {
		return fmt.Errorf("%w: geometry does not fit the file", ErrFormat)
	}
	r.device = string(r.b[offDevice+1 : offDevice+1+n])
	r.boot = telemetry.Boot(r.b[offBoot : offBoot+16])
	return nil
}

// Share lets the other half of the machine Join the region. To everyone else it stays in use, as long as one of them lives.
func (r *Region) Share() error { return r.mem.share() }

// Path returns the file of the region; empty for one that dies with the process.
func (r *Region) Path() string { return r.mem.name() }

// Device returns whose region it is.
func (r *Region) Device() string { return r.device }

// Boot returns the boot it belongs to.
func (r *Region) Boot() telemetry.Boot { return r.boot }

// Producers returns how many producers it has room for.
func (r *Region) Producers() int { return r.producers }

// Capacity returns the bytes of slots per producer.
func (r *Region) Capacity() int { return int(r.capacity) }

// Survives reports whether the region outlives the process.
func (r *Region) Survives() bool { return r.mem.survives() }

// Next returns the number that the next packet of a class will get. It may be called from either half.
func (r *Region) Next(c packet.Class) uint64 { return r.class(c, 0).Load() }

// Ceiling returns the number below which packets of a class may be numbered.
func (r *Region) Ceiling(c packet.Class) uint64 { return r.class(c, 64).Load() }

// SetCeiling raises the ceiling of a class. Numbers are given out only below it, and it is raised only after it is
// durable, so that after a power cut it is known which numbers can have been used. A new region's ceilings are 0.
func (r *Region) SetCeiling(c packet.Class, ceiling uint64) { r.class(c, 64).Store(ceiling) }

// Durable returns the number below which packets of a class are on disk.
func (r *Region) Durable(c packet.Class) uint64 { return r.class(c, 128).Load() }

// SetDurable is called by the courier after a commit.
func (r *Region) SetDurable(c packet.Class, next uint64) {
	r.class(c, 128).Store(next)
	r.durable.ring()
}

// Dropped returns how many packets of a class were dropped and have no number yet.
func (r *Region) Dropped(c packet.Class) uint64 {
	n := uint64(0)
	for i := range r.producers {
		n += r.ring(i).dropped(c).Load()
	}
	return n
}

// NumberDropped gives numbers to the dropped packets of a class and returns them as a range, for the courier to declare
// lost. Only for a region whose producers have ended. Missing are the numbers that were given out and that nobody holds, which are
// declared lost too: a producer that was stopped right after it had taken numbers for what it dropped has them there, and they are
// removed from missing, so that they are not another's as well. Two producers that were stopped within the few instructions
// in which both want the same numbers may be taken for each other.
func (r *Region) NumberDropped(c packet.Class, missing *ledger.Set) (first, count uint64) {
	for i := range r.producers {
		s := r.ring(i)
		n := s.dropped(c).Swap(0)
		claim := ledger.Range{First: s.claimFirst().Load(), Count: n}
		if n > 0 && s.claimed().Load() == n<<8|uint64(c) && missing.Contains(claim) {
			missing.Remove(claim)
			continue
		}
		count += n
	}
	return r.class(c, 0).Add(count) - count, count
}

// Close unmaps the memory. Nothing of the Region, its producers and its consumer may be used afterwards. The file stays.
func (r *Region) Close() error { return r.mem.close() }

// Remove closes the region and removes its file. Called when all that it held is on disk.
func (r *Region) Remove() error { return r.mem.remove() }

func (r *Region) class(c packet.Class, field int) *atomic.Uint64 {
	return word(r.b, offClasses+c.Index()*classStride+field)
}

// word returns the atomic at off. The memory is at least 8-byte aligned and so is every offset in use.
func word(b []byte, off int) *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Pointer(&b[off : off+8][0]))
}

// slots is one producer's part of the region.
type slots struct {
	control []byte
	data    []byte
}

func (r *Region) ring(i int) slots {
	at := pageSize + i*(pageSize+int(r.capacity))
	return slots{control: r.b[at : at+pageSize], data: r.b[at+pageSize : at+pageSize+int(r.capacity)]}
}

// head is where the producer writes next; tail is what the courier has released. Both only grow.
func (s slots) head() *atomic.Uint64                  { return word(s.control, 0) }
func (s slots) tail() *atomic.Uint64                  { return word(s.control, 64) }
func (s slots) dropped(c packet.Class) *atomic.Uint64 { return word(s.control, 128+64*c.Index()) }

// claimFirst and claimed are the numbers that the producer is about to take for what it dropped: the first, and how many, shifted
// by 8 bits for their class; 0 when it is about no such thing.
func (s slots) claimFirst() *atomic.Uint64 { return word(s.control, 320) }
func (s slots) claimed() *atomic.Uint64    { return word(s.control, 328) }

func (s slots) commit(pos uint64) *atomic.Uint64 { return word(s.data, int(pos)&(len(s.data)-1)) }
func (s slots) content(pos uint64, n int) []byte {
	at := int(pos)&(len(s.data)-1) + slotHeader
	return s.data[at : at+n]
}

func (s slots) sum(pos uint64) []byte {
	at := int(pos)&(len(s.data)-1) + 8
	return s.data[at : at+4]
}

const (
	slotHeader = 16
	kindPacket = 1
	kindLost   = 2 // class byte, 7 bytes of padding, first, count
	kindPad    = 3 // fills what is left before the end of the slots
	lostSize   = 24
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// commitWord never is 0, and differs from what stood at the same place laps before: the tag counts 8-byte steps, and a
// lap would have to be 32 GiB long for it to come round.
func commitWord(pos uint64, kind byte, length int) uint64 {
	return uint64(uint32(pos>>3))<<32 | uint64(kind)<<24 | uint64(length)
}

func slotSize(length int) uint64 { return uint64(slotHeader+length+7) &^ 7 }
