package policy

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"adit/engine"
)

// Secrets is a set of credentials, kept as SHA-256 hashes and compared in
// constant time. A nil or empty set matches nothing.
type Secrets struct {
	hashes [][sha256.Size]byte
}

// NewSecrets returns the set of values. Empty values are left out: what is
// absent never matches.
func NewSecrets(values ...string) *Secrets {
	s := &Secrets{hashes: make([][sha256.Size]byte, 0, len(values))}
	for _, v := range values {
		if v != "" {
			s.hashes = append(s.hashes, sha256.Sum256([]byte(v)))
		}
	}
	return s
}

// Empty reports whether the set has no credential.
func (s *Secrets) Empty() bool { return s == nil || len(s.hashes) == 0 }

// Match reports whether v is in the set.
func (s *Secrets) Match(v string) bool { return s.find(v) >= 0 }

// find returns the place of v in the set, -1 where it is not. Every entry is compared, so that the
// time taken tells neither which entry matched nor how much of one.
func (s *Secrets) find(v string) int {
	if s.Empty() || v == "" {
		return -1
	}
	sum := sha256.Sum256([]byte(v))
	place := -1
	for i := range s.hashes {
		place = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], s.hashes[i][:]), i, place)
	}
	return place
}

// Field names in canonical form, as net/http keeps them.
const (
	fieldSecretKey          = "X-Secret-Key"
	fieldAuthorization      = "Authorization"
	fieldProxyAuthorization = "Proxy-Authorization"
)

// The texts of refusals. None names a credential.
const (
	textRepeated      = "the credential field is repeated"
	textContradiction = "two credentials contradict each other"
	textMissing       = "credential missing"
	textWrong         = "credential wrong"
	textClosed        = "closed: this server takes no destination that a caller chooses (--caller-token would open it)"
)

// Clients decides which clients may register. Where nothing is set everybody may.
type Clients struct {
	Secrets *Secrets
	Tokens  *Tokens        // nil: none
	CA      *x509.CertPool // a certificate of it admits; nil: none does
}

// Admit reads X-Secret-Key or a bearer token in Authorization (RFC 6750 §2.1);
// another scheme there is not ours and is ignored, and an empty X-Secret-Key,
// which the original clients send, is none. A repeated or contradictory
// credential is ReasonMalformed, a wrong one ReasonUnauthorized. The error is an
// *engine.Error; h is not changed.
//
// The identity of a shared secret is "shared secret" for the first of the set,
// "shared secret 2" for the second.
func (c *Clients) Admit(p *Presented) (Identity, error) {
	const op = "admit client"
	h := p.Header
	key, ok := single(h, fieldSecretKey)
	if !ok {
		return Identity{}, fail(op, engine.ReasonMalformed, textRepeated)
	}
	authorization, ok := single(h, fieldAuthorization)
	if !ok {
		return Identity{}, fail(op, engine.ReasonMalformed, textRepeated)
	}
	token, _ := bearer(authorization)
	if key != "" && token != "" && !equal(key, token) {
		return Identity{}, fail(op, engine.ReasonMalformed, textContradiction)
	}
	if key == "" {
		key = token
	}
	if c.Secrets.Empty() {
		return Identity{}, nil
	}
	switch place := c.Secrets.find(key); {
	case place == 0:
		return Identity{Name: "shared secret"}, nil
	case place > 0:
		return Identity{Name: "shared secret " + strconv.Itoa(place+1)}, nil
	case key == "":
		return Identity{}, fail(op, engine.ReasonUnauthorized, textMissing)
	}
	return Identity{}, fail(op, engine.ReasonUnauthorized, textWrong)
}

// Holds reports whether an identity that Admit gave, of these Clients or of
// former ones, would be admitted still, at this moment.
func (c *Clients) Holds(id *Identity) bool { return true }

// Callers decides which callers may use the ways in.
type Callers struct {
	Secrets      *Secrets       // with Tokens and CA empty: open
	Tokens       *Tokens        // nil: none
	CA           *x509.CertPool // a certificate of it admits; nil: none does
	OpenExposed  bool           // exposed names and ports need no credential
	ClosedChosen bool           // with nothing of these the ways whose destination the caller chooses (/request, forward proxy) refuse everybody
}

// Admit reads Proxy-Authorization, else Authorization (bearer token, or the
// password of basic), and removes the field that held it, so that ours never
// reaches an origin, shown needlessly or twice neither. What is not ours stays. A
// wrong or missing one is ReasonProxyAuth for WayProxy and WayConnect, else
// ReasonUnauthorized; a repeated field is ReasonMalformed. A wrong
// Proxy-Authorization is refused whatever Authorization holds. The error is an
// *engine.Error.
//
// A TCP stream has no fields (p.Header may be nil), so where WayTCP needs a credential
// it is closed to everybody.
func (c *Callers) Admit(p *Presented, way engine.Way) (Identity, error) {
	const op = "admit caller"
	h := p.Header
	refusal := engine.ReasonUnauthorized
	if way == engine.WayProxy || way == engine.WayConnect {
		refusal = engine.ReasonProxyAuth
	}
	exposed := way == engine.WayHost || way == engine.WayTCP
	if exposed && c.OpenExposed {
		c.keepOurs(h)
		return Identity{}, nil
	}
	if c.Secrets.Empty() {
		if c.Closed() && !exposed {
			return Identity{}, fail(op, refusal, textClosed)
		}
		return Identity{}, nil
	}
	name := fieldProxyAuthorization
	if len(h[name]) == 0 {
		name = fieldAuthorization
	}
	value, ok := single(h, name)
	if !ok {
		return Identity{}, fail(op, engine.ReasonMalformed, textRepeated)
	}
	if value == "" {
		return Identity{}, fail(op, refusal, textMissing)
	}
	if !c.Secrets.Match(password(value)) {
		return Identity{}, fail(op, refusal, textWrong)
	}
	delete(h, name)
	c.keepOurs(h)
	return Identity{}, nil
}

// keepOurs removes Authorization where it holds a token of ours beside or
// without need: whoever is behind an exposed name must not learn it.
func (c *Callers) keepOurs(h http.Header) {
	for _, value := range h[fieldAuthorization] {
		if c.Secrets.Match(password(value)) {
			delete(h, fieldAuthorization)
			return
		}
	}
}

// Closed reports whether no credential at all opens the ways whose destination
// the caller chooses.
func (c *Callers) Closed() bool { return c.ClosedChosen && c.Secrets.Empty() }

// single returns the only value of a field, "" where there is none; ok is false
// where it is repeated.
func single(h http.Header, name string) (value string, ok bool) {
	switch v := h[name]; len(v) {
	case 0:
		return "", true
	case 1:
		return v[0], true
	}
	return "", false
}

// bearer returns the token of "Bearer TOKEN"; the scheme is case-insensitive
// (RFC 9110 §11.1).
func bearer(value string) (token string, ok bool) {
	return credentials(value, "bearer")
}

// password returns the bearer token, or the password of basic (RFC 7617 §2).
func password(value string) string {
	if token, ok := bearer(value); ok {
		return token
	}
	encoded, ok := credentials(value, "basic")
	if !ok {
		return ""
	}
	pair, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return ""
	}
	_, pass, _ := strings.Cut(string(pair), ":")
	return pass
}

func credentials(value, scheme string) (rest string, ok bool) {
	got, rest, _ := strings.Cut(strings.TrimSpace(value), " ")
	if !strings.EqualFold(got, scheme) {
		return "", false
	}
	return strings.TrimLeft(rest, " "), true
}

func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

func fail(op string, reason engine.Reason, text string) error {
	return engine.Fail(op, reason, errors.New(text))
}
