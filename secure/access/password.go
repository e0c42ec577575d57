package access

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// Limits of a password. What is longer is not looked at: it would be work that anybody can order.
const (
	MinPassword      = 12   // characters
	MaxPasswordBytes = 1024 // bytes in UTF-8
)

// Cost is what computing a password takes. The zero value is DefaultCost.
type Cost struct {
	MemoryKiB uint32 // 8 per thread at least
	Passes    uint32
	Threads   uint8
}

// DefaultCost is the second recommended option of RFC 9106, section 4: 64 MiB, three passes, four lanes.
var DefaultCost = Cost{MemoryKiB: 64 << 10, Passes: 3, Threads: 4}

// What may stand in a file. More than this is a mistake, and would take the ground's memory.
const (
	maxMemoryKiB = 256 << 10
	maxPasses    = 16
	maxThreads   = 16

	saltBytes = 16
	tagBytes  = 32
)

// weakerThan reports whether c is cheaper to guess against than d.
func (c Cost) weakerThan(d Cost) bool { return c.MemoryKiB < d.MemoryKiB || c.Passes < d.Passes }

// CheckPassword says what is wrong with a new password. The error does not have it.
func CheckPassword(password string) error {
	switch {
	case !utf8.ValidString(password):
		return errors.New("access: password: it is not text in UTF-8")
	case utf8.RuneCountInString(password) < MinPassword:
		return fmt.Errorf("access: password: it has fewer than %d characters", MinPassword)
	case len(password) > MaxPasswordBytes:
		return fmt.Errorf("access: password: it has more than %d bytes", MaxPasswordBytes)
	}
	return nil
}

// phc is a password's hash in the form of PHC strings: $argon2id$v=19$m=65536,t=3,p=4$salt$tag, in unpadded base64.
type phc struct {
	cost      Cost
	salt, tag []byte
}

func (p phc) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.cost.MemoryKiB, p.cost.Passes, p.cost.Threads,
		b64.EncodeToString(p.salt), b64.EncodeToString(p.tag))
}

// errHash has nothing of the hash: it may come into a log.
var errHash = errors.New("access: a password's hash is not argon2id as this version writes it")

func parsePHC(s string) (phc, error) {
	parts := strings.Split(s, "$")
	if len(s) > 256 || len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return phc{}, errHash
	}
	var p phc
	fields := strings.Split(parts[3], ",")
	if len(fields) != 3 {
		return phc{}, errHash
	}
	for i, f := range []struct {
		name string
		most uint64
		set  func(uint64)
	}{
		{"m=", maxMemoryKiB, func(v uint64) { p.cost.MemoryKiB = uint32(v) }},
		{"t=", maxPasses, func(v uint64) { p.cost.Passes = uint32(v) }},
		{"p=", maxThreads, func(v uint64) { p.cost.Threads = uint8(v) }},
	} {
		digits, ok := strings.CutPrefix(fields[i], f.name)
		v, err := strconv.ParseUint(digits, 10, 32)
		if !ok || err != nil || v < 1 || v > f.most {
			return phc{}, errHash
		}
		f.set(v)
	}
	var err1, err2 error
	p.salt, err1 = base64.RawStdEncoding.Strict().DecodeString(parts[4])
	p.tag, err2 = base64.RawStdEncoding.Strict().DecodeString(parts[5])
	// Anything but what it writes itself, a sign or a leading zero, is refused: two texts of one hash are none.
	if err1 != nil || err2 != nil || p.cost.MemoryKiB < 8*uint32(p.cost.Threads) || len(p.salt) < 8 || len(p.tag) < 16 || p.String() != s {
		return phc{}, errHash
	}
	return p, nil
}

// hashPassword computes a new hash.
func hashPassword(random io.Reader, c Cost, password string) (phc, error) {
	salt := make([]byte, saltBytes)
	if _, err := io.ReadFull(random, salt); err != nil {
		return phc{}, fmt.Errorf("access: salt: %w", err)
	}
	return phc{cost: c, salt: salt, tag: argon2.IDKey([]byte(password), salt, c.Passes, c.MemoryKiB, c.Threads, tagBytes)}, nil
}

// matches computes the hash of password and compares in constant time.
func (p phc) matches(password string) bool {
	tag := argon2.IDKey([]byte(password), p.salt, p.cost.Passes, p.cost.MemoryKiB, p.cost.Threads, uint32(len(p.tag)))
	return subtle.ConstantTimeCompare(tag, p.tag) == 1
}

// hasher lets a few passwords be computed at once: each takes as much memory as its cost says.
type hasher struct {
	slots    chan struct{}
	wait     time.Duration
	computed atomic.Uint64
}

// do runs f, which computes n hashes, when there is room for it. ErrBusy: there was none in time.
func (h *hasher) do(ctx context.Context, f func()) error {
	ctx, cancel := context.WithTimeout(ctx, h.wait)
	defer cancel()
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		return ErrBusy
	}
	defer func() { <-h.slots }()
	h.computed.Add(1)
	f()
	return nil
}
