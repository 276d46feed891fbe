package policy

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"runtime"
	"strings"
	"sync"
	"time"
	"weak"

	"adit/engine"
)

// An Authority is whose certificates admit.
//
// It remembers what was found of the certificate of each TLS connection, so that a
// request does not verify a chain again. net/http hands every request of a
// connection the same *tls.ConnectionState (a test holds it to that); where it did
// not, nothing but time would be lost. What is remembered goes with its connection.
type Authority struct {
	pool  *x509.CertPool
	found sync.Map // weak.Pointer[tls.ConnectionState] → *chainVerdict
}

// NewAuthority returns the authority of the certificates in pool.
func NewAuthority(pool *x509.CertPool) *Authority { return &Authority{pool: pool} }

type chainVerdict struct {
	identity Identity
	err      error
}

// certificate returns the identity of the certificate that a peer showed. ok is
// false where it showed none, or where no authority is trusted: a is nil.
func (a *Authority) certificate(state *tls.ConnectionState) (id Identity, ok bool, err error) {
	if a == nil || state == nil || len(state.PeerCertificates) == 0 {
		return Identity{}, false, nil
	}
	key := weak.Make(state)
	v, known := a.found.Load(key)
	if !known {
		verdict := new(chainVerdict)
		verdict.identity, verdict.err = verify(a.pool, state.PeerCertificates, time.Now())
		if v, known = a.found.LoadOrStore(key, verdict); !known {
			runtime.AddCleanup(state, func(key weak.Pointer[tls.ConnectionState]) { a.found.Delete(key) }, key)
		}
	}
	verdict := v.(*chainVerdict)
	if verdict.err == nil && verdict.identity.Over(time.Now()) {
		return Identity{}, true, ErrExpired
	}
	return verdict.identity, true, verdict.err
}

// ErrCertificate is wrapped by the refusal of a certificate whose chain is none of
// ours, or not for this: who shows it may know.
var ErrCertificate = errors.New("certificate of no authority that is trusted here, expired, or not for client authentication")

// verify checks a chain at one moment. The identity is over when the first of the
// certificates that matter is.
func verify(ca *x509.CertPool, chain []*x509.Certificate, at time.Time) (Identity, error) {
	o := x509.VerifyOptions{
		Roots: ca, Intermediates: x509.NewCertPool(), CurrentTime: at,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	chains, err := chain[0].Verify(o)
	if err != nil {
		return Identity{}, ErrCertificate
	}
	var expires time.Time // the latest of the chains, each of which is as good as its weakest link
	for _, certs := range chains {
		first := certs[0].NotAfter
		for _, c := range certs[1:] {
			if c.NotAfter.Before(first) {
				first = c.NotAfter
			}
		}
		if first.After(expires) {
			expires = first
		}
	}
	return Identity{Name: certificateName(chain[0]), Expires: expires,
		key: credentialKey{kind: keyCertificate, chain: &verified{chain: chain, ca: ca}}}, nil
}

// certificateName returns who a certificate stands for: the first of its DNS
// names, URIs and mail addresses, else the common name.
func certificateName(c *x509.Certificate) string {
	name := c.Subject.CommonName
	switch {
	case len(c.DNSNames) > 0:
		name = c.DNSNames[0]
	case len(c.URIs) > 0:
		name = c.URIs[0].Redacted()
	case len(c.EmailAddresses) > 0:
		name = c.EmailAddresses[0]
	}
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(name, "?"))
	if name == "" {
		name = "certificate " + c.SerialNumber.Text(16)
	}
	return engine.Bound(name)
}
