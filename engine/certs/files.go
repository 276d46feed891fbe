package certs

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// A pair is a certificate of a file, with its chain and key.
type pair struct {
	file string
	cert tls.Certificate // with Leaf
}

func (p *pair) leaf() *x509.Certificate { return p.cert.Leaf }

// readPairs reads every pair, or none. The notices are of what is wrong and can be
// lived with.
func readPairs(certs, keys []string) (pairs []*pair, notices []string, err error) {
	for i := range certs {
		p, more, err := readPair(certs[i], keys[i])
		if err != nil {
			return nil, nil, err
		}
		pairs, notices = append(pairs, p), append(notices, more...)
	}
	return pairs, notices, nil
}

func readPair(certFile, keyFile string) (*pair, []string, error) {
	certText, err := ReadFile(certFile)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate: %w", err)
	}
	keyText, err := ReadFile(keyFile)
	if err != nil {
		return nil, nil, fmt.Errorf("private key: %w", err)
	}
	chain, err := parse(certText)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate %s: %w", certFile, err)
	}
	if len(chain) == 0 {
		if strings.Contains(string(certText), "PRIVATE KEY-----") {
			return nil, nil, fmt.Errorf("certificate %s: it has a private key and no certificate; are the two files exchanged?", certFile)
		}
		return nil, nil, fmt.Errorf("certificate %s: no certificate in PEM (-----BEGIN CERTIFICATE-----) stands there", certFile)
	}
	cert, err := tls.X509KeyPair(certText, keyText)
	if err != nil {
		return nil, nil, pairError(certFile, keyFile, keyText, chain, err)
	}
	if cert.Leaf == nil {
		cert.Leaf = chain[0]
	}
	return &pair{certFile, cert}, doubts(certFile, keyFile, chain), nil
}

// pairError says why a certificate and a key are no pair. Errors of package tls
// about keys tell nothing of the key.
func pairError(certFile, keyFile string, keyText []byte, chain []*x509.Certificate, err error) error {
	switch {
	case bytes.Contains(keyText, []byte("ENCRYPTED")):
		return fmt.Errorf("private key %s: it is encrypted, and nobody is here to type its password; decrypt it (openssl pkey -in … -out …)", keyFile)
	case !bytes.Contains(keyText, []byte("PRIVATE KEY-----")):
		return fmt.Errorf("private key %s: no private key in PEM (-----BEGIN PRIVATE KEY-----) stands there", keyFile)
	}
	for i, c := range chain[1:] {
		block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
		if _, err := tls.X509KeyPair(block, keyText); err == nil {
			return fmt.Errorf("certificate %s: the one of the key stands at place %d; put it first, then its issuer, and so on", certFile, i+2)
		}
	}
	return fmt.Errorf("certificate %s and private key %s are no pair: %w", certFile, keyFile, err)
}

// doubts returns what is wrong with a pair that can be served.
func doubts(certFile, keyFile string, chain []*x509.Certificate) (notices []string) {
	now := time.Now()
	if leaf := chain[0]; now.Before(leaf.NotBefore) {
		notices = append(notices, fmt.Sprintf("the certificate in %s is not valid before %s; is the clock right?", certFile, date(leaf.NotBefore)))
	}
	if len(chain[0].DNSNames) == 0 && len(chain[0].IPAddresses) == 0 {
		notices = append(notices, fmt.Sprintf("the certificate in %s names no host (subjectAltName): clients of today refuse it", certFile))
	}
	for i := range chain[1:] {
		if chain[i].CheckSignatureFrom(chain[i+1]) != nil {
			notices = append(notices, fmt.Sprintf("the chain in %s is not in order: certificate %d did not sign certificate %d; some clients will refuse it",
				certFile, i+2, i+1))
			break
		}
	}
	if info, err := os.Stat(keyFile); err == nil && othersMayRead(info) {
		notices = append(notices, fmt.Sprintf("everybody on this machine can read the private key %s (mode %04o); chmod o-r it", keyFile, info.Mode().Perm()))
	}
	return notices
}

// parse returns the certificates of a PEM text.
func parse(text []byte) (all []*x509.Certificate, err error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return all, nil
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d can't be read: %w", len(all)+1, err)
		}
		all = append(all, c)
	}
}

// choose returns the pair for a ClientHello by the name that it asks for: the
// first whose certificate has the name and whose key the peer can use, else the
// first that has the name; nil where none has.
func choose(pairs []*pair, hello *tls.ClientHelloInfo) *pair {
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	if name == "" {
		return nil
	}
	var found *pair
	for _, p := range pairs {
		if !covers(p.leaf(), name) {
			continue
		}
		if hello.SupportsCertificate(&p.cert) == nil {
			return p
		}
		if found == nil {
			found = p
		}
	}
	return found
}

// covers reports whether a certificate is for a name (RFC 9525 §6.3): literally,
// or by a * for its first label.
func covers(leaf *x509.Certificate, name string) bool {
	_, parent, _ := strings.Cut(name, ".")
	for _, n := range leaf.DNSNames {
		if strings.EqualFold(n, name) || parent != "" && strings.HasPrefix(n, "*.") && strings.EqualFold(n[2:], parent) {
			return true
		}
	}
	return false
}

// names returns what a certificate is for.
func names(leaf *x509.Certificate) []string {
	all := append([]string(nil), leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 && leaf.Subject.CommonName != "" {
		all = []string{printable(leaf.Subject.CommonName)}
	}
	return all
}

// printable bounds a name that a peer gave.
func printable(name string) string {
	name = strconv.QuoteToASCII(name[:min(len(name), 255)])
	return name[1 : len(name)-1]
}

// encode returns key and chain as PEM.
func encode(key crypto.Signer, chain [][]byte) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := pem.Encode(&b, &pem.Block{Type: "PRIVATE KEY", Bytes: der}); err != nil {
		return nil, err
	}
	for _, c := range chain {
		if err := pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c}); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// decodeKey reads a key that encode wrote.
func decodeKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, errors.New("no private key stands there")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T can't sign", key)
	}
	return signer, nil
}
