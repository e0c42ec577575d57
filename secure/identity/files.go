package identity

import (
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/fulmar-io/fulmar/env"
)

// The files of an identity's folder.
const (
	identityName    = "identity.pem" // key and certificate in one, so that a change of both is one
	trustName       = "trust.pem"
	authoritiesName = "authorities.pem" // of the trust, for programs that are not Fulmar's
	pendingName     = "pending.pem"     // a key whose certificate has been asked for
)

const (
	keyBlock     = "PRIVATE KEY"
	certBlock    = "CERTIFICATE"
	sealingBlock = "FULMAR SEALING KEY"
	kemHeader    = "KEM"
)

// maxFile bounds what is read of a file of an identity, in bytes.
const maxFile = 2 << 20

func sealingName(id KeyID) string { return "sealing-" + id.String() + ".pem" }

func writeKey(path string, key ed25519.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("identity: key: %w", err)
	}
	return env.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der}), 0o600)
}

// readFile reads a file of the folder's. The error has nothing of the content.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("identity: read %s: %w", path, err)
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("identity: %s has more than %d bytes", path, maxFile)
	}
	return b, nil
}

// block returns the first block of a kind.
func block(b []byte, kind string) *pem.Block {
	for {
		var p *pem.Block
		if p, b = pem.Decode(b); p == nil || p.Type == kind {
			return p
		}
	}
}

// readPrivate reads a block of a file that nobody else may be able to read.
func readPrivate(path, kind string) (p *pem.Block, all []byte, err error) {
	if err := private(path); err != nil {
		return nil, nil, err
	}
	if all, err = readFile(path); err != nil {
		return nil, nil, err
	}
	if p = block(all, kind); p == nil {
		return nil, nil, fmt.Errorf("identity: %s holds no %s", path, kind)
	}
	return p, all, nil
}

// readKey reads a private key, and the certificate (DER) that is in the same file, if there is one.
func readKey(path string) (key ed25519.PrivateKey, cert []byte, err error) {
	p, all, err := readPrivate(path, keyBlock)
	if err != nil {
		return nil, nil, err
	}
	k, err := x509.ParsePKCS8PrivateKey(p.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("identity: %s: not a key in PKCS #8", path)
	}
	key, ok := k.(ed25519.PrivateKey)
	if !ok {
		return nil, nil, fmt.Errorf("identity: %s: not an Ed25519 key", path)
	}
	if c := block(all, certBlock); c != nil {
		cert = c.Bytes
	}
	return key, cert, nil
}

// private says that others may read a file, which is none of theirs. Windows keeps that elsewhere.
func private(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o077 != 0 {
		return &ModeError{Path: path, Mode: mode}
	}
	return nil
}

// ModeError says that a private key can be read by others than its owner.
type ModeError struct {
	Path string
	Mode os.FileMode
}

// Error implements error.
func (e *ModeError) Error() string {
	return fmt.Sprintf("identity: key %s has mode %04o: others can read it; it is to be 0600", e.Path, e.Mode)
}

func readSealing(path string) (KeyID, hpke.PrivateKey, error) {
	p, _, err := readPrivate(path, sealingBlock)
	if err != nil {
		return KeyID{}, nil, err
	}
	id, err := strconv.ParseUint(p.Headers[kemHeader], 10, 16)
	if err != nil {
		return KeyID{}, nil, fmt.Errorf("identity: %s: no KEM is named", path)
	}
	kem, err := hpke.NewKEM(uint16(id))
	if err != nil {
		return KeyID{}, nil, fmt.Errorf("identity: %s: %w", path, err)
	}
	k, err := kem.NewPrivateKey(p.Bytes)
	if err != nil {
		return KeyID{}, nil, fmt.Errorf("identity: %s: not a key of KEM %d", path, id)
	}
	name := sealingKey(k.PublicKey()).ID
	if sealingName(name) != filepath.Base(path) {
		return KeyID{}, nil, fmt.Errorf("identity: %s holds the key %s", path, name)
	}
	return name, k, nil
}

// writeIdentity writes an identity's files, itself last: where that is, the rest is.
func writeIdentity(dir string, key ed25519.PrivateKey, cert []byte, trust *Trust) error {
	if err := writeTrust(dir, trust); err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("identity: key: %w", err)
	}
	b := pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der})
	b = append(b, pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: cert})...)
	return env.WriteFile(filepath.Join(dir, identityName), b, 0o600)
}

func writeTrust(dir string, trust *Trust) error {
	var list []byte
	for _, a := range trust.authorities {
		list = append(list, pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: a.Raw})...)
	}
	if err := env.WriteFile(filepath.Join(dir, authoritiesName), list, 0o644); err != nil {
		return err
	}
	return env.WriteFile(filepath.Join(dir, trustName), trust.encoded, 0o644)
}
