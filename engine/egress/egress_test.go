package egress

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWay(t *testing.T) {
	for name, tt := range map[string]struct {
		proxy, env   string
		scheme, addr string
		want         string
	}{
		"nothing":                        {"", "", "wss", "server:443", ""},
		"given":                          {"http://proxy:3128", "", "ws", "server:80", "http://proxy:3128"},
		"given without scheme":           {"proxy:3128", "", "ws", "server:80", "http://proxy:3128"},
		"given, for this machine too":    {"http://proxy:3128", "NO_PROXY=*", "ws", "127.0.0.1:80", "http://proxy:3128"},
		"none over the environment":      {"none", "HTTPS_PROXY=http://proxy:1", "wss", "server:443", ""},
		"given over the environment":     {"socks5://s:1", "HTTPS_PROXY=http://proxy:1", "wss", "server:443", "socks5://s:1"},
		"usual port of http":             {"http://proxy", "", "ws", "server:80", "http://proxy:80"},
		"usual port of https":            {"https://proxy", "", "ws", "server:80", "https://proxy:443"},
		"usual port of socks5":           {"socks5://proxy", "", "ws", "server:80", "socks5://proxy:1080"},
		"password is not shown":          {"http://u:p@proxy:1", "", "ws", "server:80", "http://proxy:1"},
		"wss by HTTPS_PROXY":             {"", "HTTPS_PROXY=http://a:1 HTTP_PROXY=http://b:1", "wss", "server:443", "http://a:1"},
		"ws by HTTP_PROXY":               {"", "HTTPS_PROXY=http://a:1 HTTP_PROXY=http://b:1", "ws", "server:80", "http://b:1"},
		"lower case":                     {"", "https_proxy=a:1", "wss", "server:443", "http://a:1"},
		"upper case first":               {"", "HTTPS_PROXY=up:1 https_proxy=low:1", "wss", "server:443", "http://up:1"},
		"ALL_PROXY for what has none":    {"", "ALL_PROXY=socks5h://all:9 HTTP_PROXY=b:1", "wss", "server:443", "socks5h://all:9"},
		"ALL_PROXY behind the others":    {"", "ALL_PROXY=socks5h://all:9 HTTP_PROXY=b:1", "ws", "server:80", "http://b:1"},
		"NO_PROXY names the host":        {"", "HTTPS_PROXY=a:1 NO_PROXY=server", "wss", "server:443", ""},
		"NO_PROXY names the domain":      {"", "HTTPS_PROXY=a:1 NO_PROXY=.internal", "wss", "x.internal:443", ""},
		"NO_PROXY names another":         {"", "HTTPS_PROXY=a:1 NO_PROXY=.internal", "wss", "x.example:443", "http://a:1"},
		"NO_PROXY names a block":         {"", "HTTPS_PROXY=a:1 no_proxy=10.0.0.0/8", "wss", "10.1.2.3:443", ""},
		"this machine needs no proxy":    {"", "HTTPS_PROXY=a:1", "wss", "127.0.0.1:443", ""},
		"an empty variable is as none":   {"", "HTTPS_PROXY= https_proxy=low:1", "wss", "server:443", "http://low:1"},
		"NO_PROXY with everything in it": {"", "HTTPS_PROXY=a:1 NO_PROXY=*", "wss", "server:443", ""},
	} {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{}
			for _, pair := range strings.Fields(tt.env) {
				k, v, _ := strings.Cut(pair, "=")
				env[k] = v
			}
			d := dialer(t, Options{Proxy: tt.proxy, LookupEnv: func(k string) (string, bool) { v, ok := env[k]; return v, ok }})
			if got := d.Way(tt.scheme, tt.addr); got != tt.want {
				t.Errorf("way %q, want %q", got, tt.want)
			}
		})
	}
}

// A wrong setting is told at the start, by its name and without the password.
func TestWrongProxy(t *testing.T) {
	env := func(k string) (string, bool) {
		return map[string]string{"https_proxy": "ftp://u:p4ssword@x:1"}[k], true
	}
	for name, o := range map[string]Options{
		"proxy: the scheme":       {Proxy: "ftp://u:p4ssword@x:1"},
		"https_proxy: the scheme": {LookupEnv: env},
		"proxy: no URL":           {Proxy: "http://%zz:p4ssword@"},
	} {
		_, err := New(o)
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "p4ssword") {
			t.Errorf("error %v, want %q", err, name)
		}
	}
}

// An authority makes certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tests"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// issue returns a pair for name that ends at end, as files.
func (a *authority) issue(t *testing.T, name string, end time.Time, usage x509.ExtKeyUsage) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: end, ExtKeyUsage: []x509.ExtKeyUsage{usage}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &k.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write(t, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
	return cert, key
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// shake shakes hands with a server of the given pair through d's settings.
func shake(t *testing.T, d *Dialer, name, cert, key string, ask *x509.CertPool) error {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}}
	if ask != nil {
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, ask
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	defer func() { ln.Close(); <-done }()
	go func() {
		defer close(done)
		if c, err := ln.Accept(); err == nil {
			c.(*tls.Conn).Handshake()
			io.WriteString(c, "x")
			c.Close()
		}
	}()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	settings := d.TLS()
	if settings.ServerName == "" {
		settings.ServerName = name
	}
	secure := tls.Client(c, settings)
	if err := secure.Handshake(); err != nil {
		return err
	}
	_, err = secure.Read(make([]byte, 1))
	return err
}

func TestServersCertificate(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	write(t, file, ca.pem)
	hour := time.Now().Add(time.Hour)
	good, goodKey := ca.issue(t, "server.example", hour, x509.ExtKeyUsageServerAuth)
	d := dialer(t, Options{CA: file})
	if err := shake(t, d, "server.example", good, goodKey, nil); err != nil {
		t.Errorf("a good certificate: %v", err)
	}
	strange, strangeKey := other.issue(t, "server.example", hour, x509.ExtKeyUsageServerAuth)
	ended, endedKey := ca.issue(t, "server.example", time.Now().Add(-time.Hour), x509.ExtKeyUsageServerAuth)
	for name, tt := range map[string]struct{ cert, key, asked, advice string }{
		"of another authority": {strange, strangeKey, "server.example", "--ca FILE"},
		"of another name":      {good, goodKey, "else.example", "--server-name NAME"},
		"that has ended":       {ended, endedKey, "server.example", "the clock"},
	} {
		err := shake(t, d, tt.asked, tt.cert, tt.key, nil)
		if err == nil || !strings.Contains(Advice(fmt.Errorf("tls: %w", err)), tt.advice) {
			t.Errorf("%s: error %v with advice %q, want %q", name, err, Advice(err), tt.advice)
		}
	}
	named := dialer(t, Options{CA: file, ServerName: "server.example"})
	if err := shake(t, named, "", good, goodKey, nil); err != nil {
		t.Errorf("with --server-name: %v", err)
	}
	// A reload trusts the new authority and not the old one; a broken file changes
	// nothing.
	write(t, file, []byte("nonsense"))
	if _, err := d.Prepare(); err == nil {
		t.Error("a file without certificates was taken")
	}
	if err := shake(t, d, "server.example", good, goodKey, nil); err != nil {
		t.Errorf("after a reload that failed: %v", err)
	}
	write(t, file, other.pem)
	swap, err := d.Prepare()
	if err != nil {
		t.Fatal(err)
	}
	if err := shake(t, d, "server.example", good, goodKey, nil); err != nil {
		t.Errorf("prepared, and in force before it was to be: %v", err)
	}
	swap()
	swap()
	if err := shake(t, d, "server.example", good, goodKey, nil); err != nil {
		t.Errorf("what had been in force is not put back: %v", err)
	}
	swap()
	if err := shake(t, d, "server.example", good, goodKey, nil); err == nil {
		t.Error("the former authority is trusted still")
	}
	if err := shake(t, d, "server.example", strange, strangeKey, nil); err != nil {
		t.Errorf("the new authority: %v", err)
	}
}

func TestCertificateForTheServer(t *testing.T) {
	ca := newAuthority(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	write(t, file, ca.pem)
	hour := time.Now().Add(time.Hour)
	cert, key := ca.issue(t, "server.example", hour, x509.ExtKeyUsageServerAuth)
	own, ownKey := ca.issue(t, "edge-1", hour, x509.ExtKeyUsageClientAuth)
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	if err := shake(t, dialer(t, Options{CA: file, Cert: own, Key: ownKey}), "server.example", cert, key, pool); err != nil {
		t.Errorf("with a certificate: %v", err)
	}
	err := shake(t, dialer(t, Options{CA: file}), "server.example", cert, key, pool)
	if err == nil || !strings.Contains(Advice(err), "--tls-cert") {
		t.Errorf("without a certificate: %v, advice %q", err, Advice(err))
	}
	if _, err := New(Options{Cert: own, Key: key}); err == nil || !strings.Contains(err.Error(), own) {
		t.Errorf("the key of another certificate: %v", err)
	}
}

// The proxy's own TLS is judged by the proxy's name, and the certificate for the
// server is not shown to it.
func TestStreamThroughAProxyOverTLS(t *testing.T) {
	ca := newAuthority(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	write(t, file, ca.pem)
	hour := time.Now().Add(time.Hour)
	cert, key := ca.issue(t, "localhost", hour, x509.ExtKeyUsageServerAuth)
	own, ownKey := ca.issue(t, "edge-1", hour, x509.ExtKeyUsageClientAuth)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	shown := make(chan int, 1)
	proxy := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown <- len(r.TLS.PeerCertificates)
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		io.Copy(c, c)
	}))
	proxy.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert}
	proxy.StartTLS()
	defer proxy.Close()
	_, port, _ := net.SplitHostPort(proxy.Listener.Addr().String())
	d := dialer(t, Options{Proxy: "https://localhost:" + port, CA: file, Cert: own, Key: ownKey, ServerName: "else.example"})
	c, err := dial(t, d)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "hello")
	got := make([]byte, 5)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
	if n := <-shown; n != 0 {
		t.Errorf("the proxy was shown %d certificates", n)
	}
	c.Close()
}

func FuzzAnswerOfProxy(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\n\r\nEARLY")
	f.Add("HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\n\r\n")
	f.Add("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
	f.Add("\x16\x03\x01")
	f.Fuzz(func(t *testing.T, answer string) {
		ours, theirs := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			theirs.Read(make([]byte, 1024))
			io.WriteString(theirs, answer)
			theirs.Close()
		}()
		d := &Dialer{}
		d.files.Store(new(files))
		u, _ := parseProxy("http://proxy:1")
		c, err := d.ask(t.Context(), ours, u, "server:443")
		if err == nil {
			// What came behind the head is all there, once.
			_, rest, _ := strings.Cut(answer, "\n\r\n")
			if i := strings.Index(answer, "\n\n"); i >= 0 && (rest == "" || i < strings.Index(answer, "\n\r\n")) {
				rest = answer[i+2:]
			}
			got, _ := io.ReadAll(c)
			if !strings.HasSuffix(answer, string(got)) || len(got) > len(answer) || len(got) < len(rest) {
				t.Errorf("answer %q: read %q behind it", answer, got)
			}
		} else if len(err.Error()) > 1000 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
		ours.Close()
		<-done
	})
}
