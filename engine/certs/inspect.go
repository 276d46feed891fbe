package certs

import (
	"crypto/x509"
	"log/slog"
)

// ReadPair reads a certificate and its key as New does, to be looked at: the chain
// as the file has it, and what is wrong with it that can be lived with, in words. Its
// error is New's.
func ReadPair(certFile, keyFile string) (chain []*x509.Certificate, doubts []string, err error) {
	_, doubts, err = readPair(certFile, keyFile)
	if err != nil {
		return nil, nil, err
	}
	text, err := ReadFile(certFile)
	if err != nil {
		return nil, nil, err
	}
	chain, err = parse(text)
	return chain, doubts, err
}

// Kept lists the certificates that stand in ACME.Cache and are not over, by name. It
// makes no directory. Server is as in ACME.
func Kept(dir, server string) map[string]*x509.Certificate {
	c, err := cacheAt(dir, server)
	if err != nil {
		return nil
	}
	kept := map[string]*x509.Certificate{}
	for name, cert := range c.certificates(nil, slog.New(slog.DiscardHandler)) {
		kept[name] = cert.Leaf
	}
	return kept
}
