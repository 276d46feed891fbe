package enginetest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
)

// A Token marks one request: it stands in the field [TokenField] and, where
// there is content, at its beginning.
type Token [16]byte

// TokenSize is the length of a token's text form.
const TokenSize = 32

// Fields by which callers steer the origin, and by which it answers.
const (
	TokenField  = "X-Token"
	DigestField = "X-Content-Sha256" // of the content that the message carries
)

// String returns 32 hexadecimal digits.
func (t Token) String() string { return hex.EncodeToString(t[:]) }

var errToken = errors.New("not a token")

// ParseToken reads the text form.
func ParseToken(s string) (Token, error) {
	var t Token
	if len(s) != TokenSize {
		return t, errToken
	}
	if _, err := hex.Decode(t[:], []byte(s)); err != nil {
		return t, errToken
	}
	return t, nil
}

// NewToken draws a token from rng.
func NewToken(rng *rand.Rand) Token {
	var t Token
	binary.BigEndian.PutUint64(t[:8], rng.Uint64())
	binary.BigEndian.PutUint64(t[8:], rng.Uint64())
	return t
}

// A Pattern is n bytes that follow from a token: its text form, then noise. It
// is an [io.Reader], so that nothing of its size is held.
type Pattern struct {
	token Token
	n, at int64
	state uint64
	word  [8]byte
}

// NewPattern returns the n bytes of token.
func NewPattern(token Token, n int64) *Pattern {
	return &Pattern{token: token, n: n, state: binary.BigEndian.Uint64(token[8:]) | 1}
}

// Read implements [io.Reader].
func (p *Pattern) Read(b []byte) (int, error) {
	if p.at >= p.n {
		return 0, io.EOF
	}
	b = b[:min(int64(len(b)), p.n-p.at)]
	i := 0
	if p.at < TokenSize {
		text := p.token.String()
		i = copy(b, text[p.at:])
		p.at += int64(i)
	}
	for i < len(b) {
		off := int(p.at & 7)
		if off == 0 {
			p.state ^= p.state << 13
			p.state ^= p.state >> 7
			p.state ^= p.state << 17
			binary.LittleEndian.PutUint64(p.word[:], p.state)
		}
		n := copy(b[i:], p.word[off:])
		i += n
		p.at += int64(n)
	}
	return len(b), nil
}

// PatternDigest returns the SHA-256 of NewPattern(token, n) in hexadecimal.
func PatternDigest(token Token, n int64) string {
	h := sha256.New()
	_, _ = io.Copy(h, NewPattern(token, n))
	return hex.EncodeToString(h.Sum(nil))
}

// digest counts and digests what is written to it and keeps the first bytes,
// where a token may stand.
type digest struct {
	n    int64
	head []byte
	sum  interface {
		io.Writer
		Sum([]byte) []byte
	}
}

func newDigest() *digest { return &digest{sum: sha256.New()} }

func (d *digest) Write(b []byte) (int, error) {
	d.n += int64(len(b))
	if room := TokenSize - len(d.head); room > 0 {
		d.head = append(d.head, b[:min(room, len(b))]...)
	}
	return d.sum.Write(b)
}

func (d *digest) hex() string { return hex.EncodeToString(d.sum.Sum(nil)) }
