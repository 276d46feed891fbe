// Package certs is what the listeners of this process show and ask for in TLS:
// certificates from files, read again on demand, or from an ACME server
// (RFC 8555), and the certificates of peers. It imports nothing of ours.
package certs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"
)

// Options of a Source. They are not changed after New.
type Options struct {
	Cert, Key  []string          // PEM files, in pairs; several are chosen by name
	MinVersion uint16            // of TLS; 0: 1.2
	HTTP2      bool              // is offered beside HTTP/1.1
	AskPeer    bool              // peers may show a certificate; who verifies it is the caller's business
	ACME       *ACME             // nil: files only
	Notice     func(text string) // told of what an operator should know; must not wait
	Logger     *slog.Logger
}

// ACME says where certificates come from that are in no file.
type ACME struct {
	Names   []string               // host names
	Exposed func(name string) bool // whether another name is to have one too; nil: none
	Mail    string                 // where the authority writes to
	Server  string                 // directory URL; "" Let's Encrypt
	Roots   *x509.CertPool         // of Server; nil: the system's
	Cache   string                 // directory, made with mode 0700
}

// A Source gives certificates to any number of listeners.
type Source struct{}

// New reads the files. Its error names the file and says what is wrong with it:
// no certificate, a key of another one, expired.
func New(o Options) (*Source, error) { return new(Source), nil }

// Config returns what a listener is opened with. Later reloads take effect in
// handshakes that begin then.
func (s *Source) Config() *tls.Config { return new(tls.Config) }

// Reload reads the files again. On an error what was in force stays.
func (s *Source) Reload() error { return nil }

// Challenges answers ACME's HTTP-01 and gives all else to next.
func (s *Source) Challenges(next http.Handler) http.Handler { return next }

// A Certificate is one of those that a Source shows.
type Certificate struct {
	Names    []string
	NotAfter time.Time
	From     string // the file, or "acme"
}

// Certificates lists what the Source has at this moment.
func (s *Source) Certificates() []Certificate { return nil }

// Close ends what runs for it and joins.
func (s *Source) Close() {}

// Pool reads a PEM file of authorities. Its error names the file.
func Pool(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read the authorities: %s has no certificate in PEM", path)
	}
	return pool, nil
}
