package access

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/fulmar-io/fulmar/env"
)

// FileName is the accounts' file in a ground's data folder.
const FileName = "accounts.json"

// Limits of a Book.
const (
	MaxAccounts = 256
	MaxTokens   = 1024
	MaxName     = 64 // bytes
	maxFile     = 1 << 20
)

// TokenPrefix begins every token, so that one in the wrong place is recognised.
const TokenPrefix = "fulmar_"

// bookVersion is the version of the file's format.
const bookVersion = 1

// Errors of changes.
var (
	ErrNoSuch = errors.New("there is none of this name")
	ErrExists = errors.New("there is one of this name already")
	ErrFull   = errors.New("there are as many as there may be")
)

// Book is the accounts and tokens of a ground, as its file has them.
type Book struct {
	Version  int       `json:"version"`
	Accounts []Account `json:"accounts"`
	Tokens   []Token   `json:"tokens"`
}

// Account is a person's.
type Account struct {
	Name     string    `json:"name"`
	Role     Role      `json:"role"`
	Password string    `json:"password"` // argon2id, as a PHC string
	Epoch    string    `json:"epoch"`    // another with each change that ends the account's sessions
	Created  time.Time `json:"created"`
	Changed  time.Time `json:"changed"`
}

// Token is a program's.
type Token struct {
	Name    string     `json:"name"`
	Role    Role       `json:"role"`
	Hash    string     `json:"hash"` // SHA-256 of the token, in hex digits
	Created time.Time  `json:"created"`
	Expires *time.Time `json:"expires,omitempty"`
	Used    *time.Time `json:"used,omitempty"` // the last time, to ten minutes
}

// Expired reports whether the token counts no more.
func (t Token) Expired(now time.Time) bool { return t.Expires != nil && !now.Before(*t.Expires) }

// ValidateName says what is wrong with the name of an account or a token.
func ValidateName(name string) error {
	if name == "" || len(name) > MaxName || strings.Trim(name, nameAlphabet) != "" {
		return fmt.Errorf("access: name %.80q: want 1 to %d of a-z, 0-9, '-', '_', '.' and '@'", name, MaxName)
	}
	return nil
}

const nameAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789-_.@"

// DamagedError says that the accounts' file is not one. Nobody is let in by it.
type DamagedError struct {
	Path string
	Err  error
}

// Error implements error.
func (e *DamagedError) Error() string {
	return fmt.Sprintf("access: %s cannot be read as accounts: %v", e.Path, e.Err)
}

// Unwrap returns the cause.
func (e *DamagedError) Unwrap() error { return e.Err }

// ParseBook reads a file's content. Whatever it does not understand makes the whole invalid: half a list would be another list.
func ParseBook(b []byte) (*Book, error) {
	if len(b) > maxFile {
		return nil, fmt.Errorf("access: accounts: more than %d bytes", maxFile)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	book := new(Book)
	if err := d.Decode(book); err != nil {
		return nil, fmt.Errorf("access: accounts: %w", jsonError(err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("access: accounts: something follows the end")
	}
	if err := book.check(); err != nil {
		return nil, err
	}
	return book, nil
}

// jsonError is err without anything of the file that is in it: that may be half a hash.
func jsonError(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("not JSON at byte %d", syntax.Offset)
	case errors.As(err, &kind):
		return fmt.Errorf("%s is not what it should be, at byte %d", kind.Field, kind.Offset)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it ends too early")
	case strings.Contains(err.Error(), "unknown field"):
		return errors.New("a field that this version does not know")
	}
	return errors.New("not accounts")
}

func (b *Book) check() error {
	if b.Version != bookVersion {
		return fmt.Errorf("access: accounts: version %d, and this program reads %d", b.Version, bookVersion)
	}
	if len(b.Accounts) > MaxAccounts || len(b.Tokens) > MaxTokens {
		return fmt.Errorf("access: accounts: more than %d accounts or %d tokens", MaxAccounts, MaxTokens)
	}
	names := make(map[string]bool)
	for i, a := range b.Accounts {
		_, err := parsePHC(a.Password)
		switch {
		case err == nil && !a.Role.Valid():
			err = errors.New("its role is none")
		case err == nil && (a.Epoch == "" || len(a.Epoch) > MaxName):
			err = errors.New("it has no epoch")
		case err == nil && names[a.Name]:
			err = errors.New("its name is there twice")
		case err == nil:
			err = ValidateName(a.Name)
		}
		if err != nil {
			return fmt.Errorf("access: accounts: number %d: %w", i+1, err)
		}
		names[a.Name] = true
	}
	clear(names)
	for i, t := range b.Tokens {
		sum, err := hex.DecodeString(t.Hash)
		switch {
		case err != nil || len(sum) != sha256.Size || hex.EncodeToString(sum) != t.Hash:
			err = errors.New("its hash is no SHA-256")
		case !t.Role.Valid():
			err = errors.New("its role is none")
		case names[t.Name] || names["\x00"+t.Hash]:
			err = errors.New("it is there twice")
		default:
			err = ValidateName(t.Name)
		}
		if err != nil {
			return fmt.Errorf("access: tokens: number %d: %w", i+1, err)
		}
		names[t.Name], names["\x00"+t.Hash] = true, true
	}
	return nil
}

func (b *Book) account(name string) *Account {
	i := slices.IndexFunc(b.Accounts, func(a Account) bool { return a.Name == name })
	if i < 0 {
		return nil
	}
	return &b.Accounts[i]
}

// readBook reads a file that only its owner may be able to read. A file that is not there is an empty book.
func readBook(path string) (book *Book, content []byte, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &Book{Version: bookVersion}, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("access: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("access: %w", err)
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o077 != 0 {
		return nil, nil, &DamagedError{Path: path, Err: fmt.Errorf("mode %04o: others can read or change it; it is to be 0600", mode)}
	}
	content, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, nil, fmt.Errorf("access: read %s: %w", path, err)
	}
	if book, err = ParseBook(content); err != nil {
		return nil, content, &DamagedError{Path: path, Err: err}
	}
	return book, content, nil
}

// Accounts is the file of accounts, for who may change it. Changes of several processes wait for each other.
type Accounts struct {
	Path   string
	Now    func() time.Time
	Random io.Reader
	Cost   Cost // of new passwords; zero for DefaultCost
}

// lockPatience is how long another process may take for its change.
const lockPatience = 10 * time.Second

// Read returns what the file has; nothing if there is none.
func (a Accounts) Read() (*Book, error) {
	b, _, err := readBook(a.Path)
	return b, err
}

// change reads the file, changes it and replaces it as a whole.
func (a Accounts) change(f func(*Book) error) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), lockPatience)
	defer cancel()
	// The folder itself is locked by the ground for as long as it runs.
	unlock, err := env.WaitForFolder(ctx, filepath.Join(filepath.Dir(a.Path), "."+filepath.Base(a.Path)+".lock"), nil)
	if err != nil {
		return fmt.Errorf("access: %w", err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	book, _, err := readBook(a.Path)
	if err != nil {
		return err
	}
	if err := f(book); err != nil {
		return err
	}
	if err := book.check(); err != nil {
		return err
	}
	b, err := json.MarshalIndent(book, "", "\t")
	if err != nil {
		return fmt.Errorf("access: accounts: %w", err)
	}
	return env.WriteFile(a.Path, append(b, '\n'), 0o600)
}

// Add makes an account.
func (a Accounts) Add(name string, role Role, password string) error {
	if err := errors.Join(ValidateName(name), CheckPassword(password)); err != nil {
		return err
	}
	hash, epoch, err := a.hash(password)
	if err != nil {
		return err
	}
	return a.change(func(b *Book) error {
		switch {
		case b.account(name) != nil:
			return fmt.Errorf("access: account %s: %w", name, ErrExists)
		case len(b.Accounts) >= MaxAccounts:
			return fmt.Errorf("access: account %s: %w: %d", name, ErrFull, MaxAccounts)
		}
		now := a.Now().UTC()
		b.Accounts = append(b.Accounts, Account{Name: name, Role: role, Password: hash, Epoch: epoch, Created: now, Changed: now})
		return nil
	})
}

func (a Accounts) hash(password string) (hash, epoch string, err error) {
	cost := a.Cost
	if cost == (Cost{}) {
		cost = DefaultCost
	}
	p, err := hashPassword(a.Random, cost, password)
	if err != nil {
		return "", "", err
	}
	epoch, err = randomText(a.Random, 12)
	return p.String(), epoch, err
}

// modify changes an account in a way that ends its sessions.
func (a Accounts) modify(name string, f func(*Account)) error {
	epoch, err := randomText(a.Random, 12)
	if err != nil {
		return err
	}
	return a.change(func(b *Book) error {
		acc := b.account(name)
		if acc == nil {
			return fmt.Errorf("access: account %s: %w", name, ErrNoSuch)
		}
		acc.Epoch, acc.Changed = epoch, a.Now().UTC()
		f(acc)
		return nil
	})
}

// SetPassword gives an account another password, and ends its sessions.
func (a Accounts) SetPassword(name, password string) error {
	if err := CheckPassword(password); err != nil {
		return err
	}
	hash, _, err := a.hash(password)
	if err != nil {
		return err
	}
	return a.modify(name, func(acc *Account) { acc.Password = hash })
}

// SetRole gives an account another role, and ends its sessions.
func (a Accounts) SetRole(name string, role Role) error {
	return a.modify(name, func(acc *Account) { acc.Role = role })
}

// Remove removes an account, and ends its sessions.
func (a Accounts) Remove(name string) error {
	return a.change(func(b *Book) error {
		n := len(b.Accounts)
		if b.Accounts = slices.DeleteFunc(b.Accounts, func(acc Account) bool { return acc.Name == name }); len(b.Accounts) == n {
			return fmt.Errorf("access: account %s: %w", name, ErrNoSuch)
		}
		return nil
	})
}

// AddToken makes a token and returns it: it is nowhere else. A zero expires is none.
func (a Accounts) AddToken(name string, role Role, expires time.Time) (string, error) {
	if err := ValidateName(name); err != nil {
		return "", err
	}
	text, err := randomText(a.Random, secretBytes)
	if err != nil {
		return "", err
	}
	secret := TokenPrefix + text
	t := Token{Name: name, Role: role, Hash: hashSecret(secret).hex(), Created: a.Now().UTC()}
	if !expires.IsZero() {
		expires = expires.UTC()
		t.Expires = &expires
	}
	err = a.change(func(b *Book) error {
		switch {
		case slices.ContainsFunc(b.Tokens, func(t Token) bool { return t.Name == name }):
			return fmt.Errorf("access: token %s: %w", name, ErrExists)
		case len(b.Tokens) >= MaxTokens:
			return fmt.Errorf("access: token %s: %w: %d", name, ErrFull, MaxTokens)
		}
		b.Tokens = append(b.Tokens, t)
		return nil
	})
	if err != nil {
		return "", err
	}
	return secret, nil
}

// RemoveToken removes a token; what it has opened is closed.
func (a Accounts) RemoveToken(name string) error {
	return a.change(func(b *Book) error {
		n := len(b.Tokens)
		if b.Tokens = slices.DeleteFunc(b.Tokens, func(t Token) bool { return t.Name == name }); len(b.Tokens) == n {
			return fmt.Errorf("access: token %s: %w", name, ErrNoSuch)
		}
		return nil
	})
}

// secretBytes is how many random bytes a secret of ours has.
const secretBytes = 32

func randomText(random io.Reader, n int) (string, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(random, b); err != nil {
		return "", fmt.Errorf("access: random bytes: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}

// digest is the SHA-256 of a secret: all that is kept of it.
type digest [sha256.Size]byte

func hashSecret(secret string) digest { return sha256.Sum256([]byte(secret)) }

func (d digest) hex() string { return hex.EncodeToString(d[:]) }
