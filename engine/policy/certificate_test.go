package policy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/policy"
)

// An issuer makes certificates.
type issuer struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	n    int64
}

func newIssuer(t testing.TB, name string) *issuer {
	i := &issuer{t: t, n: 1}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	i.cert, i.key = i.sign(template)
	return i
}

// sign issues what template says; by itself where there is no certificate yet.
func (i *issuer) sign(template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	i.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	i.n++
	template.SerialNumber = big.NewInt(i.n)
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	template.NotBefore = template.NotAfter.Add(-48 * time.Hour)
	parent, signer := template, key
	if i.cert != nil {
		parent, signer = i.cert, i.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		i.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		i.t.Fatal(err)
	}
	return cert, key
}

// leaf issues a certificate for a peer.
func (i *issuer) leaf(change func(*x509.Certificate)) tls.Certificate {
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "common"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if change != nil {
		change(template)
	}
	cert, key := i.sign(template)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

func (i *issuer) authority() *policy.Authority {
	pool := x509.NewCertPool()
	pool.AddCert(i.cert)
	return policy.NewAuthority(pool)
}

func shown(certs ...*x509.Certificate) *tls.ConnectionState {
	return &tls.ConnectionState{PeerCertificates: certs}
}

func TestClientCertificates(t *testing.T) {
	ours, others := newIssuer(t, "ours"), newIssuer(t, "ours") // the same name, another key
	below := &issuer{t: t, n: 100}
	below.cert, below.key = ours.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "below"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotAfter: time.Now().Add(10 * time.Minute)})
	edge := ours.leaf(func(c *x509.Certificate) { c.DNSNames = []string{"edge.example", "other.example"} }).Leaf
	expired := ours.leaf(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Second) }).Leaf
	server := ours.leaf(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }).Leaf
	deep := below.leaf(nil).Leaf
	foreign := others.leaf(nil).Leaf
	for _, k := range []struct {
		name string
		tls  *tls.ConnectionState
		want string // "" refused
	}{
		{"ours", shown(edge), "edge.example"},
		{"through an intermediate", shown(deep, below.cert), "common"},
		{"the intermediate missing", shown(deep), ""},
		{"wrong authority", shown(foreign), ""},
		{"wrong authority that is shown too", shown(foreign, others.cert), ""},
		{"expired", shown(expired), ""},
		{"for servers only", shown(server), ""},
		{"right one not in front", shown(foreign, edge), ""},
		{"none", shown(), ""},
		{"no TLS", nil, ""},
	} {
		clients, callers := &policy.Clients{CA: ours.authority()}, &policy.Callers{CA: ours.authority()}
		for again := range 2 { // what is remembered must not say otherwise
			id, err := clients.Admit(&policy.Presented{Header: http.Header{}, TLS: k.tls})
			if (err == nil) != (k.want != "") || id.Name != k.want {
				t.Errorf("%s, %d: client %q, %v", k.name, again, id.Name, err)
			}
			h := http.Header{"Authorization": {"Bearer origins"}}
			id, err = callers.Admit(&policy.Presented{Header: h, TLS: k.tls}, engine.WayConnect)
			if (err == nil) != (k.want != "") || id.Name != k.want || len(h) != 1 {
				t.Errorf("%s, %d: caller %q, %v, left %v", k.name, again, id.Name, err, h)
			}
		}
	}
	id, err := (&policy.Clients{CA: ours.authority()}).Admit(&policy.Presented{Header: http.Header{}, TLS: shown(deep, below.cert)})
	if err != nil || !id.Expires.Equal(below.cert.NotAfter) {
		t.Errorf("over at %v, and its issuer at %v (%v)", id.Expires, below.cert.NotAfter, err)
	}
	if _, ok := (&policy.Clients{CA: ours.authority()}).Renew(&id); !ok {
		t.Error("the same authority read again does not hold")
	}
	if _, ok := (&policy.Clients{CA: others.authority()}).Renew(&id); ok {
		t.Error("another authority holds")
	}
	if _, ok := (&policy.Clients{Secrets: policy.NewSecrets("x")}).Renew(&id); ok {
		t.Error("no authority holds")
	}
}

// A credential in a field and a certificate never make two of one peer (P3): the
// field goes before, and one that is wrong is not mended by a certificate.
func TestCertificateBesideAField(t *testing.T) {
	ours := newIssuer(t, "ours")
	good := shown(ours.leaf(nil).Leaf)
	clients := &policy.Clients{Secrets: policy.NewSecrets("s3cret"), CA: ours.authority()}
	callers := &policy.Callers{Secrets: policy.NewSecrets("t0ken"), CA: ours.authority()}
	for _, k := range []struct {
		name           string
		h              http.Header
		client, caller string
	}{
		{"no field", http.Header{}, "common", "common"},
		{"a good field", http.Header{"X-Secret-Key": {"s3cret"}, "Proxy-Authorization": {"Bearer t0ken"}}, "shared secret", "shared secret"},
		{"a wrong one", http.Header{"X-Secret-Key": {"x"}, "Proxy-Authorization": {"Bearer x"}}, "!credential missing or wrong", "!credential missing or wrong"},
		{"basic of a front, the origin's authorization", http.Header{"Authorization": {basic("u", "p")}}, "common", "common"},
		{"a token that was revoked", http.Header{"Authorization": {"Bearer adit_abcd_EFGH"}}, "!credential missing or wrong", "!credential missing or wrong"},
		{"authorization twice", http.Header{"Authorization": {"Bearer t0ken", "Bearer x"}}, "!malformed request", "!malformed request"},
	} {
		id, err := clients.Admit(&policy.Presented{Header: k.h.Clone(), TLS: good})
		if got := outcome(id.Name, err); got != k.client {
			t.Errorf("%s: client %q, want %q", k.name, got, k.client)
		}
		id, err = callers.Admit(&policy.Presented{Header: k.h.Clone(), TLS: good}, engine.WayHost)
		if got := outcome(id.Name, err); got != k.caller {
			t.Errorf("%s: caller %q, want %q", k.name, got, k.caller)
		}
	}
}

func TestNameOfACertificate(t *testing.T) {
	ours := newIssuer(t, "ours")
	clients := &policy.Clients{CA: ours.authority()}
	spiffe := &url.URL{Scheme: "spiffe", Host: "example", Path: "/edge"}
	for want, change := range map[string]func(*x509.Certificate){
		"common":                nil,
		"a.example":             func(c *x509.Certificate) { c.DNSNames = []string{"a.example"}; c.URIs = []*url.URL{spiffe} },
		"spiffe://example/edge": func(c *x509.Certificate) { c.URIs = []*url.URL{spiffe}; c.EmailAddresses = []string{"a@b"} },
		"a@b":                   func(c *x509.Certificate) { c.EmailAddresses = []string{"a@b"} },
		"a?[2Jb":                func(c *x509.Certificate) { c.Subject.CommonName = "a\x1b[2Jb" },
	} {
		id, err := clients.Admit(&policy.Presented{Header: http.Header{}, TLS: shown(ours.leaf(change).Leaf)})
		if err != nil || id.Name != want {
			t.Errorf("%q, %v, want %q", id.Name, err, want)
		}
	}
}

// A chain is verified once per connection: this rests on net/http handing every
// request of one the same state, which is held here for HTTP/1.1 and HTTP/2. What is
// remembered goes with the connection.
func TestVerdictIsRememberedPerConnection(t *testing.T) {
	ours := newIssuer(t, "ours")
	clients := &policy.Clients{CA: ours.authority()}
	for _, http2 := range []bool{false, true} {
		var mu sync.Mutex
		states := map[string][]*tls.ConnectionState{} // by connection
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			states[r.RemoteAddr] = append(states[r.RemoteAddr], r.TLS)
			mu.Unlock()
			id, err := clients.Admit(&policy.Presented{Header: r.Header, TLS: r.TLS})
			if err != nil || id.Name != "common" {
				t.Errorf("%q, %v", id.Name, err)
			}
		}))
		srv.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
		srv.EnableHTTP2 = http2
		srv.StartTLS()
		leaf := ours.leaf(nil)
		for range 2 {
			tr := srv.Client().Transport.(*http.Transport).Clone()
			tr.TLSClientConfig.Certificates = []tls.Certificate{leaf}
			tr.DialContext = (&net.Dialer{}).DialContext
			for range 3 {
				resp, err := (&http.Client{Transport: tr}).Get(srv.URL)
				if err != nil {
					t.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if http2 != (resp.ProtoMajor == 2) {
					t.Errorf("spoke %s", resp.Proto)
				}
			}
			tr.CloseIdleConnections()
		}
		srv.Close()
		if len(states) != 2 {
			t.Errorf("%d connections, want 2", len(states))
		}
		for _, of := range states {
			if len(of) != 3 || len(slices.Compact(of)) != 1 {
				t.Errorf("http2 %v: one connection, several states: %p", http2, of)
			}
		}
	}
	deadline := time.Now().Add(10 * time.Second)
	for clients.CA.Remembered() > 0 {
		if runtime.GC(); time.Now().After(deadline) {
			t.Fatalf("%d verdicts are kept", clients.CA.Remembered())
		}
		time.Sleep(time.Millisecond)
	}
}
