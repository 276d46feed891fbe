package policy

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"time"
)

// Presented is what a peer shows to be admitted.
type Presented struct {
	Header http.Header
	TLS    *tls.ConnectionState // nil: no TLS
}

// An Identity is who was admitted, by what, and what for. The zero Identity is
// that of a peer that was asked for nothing. It holds no credential.
type Identity struct {
	Name    string    // for people and records: "shared secret", a token's name, a certificate's
	Scope   *Scope    // nil: everything
	Expires time.Time // when it is over; zero: never

	key credentialKey // which credential it was, for Renew
}

// Over reports whether the identity has expired by the wall clock, which may have
// been set since Expires was.
func (id *Identity) Over(now time.Time) bool {
	return !id.Expires.IsZero() && !now.Round(0).Before(id.Expires)
}

// Proven reports whether a credential was shown for it.
func (id *Identity) Proven() bool { return id.key.kind != keyNone }

type keyKind uint8

const (
	keyNone   keyKind = iota // none was asked for
	keySecret                // a shared secret
	keyToken
	keyCertificate
)

// A credentialKey names a credential without being one.
type credentialKey struct {
	kind  keyKind
	hash  [sha256.Size]byte // of a secret or token
	id    string            // of a token
	chain *verified         // of a certificate
}

// A verified is a peer's certificate that an authority of ours vouches for.
type verified struct {
	chain []*x509.Certificate // as the peer showed it, its own first
	ca    *x509.CertPool      // that vouched
}

// Renew returns an identity that Admit gave, of these Clients or of former ones,
// as it would be given at this moment: a token may have got another scope. ok is
// false where it would not be, because its credential is gone, has expired, or
// because one is asked for now and none was shown.
func (c *Clients) Renew(id *Identity) (now Identity, ok bool) {
	return renew(id, c.open(), c.Secrets, c.Tokens, TokenClient, c.CA)
}

// Renew is [Clients.Renew] for a caller who came in by that way.
func (c *Callers) Renew(id *Identity, exposed bool) (now Identity, ok bool) {
	return renew(id, c.open() || exposed && (c.OpenExposed || c.Closed()), c.Secrets, c.Tokens, TokenCaller, c.CA)
}

func renew(id *Identity, open bool, secrets *Secrets, tokens *Tokens, kind TokenKind, ca *Authority) (Identity, bool) {
	at := time.Now()
	switch id.key.kind {
	case keySecret:
		if secrets.has(&id.key.hash) {
			return *id, true
		}
	case keyToken:
		if t := tokens.of(&id.key); t != nil && t.Kind == kind {
			now := t.identity()
			return now, !now.Over(at)
		}
	case keyCertificate:
		if id.Over(at) || ca == nil {
			return Identity{}, false
		}
		if ca.pool == id.key.chain.ca || ca.pool.Equal(id.key.chain.ca) {
			return *id, true
		}
		if now, err := verify(ca.pool, id.key.chain.chain, at); err == nil {
			return now, true
		}
	default:
		return *id, open
	}
	return Identity{}, false
}
