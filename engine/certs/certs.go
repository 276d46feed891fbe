// Package certs is what the listeners of this process show and ask for in TLS:
// certificates from files, read again on demand, or from an ACME server
// (RFC 8555), and the certificates of peers. It imports nothing of ours.
package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
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

	// RenewBefore is how long before its end a certificate is replaced; 0 is a
	// third of its life, at most 30 days.
	RenewBefore time.Duration
}

// A Source gives certificates to any number of listeners.
type Source struct {
	o    Options
	acme *issuer // nil: files only

	mu     sync.Mutex
	pairs  []*pair // in the order of Options.Cert; replaced, never changed
	told   map[string]time.Duration
	closed bool

	wake   chan struct{} // of look, for a new certificate; with room for one
	cancel context.CancelFunc
	work   sync.WaitGroup // look, orders
}

// lookEvery is how often certificates are looked at, to renew them and to tell of
// their end.
const lookEvery = time.Hour

// New reads the files, and begins to get the certificates of ACME.Names: the
// listeners that answer the challenges are to be bound by then. Its error names
// the file and says what is wrong with it: no certificate, a key of another one.
// One that is expired is shown all the same, with a notice: who verifies nothing
// can go on.
func New(o Options) (*Source, error) {
	if len(o.Cert) != len(o.Key) {
		return nil, fmt.Errorf("%d certificates and %d keys: every certificate needs its key", len(o.Cert), len(o.Key))
	}
	if len(o.Cert) == 0 && o.ACME == nil {
		return nil, errors.New("neither a certificate nor ACME")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Notice == nil {
		o.Notice = func(string) {}
	}
	s := &Source{o: o, told: map[string]time.Duration{}, wake: make(chan struct{}, 1)}
	pairs, notices, err := readPairs(o.Cert, o.Key)
	if err != nil {
		return nil, err
	}
	s.pairs = pairs
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(context.Background())
	if o.ACME != nil {
		if s.acme, err = newIssuer(ctx, s); err != nil {
			s.cancel()
			return nil, err
		}
	}
	for _, text := range notices {
		o.Notice(text)
	}
	s.work.Go(func() { s.look(ctx) })
	return s, nil
}

// Config returns what a listener is opened with. Later reloads take effect in
// handshakes that begin then; sessions begun before are resumed still, since the
// keys of their tickets are those of the Config.
//
// It lists no cipher suites: those of TLS 1.3 can't be chosen, and of TLS 1.2's Go
// takes the safe ones, in the order in which this machine and the peer are fast. A
// list here would only grow old.
func (s *Source) Config() *tls.Config {
	c := &tls.Config{
		MinVersion:     max(s.o.MinVersion, tls.VersionTLS12),
		GetCertificate: s.certificate,
	}
	if s.o.HTTP2 {
		c.NextProtos = append(c.NextProtos, "h2")
	}
	c.NextProtos = append(c.NextProtos, "http/1.1")
	if s.o.ACME != nil {
		c.NextProtos = append(c.NextProtos, challengeProto)
	}
	if s.o.AskPeer {
		// Not VerifyClientCertIfGiven: clients and callers may have different
		// authorities, and a certificate of neither must not cost the connection
		// of who has a token beside it.
		c.ClientAuth = tls.RequestClientCert
	}
	return c
}

// certificate answers a ClientHello.
func (s *Source) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if s.acme != nil && len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == challengeProto {
		return s.acme.challenge(hello.ServerName)
	}
	pairs := s.now()
	if p := choose(pairs, hello); p != nil {
		return &p.cert, nil
	}
	if s.acme != nil {
		cert, err := s.acme.certificate(hello)
		if cert != nil || err != nil && len(pairs) == 0 {
			return cert, err
		}
	}
	if len(pairs) == 0 {
		return nil, fmt.Errorf("no certificate for %q", printable(hello.ServerName))
	}
	return &pairs[0].cert, nil
}

// now returns the pairs in force.
func (s *Source) now() []*pair {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pairs
}

// Reload reads the files again. On an error what was in force stays: a pair that
// does not fit, or an expired certificate in place of one that is not. Orders that
// failed are tried again at once.
func (s *Source) Reload() error {
	swap, err := s.Prepare()
	if err == nil {
		swap()
	}
	return err
}

// Prepare is the first half of Reload, which changes nothing. swap is the second:
// it puts in force what was read and, called again, what had been in force.
func (s *Source) Prepare() (swap func(), err error) {
	pairs, notices, err := readPairs(s.o.Cert, s.o.Key)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	for i, old := range s.now() {
		if end := pairs[i].leaf().NotAfter; now.After(end) && !now.After(old.leaf().NotAfter) {
			return nil, fmt.Errorf("%s: the certificate expired on %s, and the one in force has not; it stays", s.o.Cert[i], date(end))
		}
	}
	return func() {
		s.mu.Lock()
		s.pairs, pairs = pairs, s.pairs
		s.mu.Unlock()
		for _, text := range notices {
			s.o.Notice(text)
		}
		notices = nil
		s.tellEnds()
		if s.acme != nil {
			s.acme.forgive()
		}
	}, nil
}

// Challenges answers ACME's HTTP-01 (RFC 8555 §8.3), which is tried from then on,
// and gives all else to next.
func (s *Source) Challenges(next http.Handler) http.Handler {
	if s.acme == nil {
		return next
	}
	return s.acme.handler(next)
}

// A Certificate is one of those that a Source shows.
type Certificate struct {
	Names    []string
	NotAfter time.Time
	From     string // the file, or "acme"
}

// Certificates lists what the Source has at this moment, those of files first.
func (s *Source) Certificates() []Certificate {
	var all []Certificate
	for _, p := range s.now() {
		all = append(all, Certificate{Names: names(p.leaf()), NotAfter: p.leaf().NotAfter, From: p.file})
	}
	if s.acme != nil {
		all = append(all, s.acme.list()...)
	}
	return all
}

// Close ends what runs for it and joins: an order in flight is given up.
// Listeners go on with what it has.
func (s *Source) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.work.Wait()
	if s.acme != nil {
		s.acme.close()
	}
}

// spawn runs f on a goroutine that Close joins. It reports false, and runs
// nothing, after Close.
func (s *Source) spawn(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.work.Go(f)
	return true
}

// look tells of ends and renews until ctx ends.
func (s *Source) look(ctx context.Context) {
	tick := time.NewTimer(0)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.wake:
		}
		next := lookEvery
		if s.acme != nil {
			next = min(next, s.acme.renew())
		}
		s.tellEnds()
		tick.Reset(next)
	}
}

// tellEnds gives a notice of each certificate that ends soon, once for each of a
// few times before.
func (s *Source) tellEnds() {
	const day = 24 * time.Hour
	now := time.Now()
	var texts []string
	all := s.Certificates()
	s.mu.Lock()
	seen := make(map[string]time.Duration, len(all))
	for _, c := range all {
		key := c.From + " " + fmt.Sprint(c.Names) + c.NotAfter.String()
		left := c.NotAfter.Sub(now)
		for _, step := range []time.Duration{0, day, 3 * day, 14 * day} {
			if left > step {
				continue
			}
			told, ok := s.told[key]
			if !ok || step < told {
				texts = append(texts, ending(c, left))
				told = step
			}
			seen[key] = told
			break
		}
	}
	s.told = seen // of certificates that are gone nothing is kept
	s.mu.Unlock()
	for _, text := range texts {
		s.o.Notice(text)
	}
}

func ending(c Certificate, left time.Duration) string {
	what, do := "the certificate in "+c.From, "put a new one there"
	if c.From == FromACME {
		what, do = "the certificate from ACME", "it is renewed as soon as the authority answers: the log says why it did not"
	}
	if len(c.Names) > 0 {
		what += " (" + c.Names[0] + ")"
	}
	if left <= 0 {
		return fmt.Sprintf("%s expired on %s; %s", what, date(c.NotAfter), do)
	}
	in := "in less than a day"
	if days := int(left / (24 * time.Hour)); days > 1 {
		in = fmt.Sprintf("in %d days", days)
	} else if days == 1 {
		in = "in a day"
	}
	return fmt.Sprintf("%s expires %s, on %s; %s", what, in, date(c.NotAfter), do)
}

func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// Pool reads a PEM file of authorities. Its error names the file.
func Pool(path string) (*x509.CertPool, error) {
	text, err := ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the authorities: %w", err)
	}
	all, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("read the authorities: %s: %w", path, err)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("read the authorities: %s has no certificate in PEM", path)
	}
	pool := x509.NewCertPool()
	for _, c := range all {
		pool.AddCert(c)
	}
	return pool, nil
}
