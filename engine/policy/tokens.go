package policy

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"adit/engine"
)

// Bounds of what a file of tokens may say.
const (
	MaxTokens = 20_000
	maxList   = 100 // of one list of a scope
)

// A TokenKind says at which door a token admits.
type TokenKind uint8

// The kinds of tokens.
const (
	TokenClient TokenKind = iota + 1
	TokenCaller
)

// String returns what stands in files: "client" or "caller".
func (k TokenKind) String() string {
	switch k {
	case TokenClient:
		return "client"
	case TokenCaller:
		return "caller"
	}
	return "unknown"
}

// ParseTokenKind is the inverse of String.
func ParseTokenKind(text string) (TokenKind, error) {
	switch text {
	case "client":
		return TokenClient, nil
	case "caller":
		return TokenCaller, nil
	}
	return 0, fmt.Errorf("%q is no kind of token; want client or caller", engine.Bound(text))
}

// A Token is one entry of a file of tokens: all but the token itself, which
// nobody has but who was given it. The text of a token is "adit_ID_SECRET", so that
// a scanner for leaked secrets knows it by sight, and so that it is found by its id:
// only one hash is compared. SECRET is random and has 260 bits; nobody can guess
// among so many, and a fast hash keeps it as well as a slow one, which passwords need.
type Token struct {
	ID      string // 4 to 32 lower-case letters and digits; unique in a file
	Name    string // for people and records; several may share one
	Kind    TokenKind
	Hash    [sha256.Size]byte // of the whole text
	Scope   Scope
	Created time.Time // zero: not known
	Expires time.Time // zero: never
	Note    string
}

// tokenPrefix begins the text of each token.
const tokenPrefix = "adit_"

// maxCredential bounds a credential that is looked at, in bytes.
const maxCredential = 8 << 10

// MakeToken returns the text of a new token, its id and the hash that a file
// keeps of it.
func MakeToken() (text, id string, hash [sha256.Size]byte) {
	id = strings.ToLower(rand.Text()[:8])
	text = tokenPrefix + id + "_" + rand.Text() + rand.Text()
	return text, id, sha256.Sum256([]byte(text))
}

// FormatHash returns a hash as it stands in a file: "sha256:" and hexadecimal.
func FormatHash(hash [sha256.Size]byte) string { return "sha256:" + hex.EncodeToString(hash[:]) }

// ParseHash is the inverse of FormatHash.
func ParseHash(text string) (hash [sha256.Size]byte, err error) {
	digits, ok := strings.CutPrefix(text, "sha256:")
	if b, err := hex.DecodeString(digits); ok && err == nil && len(b) == len(hash) {
		return [sha256.Size]byte(b), nil
	}
	return hash, errors.New("the hash is not sha256: and 64 hexadecimal digits; adit token new makes one")
}

// Check says what is wrong with an entry, and makes its scope ready to be asked.
func (t *Token) Check() error {
	switch {
	case !isTokenID(t.ID):
		return errors.New("id: want 4 to 32 lower-case letters and digits") // it is not shown: it may be a whole token
	case t.Name == "" || len(t.Name) > 128 || !isPlain(t.Name):
		return errors.New("name: want 1 to 128 bytes of one line")
	case t.Kind != TokenClient && t.Kind != TokenCaller:
		return errors.New("kind: want client or caller")
	case t.Kind == TokenCaller && len(t.Scope.Ports) > 0:
		return errors.New("ports: callers of a port can show no token; leave them out")
	case t.Hash == [sha256.Size]byte{}:
		return errors.New("hash is missing; adit token new makes one")
	case !t.Expires.IsZero() && t.Expires.Before(t.Created):
		return errors.New("expires lies before created")
	}
	return t.Scope.compile()
}

func isTokenID(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && !isDigit(c) {
			return false
		}
	}
	return len(s) >= 4 && len(s) <= 32
}

// isPlain reports whether s has no control characters.
func isPlain(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '�' }) < 0
}

// Tokens is what a file of tokens says: who may come in with which, and what for.
// Only hashes of them are in the file and here. It never changes: a changed file
// is read into another one. A Tokens without a token, other than nil, admits nobody.
type Tokens struct {
	byID  map[string]*Token
	kinds [TokenCaller + 1]int
}

// NewTokens returns the set of list, which it checks and keeps. Its error names
// the place in the list, from 1.
func NewTokens(list []Token) (*Tokens, error) {
	if len(list) > MaxTokens {
		return nil, fmt.Errorf("%d tokens, at most %d may be", len(list), MaxTokens)
	}
	t := &Tokens{byID: make(map[string]*Token, len(list))}
	for i := range list {
		e := &list[i]
		if err := e.Check(); err != nil {
			return nil, fmt.Errorf("token %d: %w", i+1, err)
		}
		if t.byID[e.ID] != nil {
			return nil, fmt.Errorf("token %d: the id %s stands there a second time", i+1, e.ID)
		}
		t.byID[e.ID] = e
		t.kinds[e.Kind]++
	}
	return t, nil
}

// Count returns how many tokens of a kind there are, expired ones among them.
func (t *Tokens) Count(kind TokenKind) int {
	if t == nil || int(kind) >= len(t.kinds) {
		return 0
	}
	return t.kinds[kind]
}

// find returns the token of a text, whose hash is sum; nil where there is none. It
// looks at neither kind nor expiry.
func (t *Tokens) find(text string, sum *[sha256.Size]byte) *Token {
	if t == nil {
		return nil
	}
	id, _, _ := strings.Cut(strings.TrimPrefix(text, tokenPrefix), "_")
	e := t.byID[id]
	if !strings.HasPrefix(text, tokenPrefix) || e == nil || subtle.ConstantTimeCompare(sum[:], e.Hash[:]) != 1 {
		return nil
	}
	return e
}

// of returns the entry of that id and hash as it is now, nil where it is gone.
func (t *Tokens) of(key *credentialKey) *Token {
	if t == nil {
		return nil
	}
	e := t.byID[key.id]
	if e == nil || subtle.ConstantTimeCompare(key.hash[:], e.Hash[:]) != 1 {
		return nil
	}
	return e
}

// identity is who shows the token.
func (t *Token) identity() Identity {
	id := Identity{Name: t.Name, Expires: t.Expires, key: credentialKey{kind: keyToken, hash: t.Hash, id: t.ID}}
	if !t.Scope.everything() {
		id.Scope = &t.Scope
	}
	return id
}
