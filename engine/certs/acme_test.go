package certs

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"adit/engine/enginetest"
)

// A refusing authority answers nothing but no, and counts who asks.
func refusing(t *testing.T) (url string, roots *x509.CertPool, asked *atomic.Int64) {
	asked = new(atomic.Int64)
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		http.Error(w, "no", http.StatusForbidden)
	}))
	t.Cleanup(s.Close)
	roots = x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return s.URL + "/dir", roots, asked
}

func ask(name string) *tls.Config { return &tls.Config{ServerName: name, InsecureSkipVerify: true} }

// TestStrangersWhoCauseOrders: only names of the configuration, and names that
// somebody exposes at this moment, are ever asked for.
func TestStrangersWhoCauseOrders(t *testing.T) {
	url, roots, asked := refusing(t)
	var exposed atomic.Bool
	var looked atomic.Int64
	s := open(t, Options{ACME: &ACME{Server: url, Roots: roots, Cache: t.TempDir(), Exposed: func(name string) bool {
		looked.Add(1)
		return exposed.Load() && name == "app.t.example"
	}}})
	for _, name := range []string{"", "evil.example", "app.t.example", "192.0.2.1", "a..b", "localhost", "../../etc", "xn--.example-.com", strings.Repeat("a.", 130) + "example"} {
		if leaf, _, err := handshake(t, s, ask(name)); err == nil {
			t.Errorf("%q is shown %v", name, leaf.DNSNames)
		}
	}
	if _, _, err := handshake(t, s, &tls.Config{ServerName: "app.t.example", InsecureSkipVerify: true, NextProtos: []string{challengeProto}}); err == nil {
		t.Error("a challenge that is not open is answered")
	}
	if n := asked.Load(); n != 0 {
		t.Fatalf("%d requests to the authority", n)
	}
	exposed.Store(true)
	if _, _, err := handshake(t, s, ask("app.t.example")); err == nil || asked.Load() == 0 {
		t.Errorf("an exposed name: %v, %d requests", err, asked.Load())
	}
}

// TestAuthorityThatRefuses is not asked again and again: the pause grows, a reload
// ends it, and many handshakes are one order.
func TestAuthorityThatRefuses(t *testing.T) {
	url, roots, asked := refusing(t)
	var b board
	cert, key := enginetest.WriteCertificate(t, t.TempDir(), "a", enginetest.NewAuthority(t).Issue(&x509.Certificate{NotAfter: time.Now().Add(99 * 24 * time.Hour)}, "other.example"))
	s := open(t, Options{Cert: []string{cert}, Key: []string{key}, Notice: b.notice,
		ACME: &ACME{Names: []string{"App.Example."}, Server: url, Roots: roots, Cache: t.TempDir()}})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			// Who has a certificate for another name shows that one meanwhile.
			if leaf, _, err := handshake(t, s, ask("app.example")); err != nil || leaf.DNSNames[0] != "other.example" {
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	first := asked.Load()
	if texts := b.take(); first == 0 || first > 2 || len(texts) != 1 || !strings.Contains(texts[0], "no certificate for app.example from ACME: ") || !strings.Contains(texts[0], "in 5m0s") {
		t.Errorf("%d requests, told %q", first, texts)
	}
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); asked.Load() == first; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a reload does not try again")
		}
	}
}

// TestCache: what is kept is used, what is broken or another's is not, and nobody
// else can read it.
func TestCache(t *testing.T) {
	dir := t.TempDir()
	url, roots, asked := refusing(t)
	c, err := openCache(filepath.Join(dir, "acme"), url)
	if err != nil {
		t.Fatal(err)
	}
	a := enginetest.NewAuthority(t)
	put := func(name, file string, change func(*x509.Certificate)) {
		template := &x509.Certificate{NotAfter: time.Now().Add(99 * 24 * time.Hour)}
		change(template)
		cert := a.Issue(template, name)
		key, err := signer(cert)
		if err == nil {
			err = c.keep(file, key, cert.Certificate)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	put("kept.example", "kept.example", func(*x509.Certificate) {})
	put("over.example", "over.example", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) })
	put("other.example", "swapped.example", func(*x509.Certificate) {})
	if err := os.WriteFile(c.file("broken.example"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, Options{ACME: &ACME{Names: []string{"kept.example"}, Server: url, Roots: roots, Cache: filepath.Join(dir, "acme")}})
	leaf, _, err := handshake(t, s, ask("kept.example"))
	if err != nil || leaf.DNSNames[0] != "kept.example" {
		t.Fatalf("%v, %v", leaf, err)
	}
	if asked.Load() != 0 {
		t.Error("the authority is asked for what is there")
	}
	for _, name := range []string{"over.example", "swapped.example", "broken.example"} {
		if _, _, err := handshake(t, s, ask(name)); err == nil {
			t.Errorf("%s is shown", name)
		}
	}
	if got := s.Certificates(); len(got) != 1 || got[0].From != FromACME {
		t.Errorf("%+v", got)
	}
	for path, want := range map[string]os.FileMode{c.dir: 0o700, filepath.Dir(c.dir): 0o700, c.file("kept.example"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

func TestNamesThatAreNoHostNames(t *testing.T) {
	for name, want := range map[string]string{
		"a.example": "a.example", "A.Example.": "a.example", "xn--bcher-kva.example": "xn--bcher-kva.example", "a-1.b": "a-1.b",
		"": "", "localhost": "", "a_b.example": "", "-a.example": "", "a-.example": "", "a..b": "", "../x.example": "", "a/b.example": "",
		"*.example": "", "1.2.3.4": "", "::1.": "", "a b.example": "", "ü.example": "", strings.Repeat("a", 64) + ".example": "",
	} {
		if got, err := hostName(name); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
}

func signer(c tls.Certificate) (crypto.Signer, error) {
	key, ok := c.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, errors.New("no signer")
	}
	return key, nil
}
