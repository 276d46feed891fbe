//go:build chaos

package chaos

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	bigendian "encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"adit/engine/enginetest"
)

const pebbleVersion = "github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.1"

// An acmeServer is pebble, Let's Encrypt's ACME server for tests, which validates
// as the real one does: by names that its resolver says are here.
type acmeServer struct {
	t    *testing.T
	url  string // of its directory
	ca   string // file with the authority of its own listener
	root *x509.CertPool
	pem  []byte // the same

	mu  sync.Mutex
	log bytes.Buffer
}

func (a *acmeServer) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.log.Write(p)
}

func (a *acmeServer) said() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.log.String()
}

// orders returns how many were made so far.
func (a *acmeServer) orders() int { return strings.Count(a.said(), "POST /order-plz") }

// pebbleTool returns the program, built by the module proxy if it is not installed.
func pebbleTool(t *testing.T) string {
	t.Helper()
	if path, err := exec.LookPath("pebble"); err == nil {
		return path
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "install", pebbleVersion)
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=-mod=mod")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("skipped: pebble is not installed and could not be: %v\n%s", err, out)
	}
	return filepath.Join(dir, "pebble")
}

// startACME starts pebble, which looks for challenges at these addresses and issues
// certificates for so long.
func startACME(t *testing.T, tool, web, secure string, validity time.Duration) *acmeServer {
	t.Helper()
	dir := t.TempDir()
	authority := enginetest.NewAuthority(t)
	cert, key := enginetest.WriteCertificate(t, dir, "pebble", authority.Server("127.0.0.1"))
	a := &acmeServer{t: t, ca: filepath.Join(dir, "ca.pem"), root: x509.NewCertPool()}
	listen, manage := enginetest.FreeAddr(t), enginetest.FreeAddr(t)
	port := func(addr string) json.Number {
		_, p, _ := net.SplitHostPort(addr)
		return json.Number(p)
	}
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": listen, "managementListenAddress": manage, "certificate": cert, "privateKey": key,
		"httpPort": port(web), "tlsPort": port(secure), "keyAlgorithm": "ecdsa",
		"retryAfter": map[string]int{"authz": 1, "order": 1},
		"profiles":   map[string]any{"default": map[string]any{"description": "x", "validityPeriod": int(validity.Seconds())}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string][]byte{a.ca: authority.PEM, filepath.Join(dir, "config.json"): config} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(tool, "-config", filepath.Join(dir, "config.json"), "-strict", "-dnsserver", resolver(t))
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_AUTHZREUSE=0")
	cmd.Stdout, cmd.Stderr = a, a
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("pebble: %s", a.said())
		}
	})
	a.url = "https://" + listen + "/dir"
	pooled := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authority.Pool}}
	defer pooled.CloseIdleConnections()
	if !eventually(startWait, func() bool {
		resp, err := (&http.Client{Transport: pooled}).Get("https://" + manage + "/roots/0")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		a.pem = text
		return err == nil && a.root.AppendCertsFromPEM(text)
	}) {
		t.Fatal("pebble does not answer")
	}
	return a
}

// resolver answers over TCP, as pebble asks, that every name is 127.0.0.1, and
// returns where.
func resolver(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() { ln.Close(); serving.Wait() })
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(startWait))
				for resolve(conn) == nil {
				}
			})
		}
	})
	return ln.Addr().String()
}

// resolve answers one question.
func resolve(conn net.Conn) error {
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return err
	}
	b := make([]byte, bigendian.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, b); err != nil {
		return err
	}
	var m dnsmessage.Message
	if err := m.Unpack(b); err != nil {
		return err
	}
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	if len(m.Questions) > 0 && m.Questions[0].Type == dnsmessage.TypeA {
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: m.Questions[0].Class, TTL: 1},
			Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
		}}
	}
	out, err := m.Pack()
	if err != nil {
		return err
	}
	_, err = conn.Write(append(bigendian.BigEndian.AppendUint16(nil, uint16(len(out))), out...))
	return err
}

// shown returns the certificate for a name, which the authority must vouch for.
func (a *acmeServer) shown(addr, name string) (*x509.Certificate, error) {
	d := &net.Dialer{Timeout: 15 * time.Second}
	c, err := tls.DialWithDialer(d, "tcp", addr, &tls.Config{RootCAs: a.root, ServerName: name})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0], nil
}

// await waits until the name has a certificate that is none of those.
func (a *acmeServer) await(addr, name string, not ...*x509.Certificate) *x509.Certificate {
	a.t.Helper()
	var got *x509.Certificate
	var err error
	if !eventually(40*time.Second, func() bool {
		if got, err = a.shown(addr, name); err != nil {
			return false
		}
		for _, n := range not {
			if n.Equal(got) {
				return false
			}
		}
		return true
	}) {
		a.t.Fatalf("no certificate for %s: %v", name, err)
	}
	return got
}

// TestCertificatesFromACME against a real server: by either challenge, from the
// cache after a restart, renewed in time, and for nobody's invention.
func TestCertificatesFromACME(t *testing.T) {
	t.Parallel() // it waits most of the time
	tool := pebbleTool(t)
	long := 90 * 24 * time.Hour

	t.Run("http-01", func(t *testing.T) {
		t.Parallel()
		listen, web := enginetest.FreeAddr(t), enginetest.FreeAddr(t)
		a := startACME(t, tool, web, enginetest.FreeAddr(t), long) // nobody answers TLS-ALPN-01 there
		cache := t.TempDir()
		args := []string{"server", "--headless", "--name", "acme", "--listen", listen, "--listen-http", web, "--acme", "www.chaos.test",
			"--acme-email", "ops@chaos.test", "--acme-directory", a.url, "--acme-ca", a.ca, "--acme-cache", cache}
		s := start(t, "server", nil, args...)
		s.await(0, "ready", 1, startWait)
		first := a.await(listen, "www.chaos.test")
		resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Get("http://" + web + "/x")
		if err != nil || resp.StatusCode != http.StatusPermanentRedirect {
			t.Errorf("beside the challenges: %v, %v", resp, err)
		} else {
			resp.Body.Close()
		}
		orders := a.orders()
		s.signal(syscall.SIGTERM)
		s.wait(startWait)
		s = start(t, "server again", nil, args...)
		s.await(0, "ready", 1, startWait)
		if again := a.await(listen, "www.chaos.test"); !again.Equal(first) || a.orders() != orders {
			t.Errorf("a restart does not use the cache: %d orders, then %d", orders, a.orders())
		}
	})

	t.Run("tls-alpn-01", func(t *testing.T) {
		t.Parallel()
		listen := enginetest.FreeAddr(t)
		a := startACME(t, tool, enginetest.FreeAddr(t), listen, long)
		s := start(t, "server", nil, "server", "--headless", "--name", "acme", "--listen", listen, "--acme", "www.chaos.test", "--acme", "exposed",
			"--domain", domain, "--acme-directory", a.url, "--acme-ca", a.ca, "--acme-cache", t.TempDir())
		s.await(0, "ready", 1, startWait)
		a.await(listen, "www.chaos.test")
		orders := a.orders()
		for _, name := range []string{"app.chaos.test", "nobody.chaos.test", "evil.example", "two.app.chaos.test", ""} {
			if c, err := a.shown(listen, name); err == nil {
				t.Errorf("%q is shown %v", name, c.DNSNames)
			}
		}
		if n := a.orders(); n != orders {
			t.Fatalf("strangers caused %d orders", n-orders)
		}

		// The certificate of an authority that the client does not know.
		roots := filepath.Join(t.TempDir(), "root.pem")
		if err := os.WriteFile(roots, a.pem, 0o600); err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(listen)
		origin := enginetest.NewOrigin()
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(origin.Serve(ln))
		c := start(t, "client", nil, "client", "--headless", "--server", "wss://127.0.0.1:"+port+"/register", "--server-name", "www.chaos.test", "--ca", roots,
			"--id", "pi", "--expose", fmt.Sprintf("app=http://%s", ln.Addr()))
		c.await(0, "ready", 1, startWait)
		got := a.await(listen, "app.chaos.test")
		if len(got.DNSNames) != 1 || got.DNSNames[0] != "app.chaos.test" || a.orders() != orders+1 {
			t.Errorf("%v, %d orders", got.DNSNames, a.orders()-orders)
		}
	})

	t.Run("renewal", func(t *testing.T) {
		t.Parallel()
		listen := enginetest.FreeAddr(t)
		a := startACME(t, tool, enginetest.FreeAddr(t), listen, 15*time.Second)
		s := start(t, "server", nil, "server", "--headless", "--name", "acme", "--listen", listen, "--acme", "www.chaos.test",
			"--acme-directory", a.url, "--acme-ca", a.ca, "--acme-cache", t.TempDir())
		s.await(0, "ready", 1, startWait)
		first := a.await(listen, "www.chaos.test")
		second := a.await(listen, "www.chaos.test", first)
		if late := time.Now().Sub(first.NotAfter); late > 0 {
			t.Errorf("renewed %v too late", late)
		}
		if second.NotAfter.Before(first.NotAfter) {
			t.Error("the new one ends before the old")
		}
	})
}
