package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/sys/cpu"
)

const keySize = 32

// maxCounter is where a key's counter ends, far below what either AEAD allows.
const maxCounter = 1 << 48

// What the exporter's contexts begin with.
const (
	upContext   = "fulmar up v1"
	downContext = "fulmar down v1"
)

// info is HPKE's: what the context is for.
var info = []byte("fulmar session v1")

// exporter is HPKE's sender or recipient.
type exporter interface {
	Export(context string, length int) ([]byte, error)
}

// secrets are what a session's two ends share.
type secrets struct {
	aead uint16
	up   []byte // the key of what the machine seals
	down []byte // from which the key of each ground's process is made
}

func exportSecrets(e exporter, aead uint16, session ID) (s secrets, err error) {
	s.aead = aead
	if s.up, err = e.Export(upContext+string(session[:]), keySize); err != nil {
		return s, fmt.Errorf("seal: export: %w", err)
	}
	if s.down, err = e.Export(downContext+string(session[:]), keySize); err != nil {
		return s, fmt.Errorf("seal: export: %w", err)
	}
	return s, nil
}

func (s secrets) downKey(process ID) ([]byte, error) {
	k, err := hkdf.Expand(sha256.New, s.down, downContext+string(process[:]), keySize)
	if err != nil {
		return nil, fmt.Errorf("seal: derive: %w", err)
	}
	return k, nil
}

// preferred is the AEAD that this processor is fast with.
func preferred() hpke.AEAD {
	if cpu.X86.HasAES && cpu.X86.HasPCLMULQDQ || cpu.ARM64.HasAES && cpu.ARM64.HasPMULL || cpu.S390X.HasAESGCM {
		return hpke.AES256GCM()
	}
	return hpke.ChaCha20Poly1305()
}

var errSuite = errors.New("seal: the session's algorithms are none that this build has")

func newAEAD(id uint16, key []byte) (cipher.AEAD, error) {
	switch id {
	case hpke.AES256GCM().ID():
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("seal: %w", err)
		}
		return cipher.NewGCM(block)
	case hpke.ChaCha20Poly1305().ID():
		return chacha20poly1305.New(key)
	}
	return nil, errSuite
}

// nonce is four zeros and the counter.
func nonce(counter uint64) (n [12]byte) {
	binary.BigEndian.PutUint64(n[4:], counter)
	return n
}

// sealer seals what one process sends, under a key that nobody else seals with. Its counter begins at 0.
type sealer struct {
	aead cipher.AEAD
	next uint64
}

// seal appends a message to dst: the header, the counter and the sealed content.
func (s *sealer) seal(dst, header, content []byte) ([]byte, error) {
	if s.next >= maxCounter {
		return dst, fmt.Errorf("seal: %w", ErrExhausted)
	}
	start := len(dst)
	dst = append(dst, header...)
	dst = binary.BigEndian.AppendUint64(dst, s.next)
	n := nonce(s.next)
	s.next++
	return s.aead.Seal(dst, n[:], content, dst[start:len(dst):len(dst)]), nil
}

// open appends to dst what is sealed in a message whose header, with the counter at its end, has a length.
func open(aead cipher.AEAD, dst, message []byte, header int) (content []byte, counter uint64, err error) {
	if len(message) < header+tagSize {
		return nil, 0, fmt.Errorf("seal: message of %d bytes: %w", len(message), ErrMalformed)
	}
	counter = binary.BigEndian.Uint64(message[header-8:])
	n := nonce(counter)
	content, err = aead.Open(dst, n[:], message[header:], message[:header])
	if err != nil || counter >= maxCounter {
		return nil, 0, fmt.Errorf("seal: %w", ErrForged)
	}
	return content, counter, nil
}

// windowSize is how many of the last counters are remembered. What is older counts as seen.
const windowSize = 4096

// window knows which counters were seen (as in RFC 6479).
type window struct {
	bits [windowSize / 64]uint64
	next uint64 // one more than the highest that was seen
}

// see marks a counter, and reports whether it is the first time.
func (w *window) see(counter uint64) bool {
	if counter+windowSize < w.next {
		return false
	}
	if counter >= w.next {
		if counter-w.next >= windowSize {
			clear(w.bits[:])
		} else {
			for c := w.next; c < counter; c++ {
				w.bits[c/64%uint64(len(w.bits))] &^= 1 << (c % 64)
			}
			w.bits[counter/64%uint64(len(w.bits))] &^= 1 << (counter % 64)
		}
		w.next = counter + 1
	}
	word, bit := &w.bits[counter/64%uint64(len(w.bits))], uint64(1)<<(counter%64)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}
