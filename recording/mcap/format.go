package mcap

import (
	"errors"
	"fmt"
	"hash/crc32"
	"math"
)

// magic begins and ends a file; '0' is the major version.
const magic = "\x89MCAP0\r\n"

type opcode byte

const (
	opHeader          opcode = 0x01
	opFooter          opcode = 0x02
	opSchema          opcode = 0x03
	opChannel         opcode = 0x04
	opMessage         opcode = 0x05
	opChunk           opcode = 0x06
	opMessageIndex    opcode = 0x07
	opChunkIndex      opcode = 0x08
	opAttachment      opcode = 0x09
	opAttachmentIndex opcode = 0x0A
	opStatistics      opcode = 0x0B
	opMetadata        opcode = 0x0C
	opMetadataIndex   opcode = 0x0D
	opSummaryOffset   opcode = 0x0E
	opDataEnd         opcode = 0x0F
)

const (
	recordHeader  = 1 + 8 // opcode, length of the content
	messageHeader = 2 + 4 + 8 + 8
	footerContent = 8 + 8 + 4
	// chunkHeader is what a Chunk has besides its records, with a compression's name of up to 32 bytes.
	chunkHeader = 8 + 8 + 8 + 4 + 4 + 32 + 8
)

// crc is the CRC-32 of the specification, IEEE's.
func crc(b []byte) uint32 { return crc32.ChecksumIEEE(b) }

// Compression names how the records of a chunk are compressed.
type Compression string

// The compressions that this package knows.
const (
	None Compression = ""
	Zstd Compression = "zstd"
)

// A Header begins a file.
type Header struct {
	Profile string // requirements that the whole file keeps; empty for none
	Library string // what wrote the file
}

// A Schema says what the data of messages looks like.
type Schema struct {
	ID       uint16
	Name     string
	Encoding string // "protobuf", "jsonschema", "ros2msg", …
	Data     []byte
}

// A Channel is a sequence of messages of one kind on one topic.
type Channel struct {
	ID              uint16
	Schema          *Schema // nil for none
	Topic           string
	MessageEncoding string // "protobuf", "json", "cdr", …
	Metadata        map[string]string
}

// A Message is what was recorded. Its Data is valid until the next message is read.
type Message struct {
	Channel     *Channel
	Sequence    uint32
	LogTime     uint64 // ns, since 1970 UTC by convention
	PublishTime uint64 // ns
	Data        []byte
	// Unchecked says that no CRC covered the message when it was delivered, as it is outside of a chunk, or in one without. In
	// a file of this package's Writer such a message is what a damaged record looks like.
	Unchecked bool
}

// Metadata is a set of keys and values about the recording.
type Metadata struct {
	Name   string
	Values map[string]string
}

// Statistics tell what is in a file.
type Statistics struct {
	Messages    uint64
	Schemas     uint16
	Channels    uint32
	Attachments uint32
	Metadata    uint32
	Chunks      uint32
	From, To    uint64 // log times, ns, of the first and last message; 0, 0 without messages
	// ByChannel has the number of messages of each channel id; empty if the writer did not tell.
	ByChannel map[uint16]uint64
}

// Errors that are wrapped by those of this package.
var (
	// ErrNotMCAP: the file does not begin as one.
	ErrNotMCAP = errors.New("not an MCAP file of version 0")
	// ErrCorrupt: a checksum differs, or there is something that no writer writes.
	ErrCorrupt = errors.New("corrupt")
	// ErrCut: the file ends before it is complete.
	ErrCut = errors.New("cut short")
	// ErrLimit: something is larger than the options allow.
	ErrLimit = errors.New("limit exceeded")
	// ErrCompression: a chunk is compressed in a way that this package does not know.
	ErrCompression = errors.New("unknown compression")
	// ErrNoIndex: the file has no summary with an index of its chunks. A Reader can read it.
	ErrNoIndex = errors.New("no index")
)

// A DamageError says that something in a file can't be read.
type DamageError struct {
	Offset int64  // in the file, of the record that can't be read
	Thing  string // what is there
	Cause  error  // wraps ErrCorrupt, ErrCut, ErrLimit or ErrCompression
	// Resumed is where reading goes on, or -1: then nothing comes after this error.
	Resumed int64
}

// Error implements error.
func (e *DamageError) Error() string {
	next := "the rest can't be read"
	if e.Resumed >= 0 {
		next = fmt.Sprintf("resumed at %d", e.Resumed)
	}
	return fmt.Sprintf("mcap: read %s at %d: %v; %s", e.Thing, e.Offset, e.Cause, next)
}

// Unwrap returns the cause.
func (e *DamageError) Unwrap() error { return e.Cause }

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrCorrupt}, args...)...)
}

// ReaderOptions bound what a file can make a reader hold. The zero value of each field means its default.
type ReaderOptions struct {
	// MaxRecord is the largest record, in bytes, other than chunks and those that are passed over. Default 64 MiB.
	MaxRecord int64
	// MaxChunk is the largest chunk, in bytes, as it is in the file and decompressed; a reader holds one of each. Default
	// 64 MiB.
	MaxChunk int64
	// MaxDefinitions is of all schemas and channels together, in bytes. Default 64 MiB.
	MaxDefinitions int64
	// MaxSummary is the largest summary that an Indexed reads, in bytes. Default 256 MiB.
	MaxSummary int64
}

func (o ReaderOptions) withDefaults() ReaderOptions {
	for _, f := range []struct {
		v *int64
		d int64
	}{{&o.MaxRecord, 64 << 20}, {&o.MaxChunk, 64 << 20}, {&o.MaxDefinitions, 64 << 20}, {&o.MaxSummary, 256 << 20}} {
		if *f.v <= 0 {
			*f.v = f.d
		}
		*f.v = min(*f.v, math.MaxInt32) // so that a length within a limit is an int everywhere
	}
	return o
}
