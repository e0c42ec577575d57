package web

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"math"
)

// A cursor says, per series, up to which time a client has everything. One time for all would not do: the streams of a
// machine arrive at their own pace, so at any moment one series is ahead of another.
//
// As an event's id it is base64url of: the version, the earliest of its times (8 bytes, big endian), and per series a
// 48-bit hash of its name and the time since the earliest as an unsigned varint. So it outlives a change of the
// subscription.
type cursor map[cursorKey]int64

type cursorKey [6]byte

const cursorVersion = 1

var errCursor = errors.New("not an id of this stream")

// eventsKey is the place of the machine's events in a cursor. No series has an empty name.
var eventsKey = keyOf("")

func keyOf(series string) cursorKey {
	h := fnv.New64a()
	h.Write([]byte(series))
	var k cursorKey
	copy(k[:], h.Sum(nil))
	return k
}

// appendID appends the cursor of the series keys, whose times are at the same places.
func appendID(b []byte, keys []cursorKey, at []int64) []byte {
	base := int64(math.MaxInt64)
	for _, t := range at {
		base = min(base, t)
	}
	raw := make([]byte, 0, 9+len(keys)*12)
	raw = append(raw, cursorVersion)
	raw = binary.BigEndian.AppendUint64(raw, uint64(base))
	for i, k := range keys {
		raw = append(raw, k[:]...)
		raw = binary.AppendUvarint(raw, uint64(at[i]-base))
	}
	return base64.RawURLEncoding.AppendEncode(b, raw)
}

// parseID is the inverse of appendID. It takes memory in proportion to len(id) only.
func parseID(id string) (cursor, error) {
	if len(id) > maxCursor {
		return nil, errCursor
	}
	raw, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil || len(raw) < 9 || raw[0] != cursorVersion {
		return nil, errCursor
	}
	base := binary.BigEndian.Uint64(raw[1:])
	c := make(cursor)
	for raw = raw[9:]; len(raw) > 0; {
		var k cursorKey
		if copy(k[:], raw) < len(k) {
			return nil, errCursor
		}
		d, n := binary.Uvarint(raw[len(k):])
		if n <= 0 || base > math.MaxInt64 || d > math.MaxInt64-base || len(c) > MaxSeries {
			return nil, errCursor
		}
		c[k] = int64(base + d)
		raw = raw[len(k)+n:]
	}
	return c, nil
}
