package access

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// How attempts are limited. An address may try a little, and recovers more slowly than an account does: one address alone never
// uses up what an account has.
const (
	addressBurst   = 10
	addressRecover = 10 * time.Second // for one attempt
	accountBurst   = 50
	accountRecover = 5 * time.Second

	// limiterSlots is the size of each table. Keys share a slot by chance, and nobody outside can tell which: an attacker with n
	// addresses disturbs n of 16,384 others, and takes no memory.
	limiterSlots = 1 << 14
	// maxKnown is how many addresses are remembered per account from which it has signed in.
	maxKnown = 8
)

// limiter is a table of token buckets of fixed size.
type limiter struct {
	slots   []bucket
	key     []byte // of the hash that places keys: not to be foreseen
	burst   float64
	recover time.Duration
}

// bucket counts what was spent of a burst, so that the zero value is a full one.
type bucket struct {
	spent float64
	at    time.Time
}

func newLimiter(key []byte, burst int, each time.Duration) *limiter {
	return &limiter{slots: make([]bucket, limiterSlots), key: key, burst: float64(burst), recover: each}
}

func (l *limiter) slot(key string) *bucket {
	h := hmac.New(sha256.New, l.key)
	h.Write([]byte(key))
	return &l.slots[binary.LittleEndian.Uint64(h.Sum(nil))%uint64(len(l.slots))]
}

// wait is how long until b has an attempt; 0 if it has one.
func (l *limiter) wait(b *bucket, now time.Time) time.Duration {
	if !b.at.IsZero() {
		b.spent = max(0, b.spent-float64(max(0, now.Sub(b.at)))/float64(l.recover))
	}
	b.at = now
	if missing := b.spent + 1 - l.burst; missing > 1e-9 {
		return time.Duration(missing * float64(l.recover))
	}
	return 0
}

// attempt takes one attempt of an address, and of an account unless the address is known for it. wait is 0 if it may be made.
// Locked.
func (g *Gate) attempt(name, address string, now time.Time) (wait time.Duration, refund func()) {
	from := g.addresses.slot(address)
	wait = g.addresses.wait(from, now)
	known := g.isKnown(name, address)
	to := g.names.slot(name)
	if !known {
		wait = max(wait, g.names.wait(to, now))
	}
	if wait > 0 {
		return wait, nil
	}
	from.spent++
	if !known {
		to.spent++
	}
	return 0, func() {
		from.spent = max(0, from.spent-1)
		if !known {
			to.spent = max(0, to.spent-1)
		}
	}
}

func (g *Gate) isKnown(name, address string) bool {
	for _, k := range g.known[name] {
		if k == address {
			return true
		}
	}
	return false
}

// remember makes an address known for an account that has signed in from it. Locked.
func (g *Gate) remember(name, address string) {
	list := []string{address}
	for _, k := range g.known[name] {
		if k != address && len(list) < maxKnown {
			list = append(list, k)
		}
	}
	g.known[name] = list
}
