package policy

import (
	"crypto/tls"
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

	key credentialKey // which credential it was, for Holds
}

// A credentialKey names a credential without being one.
type credentialKey struct {
	kind byte // 0: none was asked for
	hash [32]byte
}

// A Scope bounds what an identity may do. An empty list is no bound.
type Scope struct {
	IDs          []string // client ids, with * for any run of characters
	Hosts        []string // exposed names, with * likewise
	Ports        []string // exposed TCP ports: PORT or FIRST-LAST
	Destinations []string // what callers may choose, as --allow takes it
}
