package certs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"adit/engine/enginetest"
)

// A board collects notices.
type board struct {
	mu    sync.Mutex
	texts []string
}

func (b *board) notice(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.texts = append(b.texts, text)
}

func (b *board) take() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	texts := b.texts
	b.texts = nil
	return texts
}

func open(t *testing.T, o Options) *Source {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// TestFilesThatAreNoPair: what is wrong is said of the file that is wrong.
func TestFilesThatAreNoPair(t *testing.T) {
	dir := t.TempDir()
	a := enginetest.NewAuthority(t)
	good := a.Server("a.example")
	cert, key := enginetest.WriteCertificate(t, dir, "good", good)
	_, otherKey := enginetest.WriteCertificate(t, dir, "other", a.Server("b.example"))
	turned := good
	turned.Certificate = [][]byte{good.Certificate[1], good.Certificate[0]}
	turnedCert, _ := enginetest.WriteCertificate(t, dir, "turned", turned)
	text := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	empty := text("empty.pem", "")
	broken := text("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	locked := text("locked.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")
	for _, c := range []struct{ name, cert, key, want string }{
		{"no certificate file", filepath.Join(dir, "none.crt"), key, "none.crt"},
		{"no key file", cert, filepath.Join(dir, "none.key"), "none.key"},
		{"empty certificate", empty, key, "empty.pem: no certificate in PEM"},
		{"empty key", cert, empty, "empty.pem: no private key in PEM"},
		{"exchanged", key, cert, "are the two files exchanged?"},
		{"broken certificate", broken, key, "broken.pem: certificate 1 can't be read"},
		{"key of another", cert, otherKey, "other.key are no pair"},
		{"encrypted key", cert, locked, "locked.key: it is encrypted"},
		{"issuer first", turnedCert, key, "stands at place 2; put it first"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := New(Options{Cert: []string{c.cert}, Key: []string{c.key}})
			if err == nil {
				s.Close()
				t.Fatal("taken")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v\nwant %q", err, c.want)
			}
		})
	}
	if _, err := New(Options{Cert: []string{cert}}); err == nil {
		t.Error("a certificate without a key is taken")
	}
	if _, err := New(Options{}); err == nil {
		t.Error("nothing at all is taken")
	}
	if _, err := Pool(empty); err == nil || !strings.Contains(err.Error(), "empty.pem") {
		t.Errorf("empty pool: %v", err)
	}
	if _, err := Pool(cert); err != nil {
		t.Error(err)
	}
}

func TestFilesThatRaiseDoubts(t *testing.T) {
	dir := t.TempDir()
	a, other := enginetest.NewAuthority(t), enginetest.NewAuthority(t)
	late := a.Issue(&x509.Certificate{NotAfter: time.Now().Add(-time.Minute)}, "a.example")
	early := a.Issue(&x509.Certificate{NotBefore: time.Now().Add(time.Hour)}, "a.example")
	nameless := a.Issue(&x509.Certificate{})
	strange := a.Server("a.example")
	strange.Certificate = [][]byte{strange.Certificate[0], other.Server("x").Certificate[1]}
	for name, c := range map[string]struct {
		cert tls.Certificate
		mode os.FileMode
		want string
	}{
		"expired":     {late, 0o600, "expired on"},
		"not yet":     {early, 0o600, "is not valid before"},
		"no names":    {nameless, 0o600, "names no host"},
		"other chain": {strange, 0o600, "certificate 2 did not sign certificate 1"},
		"open key":    {a.Server("a.example"), 0o644, "chmod o-r"},
		"none at all": {a.Issue(&x509.Certificate{NotAfter: time.Now().Add(99 * 24 * time.Hour)}, "a.example"), 0o600, ""},
	} {
		t.Run(name, func(t *testing.T) {
			cert, key := enginetest.WriteCertificate(t, dir, strings.ReplaceAll(name, " ", ""), c.cert)
			if err := os.Chmod(key, c.mode); err != nil {
				t.Fatal(err)
			}
			var b board
			s := open(t, Options{Cert: []string{cert}, Key: []string{key}, Notice: b.notice})
			s.tellEnds()
			got := strings.Join(b.take(), "\n")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// handshake connects to s as name and returns the certificate that it shows.
func handshake(t *testing.T, s *Source, config *tls.Config) (*x509.Certificate, tls.ConnectionState, error) {
	t.Helper()
	ours, theirs := net.Pipe()
	served := make(chan error, 1)
	go func() {
		defer ours.Close()
		conn := tls.Server(ours, s.Config())
		err := conn.Handshake()
		if err == nil {
			_, err = io.Copy(conn, conn)
		}
		served <- err
	}()
	conn := tls.Client(theirs, config)
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	err := conn.Handshake()
	state := conn.ConnectionState()
	conn.Close()
	theirs.Close()
	<-served
	if err != nil {
		return nil, state, err
	}
	return state.PeerCertificates[0], state, nil
}

// TestCertificateOfAnotherName: the name asked for decides, the first is for all
// the rest.
func TestCertificateOfAnotherName(t *testing.T) {
	dir := t.TempDir()
	a := enginetest.NewAuthority(t)
	var o Options
	for i, names := range [][]string{{"a.example", "127.0.0.1"}, {"*.t.example"}, {"B.example", "x.t.example"}} {
		cert, key := enginetest.WriteCertificate(t, dir, fmt.Sprint(i), a.Server(names...))
		o.Cert, o.Key = append(o.Cert, cert), append(o.Key, key)
	}
	s := open(t, o)
	for asked, want := range map[string]string{
		"": "a.example", "a.example": "a.example", "A.Example": "a.example", "app.t.example": "*.t.example",
		"x.t.example": "*.t.example", "b.example": "B.example", "unknown.example": "a.example",
		"two.app.t.example": "a.example", "t.example": "a.example",
	} {
		leaf, _, err := handshake(t, s, &tls.Config{ServerName: asked, InsecureSkipVerify: true})
		if err != nil {
			t.Errorf("%q: %v", asked, err)
			continue
		}
		if leaf.DNSNames[0] != want {
			t.Errorf("%q: shown %v, want %s", asked, leaf.DNSNames, want)
		}
	}
}

// TestListenerThatOffersTooMuch holds versions, protocols and what is asked for.
func TestListenerThatOffersTooMuch(t *testing.T) {
	cert, key := enginetest.WriteCertificate(t, t.TempDir(), "a", enginetest.NewAuthority(t).Server("a.example"))
	with := func(change func(*Options)) *Source {
		o := Options{Cert: []string{cert}, Key: []string{key}}
		change(&o)
		return open(t, o)
	}
	for name, c := range map[string]struct {
		source  *Source
		client  *tls.Config
		version uint16 // 0: refused
		proto   string
	}{
		"1.3":                  {with(func(*Options) {}), &tls.Config{}, tls.VersionTLS13, ""},
		"1.2":                  {with(func(*Options) {}), &tls.Config{MaxVersion: tls.VersionTLS12}, tls.VersionTLS12, ""},
		"1.1":                  {with(func(*Options) {}), &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, 0, ""},
		"1.1, however told":    {with(func(o *Options) { o.MinVersion = tls.VersionTLS10 }), &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, 0, ""},
		"1.2 where 1.3 is due": {with(func(o *Options) { o.MinVersion = tls.VersionTLS13 }), &tls.Config{MaxVersion: tls.VersionTLS12}, 0, ""},
		"h2":                   {with(func(o *Options) { o.HTTP2 = true }), &tls.Config{NextProtos: []string{"http/1.1", "h2"}}, tls.VersionTLS13, "h2"},
		"no h2":                {with(func(*Options) {}), &tls.Config{NextProtos: []string{"http/1.1", "h2"}}, tls.VersionTLS13, "http/1.1"},
		"unknown protocol":     {with(func(*Options) {}), &tls.Config{NextProtos: []string{"smtp"}}, 0, ""},
		"challenge":            {with(func(*Options) {}), &tls.Config{NextProtos: []string{"acme-tls/1"}}, 0, ""},
	} {
		c.client.ServerName, c.client.InsecureSkipVerify = "a.example", true
		_, state, err := handshake(t, c.source, c.client)
		if c.version == 0 {
			if err == nil {
				t.Errorf("%s: connected with version %x and %q", name, state.Version, state.NegotiatedProtocol)
			}
			continue
		}
		if err != nil || state.Version != c.version || state.NegotiatedProtocol != c.proto {
			t.Errorf("%s: version %x, protocol %q, %v", name, state.Version, state.NegotiatedProtocol, err)
		}
	}
	if with(func(*Options) {}).Config().ClientAuth != tls.NoClientCert {
		t.Error("a certificate is asked for though nobody wants it")
	}
	if with(func(o *Options) { o.AskPeer = true }).Config().ClientAuth != tls.RequestClientCert {
		t.Error("a certificate of an unknown authority would cost the connection")
	}
}

// TestReload: new files serve from the next handshake on, bad ones change nothing,
// and a session from before is resumed.
func TestReload(t *testing.T) {
	dir := t.TempDir()
	a := enginetest.NewAuthority(t)
	cert, key := enginetest.WriteCertificate(t, dir, "a", a.Server("old.example"))
	s := open(t, Options{Cert: []string{cert}, Key: []string{key}})
	shown := func() string {
		leaf, _, err := handshake(t, s, &tls.Config{InsecureSkipVerify: true, ServerName: "x.example"})
		if err != nil {
			t.Fatal(err)
		}
		return leaf.DNSNames[0]
	}
	config := s.Config()
	cache := tls.NewLRUClientSessionCache(4)
	resumed := func() bool {
		ours, theirs := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer ours.Close()
			conn := tls.Server(ours, config)
			io.Copy(conn, conn)
		}()
		conn := tls.Client(theirs, &tls.Config{InsecureSkipVerify: true, ServerName: "x.example", ClientSessionCache: cache})
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		conn.Write([]byte("x"))
		conn.Read(make([]byte, 1)) // the ticket has come by then
		state := conn.ConnectionState()
		conn.Close()
		theirs.Close()
		<-done
		return state.DidResume
	}
	resumed()

	for name, bad := range map[string]func(){
		"mismatch": func() {
			enginetest.WriteCertificate(t, dir, "a", a.Server("new.example"))
			_, other := enginetest.WriteCertificate(t, dir, "b", a.Server("new.example"))
			if err := os.Rename(other, key); err != nil {
				t.Fatal(err)
			}
		},
		"expired": func() {
			enginetest.WriteCertificate(t, dir, "a", a.Issue(&x509.Certificate{NotAfter: time.Now().Add(-time.Second)}, "new.example"))
		},
		"gone": func() {
			if err := os.Remove(cert); err != nil {
				t.Fatal(err)
			}
		},
	} {
		bad()
		if err := s.Reload(); err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", name, err)
		}
		if got := shown(); got != "old.example" {
			t.Errorf("%s: shown %s", name, got)
		}
	}
	enginetest.WriteCertificate(t, dir, "a", a.Server("new.example"))
	swap, err := s.Prepare()
	if err != nil {
		t.Fatal(err)
	}
	if got := shown(); got != "old.example" {
		t.Errorf("prepared only, and shown %s", got)
	}
	swap()
	if got := shown(); got != "new.example" {
		t.Errorf("swapped, and shown %s", got)
	}
	if swap(); shown() != "old.example" {
		t.Errorf("swapped back, and shown %s", shown())
	}
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := shown(); got != "new.example" {
		t.Errorf("after the reload: %s", got)
	}
	if !resumed() {
		t.Error("a session from before is not resumed")
	}
	all := s.Certificates()
	if len(all) != 1 || all[0].From != cert || !slices.Equal(all[0].Names, []string{"new.example"}) || all[0].NotAfter.IsZero() {
		t.Errorf("%+v", all)
	}
}

// TestNoticesOfAnEnd come once each, in time, and again for another certificate.
func TestNoticesOfAnEnd(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		const day = 24 * time.Hour
		a := enginetest.NewAuthority(t)
		cert, key := enginetest.WriteCertificate(t, dir, "a", a.Issue(&x509.Certificate{NotAfter: time.Now().Add(20 * day)}, "a.example"))
		var b board
		s, err := New(Options{Cert: []string{cert}, Key: []string{key}, Notice: b.notice})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		var told []string
		for n := range 22 * 24 {
			for _, text := range b.take() {
				told = append(told, fmt.Sprintf("day %d: %s", n/24, text[strings.Index(text, ") ")+2:][:25]))
			}
			time.Sleep(time.Hour)
			synctest.Wait()
		}
		want := []string{"day 6: expires in 14 days", "day 17: expires in 3 days,", "day 19: expires in a day, ", "day 20: expired on"}
		if len(told) != len(want) {
			t.Fatalf("told %q", told)
		}
		for i := range want {
			if !strings.HasPrefix(told[i], want[i]) {
				t.Errorf("%q, want %q", told[i], want[i])
			}
		}
		enginetest.WriteCertificate(t, dir, "a", a.Issue(&x509.Certificate{NotAfter: time.Now().Add(2 * day)}, "a.example"))
		if err := s.Reload(); err != nil {
			t.Fatal(err)
		}
		if got := b.take(); len(got) != 1 || !strings.Contains(got[0], "expires in") {
			t.Errorf("of a new one that ends soon: %q", got)
		}
	})
}
