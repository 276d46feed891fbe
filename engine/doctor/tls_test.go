package doctor

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"adit/engine/egress"
	"adit/engine/enginetest"
	"adit/engine/server"
)

// What keeps a client from believing a certificate, each cause by its name. The
// credential is shown to none of them.
func TestCertificateOfAServer(t *testing.T) {
	t.Parallel()
	ours, theirs := enginetest.NewAuthority(t), enginetest.NewAuthority(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, ours.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	valid := func(begin, end time.Duration) *x509.Certificate {
		return &x509.Certificate{NotBefore: time.Now().Add(begin), NotAfter: time.Now().Add(end), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	}
	long := valid(-day, 90*day)
	for name, k := range map[string]struct {
		cert     tls.Certificate
		clock    time.Duration // what the server's Date is ahead
		noCA     bool
		check    string
		severity Severity
		words    []string
	}{
		"sound":      {cert: ours.Issue(long, "127.0.0.1"), check: "tls", severity: OK, words: []string{"TLS 1.3", "authority of a test", "89 days left"}},
		"ends soon":  {cert: ours.Issue(valid(-day, 5*day), "127.0.0.1"), check: "tls", severity: Warning, words: []string{"ends in 4 days", "renew"}},
		"read along": {cert: theirs.Server("127.0.0.1"), check: "tls", severity: Failure, words: []string{`"authority of a test"`, "reads along", "--ca", "ask who runs this network"}},
		"no ca":      {cert: ours.Server("127.0.0.1"), noCA: true, check: "tls", severity: Failure, words: []string{"this machine does not know", "--ca FILE"}},
		"other name": {cert: ours.Server("other.example.com"), check: "tls", severity: Failure, words: []string{"other.example.com, not for 127.0.0.1", "--server-name"}},
		"expired":    {cert: ours.Issue(valid(-2*time.Hour, -time.Hour), "127.0.0.1"), check: "tls", severity: Failure, words: []string{"has ended", "renew"}},
		"not yet":    {cert: ours.Issue(valid(48*time.Hour, 96*time.Hour), "127.0.0.1"), check: "tls", severity: Failure, words: []string{"begins at", "clock"}},
		"clock": {cert: ours.Issue(valid(48*time.Hour, 96*time.Hour), "127.0.0.1"), clock: 72 * time.Hour, check: "clock", severity: Failure,
			words: []string{"the clock of this machine is 3 days behind", "timedatectl"}},
		"clock ahead": {cert: ours.Issue(valid(-55*time.Minute, -50*time.Minute), "127.0.0.1"), clock: -52 * time.Minute, check: "clock", severity: Failure, words: []string{"52m0s ahead"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := acceptsOn(t, listensTLS(t, k.cert), func(c net.Conn) {
				r := bufio.NewReader(c)
				for {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					if req.Header.Get("X-Secret-Key") != "" && k.severity == Failure {
						t.Error("the credential was shown")
					}
					fmt.Fprintf(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nDate: %s\r\n\r\n", time.Now().Add(k.clock).UTC().Format(http.TimeFormat))
				}
			})
			o := client(t, at("wss", addr))
			o.Secret = "sesame-of-a-test"
			if !k.noCA {
				o.Egress, o.CA = wayOut(t, egress.Options{Proxy: egress.None, CA: file}), file
			}
			all := diagnose(t, o)
			all.want(t, k.check, k.severity, k.words...)
		})
	}
}

// The certificate of a client says who it is: it is for its server alone.
func TestCertificateOfAClient(t *testing.T) {
	t.Parallel()
	ours, theirs := enginetest.NewAuthority(t), enginetest.NewAuthority(t)
	dir := t.TempDir()
	root := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(root, ours.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	cert, key := enginetest.WriteCertificate(t, dir, "pi", ours.Client("pi"))
	for name, k := range map[string]struct {
		server tls.Certificate
		shown  int
	}{"to its server": {ours.Server("127.0.0.1"), 2}, "to who reads along": {theirs.Server("127.0.0.1"), 0}} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(name+", "+tls.VersionName(version), func(t *testing.T) {
				t.Parallel()
				shown := make(chan int, 8)
				ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{k.server}, ClientAuth: tls.RequestClientCert, MaxVersion: version})
				if err != nil {
					t.Fatal(err)
				}
				addr := acceptsOn(t, ln, func(c net.Conn) {
					if s := c.(*tls.Conn); s.Handshake() == nil {
						select {
						case shown <- len(s.ConnectionState().PeerCertificates):
						default:
						}
					}
				})
				o := client(t, at("wss", addr))
				o.CA, o.Egress = root, wayOut(t, egress.Options{Proxy: egress.None, CA: root, Cert: cert, Key: key})
				diagnose(t, o)
				if n := <-shown; n != k.shown {
					t.Errorf("%d certificates of a chain are shown, want %d", n, k.shown)
				}
			})
		}
	}
}

// What is no TLS at all, or ends in its handshake.
func TestNoTLS(t *testing.T) {
	t.Parallel()
	diagnose(t, client(t, at("wss", adit(t, server.Options{})))).want(t, "tls", Failure, "speaks no TLS", "ws://")
	diagnose(t, client(t, at("wss", accepts(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 100)) })))).want(t, "tls", Failure, "cut in the TLS handshake")
}

// The other scheme is tried where what is on the way can look into this one; a
// credential never goes the other way round, from wss to ws.
func TestOtherScheme(t *testing.T) {
	t.Parallel()
	ours := enginetest.NewAuthority(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, ours.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	behind := adit(t, server.Options{})
	// One port that strips upgrades in clear and passes TLS on.
	secure := acceptsOn(t, listensTLS(t, ours.Server("127.0.0.1")), func(c net.Conn) {
		s, err := net.Dial("tcp", behind)
		if err != nil {
			return
		}
		defer s.Close()
		done := make(chan struct{})
		go func() { defer close(done); passes(s, c); _ = s.Close() }()
		passes(c, s)
		_ = c.Close()
		<-done
	})
	both := accepts(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		first, err := r.Peek(1)
		if err != nil {
			return
		}
		if first[0] != 22 { // no TLS
			_, _ = io.WriteString(c, "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n")
			return
		}
		s, err := net.Dial("tcp", secure)
		if err != nil {
			return
		}
		defer s.Close()
		done := make(chan struct{})
		go func() { defer close(done); _, _ = io.Copy(s, r); _ = s.Close() }()
		passes(c, s)
		_ = c.Close()
		<-done
	})
	o := client(t, at("ws", both))
	o.Egress = wayOut(t, egress.Options{Proxy: egress.None, CA: file})
	all := diagnose(t, o)
	all.want(t, "websocket", Failure, "takes the WebSocket upgrade out")
	all.want(t, "websocket", Note, "by wss://"+both+"/register the handshake passes")
}

// A clock that is off by minutes is a warning long before it is a failure, also
// where only something on the way is off.
func TestClocks(t *testing.T) {
	t.Parallel()
	for _, k := range []struct {
		skew     time.Duration
		severity Severity
		word     string
	}{
		{0, OK, "agree"}, {4 * time.Second, OK, "agree"}, {-20 * time.Second, Note, "20s ahead"}, {time.Hour, Warning, "1h0m0s behind"}, {-50 * 24 * time.Hour, Warning, "50 days ahead"},
	} {
		var all findings
		w := &way{c: &clientProbe{o: &ClientOptions{Found: func(f Finding) { all = append(all, f) }}}}
		w.clock([]reading{{"the server", 0}, {"the Date of the answer", k.skew}})
		all.want(t, "clock", k.severity, k.word)
	}
	skew, ok := dateOf(http.Header{"Date": {"Mon, 23 Nov 2026 09:00:10 GMT"}}, time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC), time.Date(2026, 11, 23, 9, 0, 1, 0, time.UTC))
	if !ok || skew != 10*time.Second {
		t.Errorf("%v, %v", skew, ok)
	}
	if _, ok := dateOf(http.Header{"Date": {"yesterday"}}, time.Now(), time.Now()); ok {
		t.Error("a date that is none")
	}
}
