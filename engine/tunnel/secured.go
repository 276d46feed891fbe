package tunnel

import (
	"crypto/tls"
	"strings"

	"adit/engine"
)

// Secured returns what is to be shown of the TLS below a connection; of the peer's
// certificate, whether it is trusted or not, the name. A nil state has nothing.
func Secured(state *tls.ConnectionState) engine.TLS {
	if state == nil {
		return engine.TLS{}
	}
	facts := engine.TLS{
		Version: strings.TrimPrefix(tls.VersionName(state.Version), "TLS "),
		Cipher:  tls.CipherSuiteName(state.CipherSuite),
	}
	if len(state.PeerCertificates) > 0 {
		leaf := state.PeerCertificates[0]
		switch {
		case leaf.Subject.CommonName != "":
			facts.Peer = leaf.Subject.CommonName
		case len(leaf.DNSNames) > 0:
			facts.Peer = leaf.DNSNames[0]
		case len(leaf.IPAddresses) > 0:
			facts.Peer = leaf.IPAddresses[0].String()
		default:
			facts.Peer = leaf.Subject.String()
		}
		facts.Peer = engine.Bound(facts.Peer)
	}
	return facts
}
