package policy

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"adit/engine"
)

// Secrets is a set of credentials, kept as SHA-256 hashes and compared in
// constant time. A nil or empty set matches nothing.
type Secrets struct {
	hashes [][sha256.Size]byte
	names  []string // of each: "shared secret", "shared secret 2"
}

// NewSecrets returns the set of values. Empty values are left out: what is
// absent never matches.
func NewSecrets(values ...string) *Secrets {
	s := &Secrets{hashes: make([][sha256.Size]byte, 0, len(values))}
	for _, v := range values {
		if v == "" {
			continue
		}
		name := "shared secret"
		if n := len(s.hashes); n > 0 {
			name += " " + strconv.Itoa(n+1)
		}
		s.hashes = append(s.hashes, sha256.Sum256([]byte(v)))
		s.names = append(s.names, name)
	}
	return s
}

// Empty reports whether the set has no credential.
func (s *Secrets) Empty() bool { return s == nil || len(s.hashes) == 0 }

// Match reports whether v is in the set.
func (s *Secrets) Match(v string) bool {
	sum, ok := hashOf(v)
	return ok && s.find(&sum) >= 0
}

// has reports whether a hash is in the set.
func (s *Secrets) has(sum *[sha256.Size]byte) bool { return s.find(sum) >= 0 }

// hashOf returns the hash of a credential; ok is false for what can be none.
func hashOf(v string) (sum [sha256.Size]byte, ok bool) {
	if v == "" || len(v) > maxCredential {
		return sum, false
	}
	var room [128]byte // enough for a token, so that nothing is allocated
	return sha256.Sum256(append(room[:0], v...)), true
}

// find returns the place of a hash in the set, -1 where it is not. Every entry is
// compared, so that the time taken tells neither which entry matched nor how much
// of one.
func (s *Secrets) find(sum *[sha256.Size]byte) int {
	place := -1
	if s.Empty() {
		return place
	}
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

// ErrExpired is wrapped by the refusal of a credential that was right until it
// expired: who shows it may know.
var ErrExpired = errors.New("credential expired: ask for a new one")

// Clients decides which clients may register. Where nothing is set everybody may.
//
// Whoever shows several credentials is known by one: what stands in a field goes
// before a certificate, and where it is wrong no certificate helps.
type Clients struct {
	Secrets *Secrets
	Tokens  *Tokens    // those of clients admit; nil: none do
	CA      *Authority // a certificate of it admits; nil: none does
	Open    bool       // everybody may, whatever is set; who shows a good credential is known by it
}

func (c *Clients) open() bool {
	return c.Open || c.Secrets.Empty() && c.Tokens == nil && c.CA == nil
}

// Admit reads X-Secret-Key or a bearer token in Authorization (RFC 6750 §2.1);
// another scheme there is not ours and is ignored, and an empty X-Secret-Key,
// which the original clients send, is none. Without either a certificate counts. A
// repeated or contradictory credential is ReasonMalformed, a wrong one
// ReasonUnauthorized. The error is an *engine.Error; p is not changed.
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
	open := c.open()
	if key != "" {
		id, found := admit(key, c.Secrets, c.Tokens, TokenClient)
		switch {
		case found && !id.Over(time.Now()):
			return id, nil
		case open:
			return Identity{}, nil
		case found:
			return Identity{}, engine.Fail(op, engine.ReasonUnauthorized, ErrExpired)
		case !c.Secrets.Empty() || c.Tokens != nil:
			return Identity{}, fail(op, engine.ReasonUnauthorized, textWrong)
		}
		// Only certificates count here: the field is for somebody else.
	}
	id, shown, err := c.CA.certificate(p.TLS)
	switch {
	case shown && err == nil:
		return id, nil
	case open:
		return Identity{}, nil
	case shown:
		return Identity{}, engine.Fail(op, engine.ReasonUnauthorized, err)
	}
	return Identity{}, fail(op, engine.ReasonUnauthorized, textMissing)
}

// admit returns whose credential v is: of a shared secret, or of a token of that
// kind, expired or not.
func admit(v string, secrets *Secrets, tokens *Tokens, kind TokenKind) (id Identity, ok bool) {
	sum, ok := hashOf(v)
	if !ok {
		return Identity{}, false
	}
	if place := secrets.find(&sum); place >= 0 {
		return Identity{Name: secrets.names[place], key: credentialKey{kind: keySecret, hash: sum}}, true
	}
	if t := tokens.find(v, &sum); t != nil && t.Kind == kind {
		return t.identity(), true
	}
	return Identity{}, false
}

// Callers decides which callers may use the ways in. Where nothing is set all may
// use all of them.
//
// Whoever shows several credentials is known by one: what stands in
// Proxy-Authorization, else what stands in Authorization and is ours, else the
// certificate.
type Callers struct {
	Secrets      *Secrets
	Tokens       *Tokens    // those of callers admit; nil: none do
	CA           *Authority // a certificate of it admits; nil: none does
	Open         bool       // everybody may, whatever is set; what is ours is still kept from origins
	OpenExposed  bool       // exposed names and ports need no credential
	ClosedChosen bool       // with nothing of these the ways whose destination the caller chooses (/request, forward proxy) refuse everybody
}

// none reports whether there is no credential at all.
func (c *Callers) none() bool { return c.Secrets.Empty() && c.Tokens == nil && c.CA == nil }

func (c *Callers) open() bool { return c.Open || c.none() && !c.ClosedChosen }

// Admit reads Proxy-Authorization, else Authorization (bearer token, or the
// password of basic), and removes the field that held it, so that ours never
// reaches an origin, shown needlessly or twice neither. What is not ours stays:
// beside a certificate that admits, Authorization may be the origin's. A
// wrong or missing one is ReasonProxyAuth for WayProxy and WayConnect, else
// ReasonUnauthorized; a repeated field is ReasonMalformed. A wrong
// Proxy-Authorization is refused whatever Authorization holds, and whatever a
// certificate says. The error is an *engine.Error.
//
// A TCP stream has no fields (p.Header may be nil), so where WayTCP needs a credential
// it is closed to everybody.
func (c *Callers) Admit(p *Presented, way engine.Way) (Identity, error) {
	h := p.Header
	refusal := engine.ReasonUnauthorized
	if way == engine.WayProxy || way == engine.WayConnect {
		refusal = engine.ReasonProxyAuth
	}
	exposed := way == engine.WayHost || way == engine.WayTCP
	if exposed && c.OpenExposed || c.open() {
		if !c.none() {
			c.keepOurs(h)
		}
		return Identity{}, nil
	}
	if c.Closed() {
		if !exposed {
			return Identity{}, fail(opAdmitCaller, refusal, textClosed)
		}
		return Identity{}, nil
	}
	id, err := c.judge(p, refusal)
	if err == nil {
		c.keepOurs(h)
	}
	return id, err
}

const opAdmitCaller = "admit caller"

// judge is Admit where a credential is needed.
func (c *Callers) judge(p *Presented, refusal engine.Reason) (Identity, error) {
	h := p.Header
	name, value, ok := fieldProxyAuthorization, "", true
	fields := !c.Secrets.Empty() || c.Tokens != nil // else they are somebody else's
	if fields {
		if len(h[name]) == 0 {
			name = fieldAuthorization
		}
		if value, ok = single(h, name); !ok {
			return Identity{}, fail(opAdmitCaller, engine.ReasonMalformed, textRepeated)
		}
	}
	if value != "" {
		id, found := admit(password(value), c.Secrets, c.Tokens, TokenCaller)
		if found && id.Over(time.Now()) {
			return Identity{}, engine.Fail(opAdmitCaller, refusal, ErrExpired)
		}
		if found {
			delete(h, name)
			return id, nil
		}
		if c.CA == nil || name == fieldProxyAuthorization || isToken(password(value)) {
			return Identity{}, fail(opAdmitCaller, refusal, textWrong)
		}
	}
	id, shown, err := c.CA.certificate(p.TLS)
	switch {
	case shown && err == nil:
		return id, nil
	case shown:
		return Identity{}, engine.Fail(opAdmitCaller, refusal, err)
	case value != "":
		return Identity{}, fail(opAdmitCaller, refusal, textWrong)
	}
	return Identity{}, fail(opAdmitCaller, refusal, textMissing)
}

// isToken reports whether v has the form of a token of ours.
func isToken(v string) bool { return strings.HasPrefix(v, tokenPrefix) }

// keepOurs removes Authorization where it holds a credential of ours beside or
// without need: whoever is behind an exposed name must not learn it.
func (c *Callers) keepOurs(h http.Header) {
	for _, value := range h[fieldAuthorization] {
		v := password(value)
		sum, ok := hashOf(v)
		if ok && (c.Secrets.has(&sum) || c.Tokens.find(v, &sum) != nil) {
			delete(h, fieldAuthorization)
			return
		}
	}
}

// Closed reports whether no credential at all opens the ways whose destination
// the caller chooses.
func (c *Callers) Closed() bool { return c.ClosedChosen && c.none() && !c.Open }

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
