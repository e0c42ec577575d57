package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"fmt"
)

// keptContext is what the key is for under which a device keeps what it needs of its sessions.
const keptContext = "fulmar kept session v1"

// MaxKept bounds what Keep returns, in bytes.
const MaxKept = 12 + idSize + 2 + keySize + tagSize

// former is an earlier session of the device, as far as it is needed: to open what grounds say in it.
type former struct {
	id      ID
	aead    uint16
	down    []byte
	grounds []*sender
}

// maxFormer is how many earlier sessions are remembered.
const maxFormer = 16

// keptAEAD is sealed with by this device alone: whoever has the disk and not the identity's key learns nothing.
func (s *Session) keptAEAD() (cipher.AEAD, error) {
	block, err := aes.NewCipher(s.keep)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return cipher.NewGCM(block)
}

// Keep returns what a later session of the same identity is to be told with Recall, so that it can open what grounds say in this one. It
// is sealed with a key of the identity's.
func (s *Session) Keep() ([]byte, error) {
	aead, err := s.keptAEAD()
	if err != nil {
		return nil, err
	}
	b := make([]byte, aead.NonceSize(), MaxKept)
	if _, err := rand.Read(b); err != nil {
		return nil, fmt.Errorf("seal: keep: %w", err)
	}
	content := append([]byte(nil), s.id[:]...)
	content = binary.BigEndian.AppendUint16(content, s.secrets.aead)
	content = append(content, s.secrets.down...)
	return aead.Seal(b, b, content, []byte(keptContext)), nil
}

// Recall takes what Keep of an earlier session returned. The last ones count.
func (s *Session) Recall(kept []byte) error {
	aead, err := s.keptAEAD()
	if err != nil {
		return err
	}
	n := aead.NonceSize()
	if len(kept) < n {
		return fmt.Errorf("seal: recall: %w", ErrMalformed)
	}
	content, err := aead.Open(nil, kept[:n], kept[n:], []byte(keptContext))
	if err != nil || len(content) != idSize+2+keySize {
		return fmt.Errorf("seal: recall: %w", ErrForged) // or of another identity
	}
	f := &former{id: ID(content), aead: binary.BigEndian.Uint16(content[idSize:]), down: content[idSize+2:]}
	s.former = append([]*former{f}, s.former[:min(len(s.former), maxFormer-1)]...)
	return nil
}
