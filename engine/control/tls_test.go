package control

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
)

// certificate is one for 127.0.0.1 and adit.test, and who trusts it.
func certificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"adit.test"}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// secure serves the rig over TLS too and returns where, and how it is trusted.
func (r *rig) secure(t testing.TB) (addr string, trust *tls.Config) {
	t.Helper()
	cert, pool := certificate(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.serve(t, tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}}))
	return ln.Addr().String(), &tls.Config{RootCAs: pool}
}

func withTokens(o *Options) {
	o.Tokens, o.ReadTokens = []string{"root=all-powerful", "aGVsbG8gd29ybGQhIQ=="}, []string{"only-looking"}
}

func TestWhoIsNotAdmitted(t *testing.T) {
	rig := newRig(t, scene(1), withTokens)
	addr, trust := rig.secure(t)
	transport := &http.Transport{TLSClientConfig: trust}
	t.Cleanup(transport.CloseIdleConnections)
	secured := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	local := rig.client(t)
	good := map[string]string{"Authorization": "Bearer all-powerful", "Content-Type": "application/json"}
	with := func(h map[string]string, more ...string) map[string]string {
		all := map[string]string{}
		for k, v := range h {
			all[k] = v
		}
		for i := 0; i < len(more); i += 2 {
			all[more[i]] = more[i+1]
		}
		return all
	}
	for _, c := range []struct {
		name         string
		client       *http.Client
		method, path string
		fields       map[string]string
		status       int
		says         string
	}{
		{"no token", secured, "GET", "/v1/", nil, 401, "token"},
		{"wrong token", secured, "GET", "/v1/", map[string]string{"Authorization": "Bearer all-powerfuL"}, 401, "not known"},
		{"password", secured, "GET", "/v1/", map[string]string{"Authorization": "Basic YWxsLXBvd2VyZnVsOg=="}, 401, "token"},
		{"name of the token as the token", secured, "GET", "/v1/", map[string]string{"Authorization": "Bearer root=all-powerful"}, 401, "not known"},
		{"rebinding", secured, "GET", "/v1/", with(good, "Host", "evil.example.com"), 421, "Host"},
		{"page in a browser", secured, "GET", "/v1/", with(good, "Origin", "https://evil.example.com"), 403, "browsers"},
		{"page in a browser, locally", local, "GET", "/v1/", map[string]string{"Origin": "null"}, 403, "browsers"},
		{"form", local, "POST", "/v1/drain", map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, 415, "application/json"},
		{"simple request", local, "POST", "/v1/drain", map[string]string{"Content-Type": "text/plain"}, 415, "application/json"},
		{"reader acts", secured, "POST", "/v1/drain", with(good, "Authorization", "Bearer only-looking"), 403, "may only look"},
		{"reader asks for secrets", secured, "GET", "/v1/requests/r-2?secrets=shown", with(good, "Authorization", "Bearer only-looking"), 403, "secrets"},
		{"reader asks for content", secured, "GET", "/v1/requests/r-2/content", with(good, "Authorization", "Bearer only-looking"), 403, "content"},
		{"reader exports secrets", secured, "GET", "/v1/export.har?secrets=shown", with(good, "Authorization", "Bearer only-looking"), 403, "secrets"},
		{"reader guesses a secret", secured, "GET", "/v1/requests?filter=-(method:GET+OR+header.authorization:Bearer*)", with(good, "Authorization", "Bearer only-looking"), 403, "header"},
		{"reader guesses in an export", secured, "GET", "/v1/export.har?filter=header.cookie:a*", with(good, "Authorization", "Bearer only-looking"), 403, "header"},
		{"reader guesses in a stream", secured, "GET", "/v1/stream?filter=header.cookie:a*", with(good, "Authorization", "Bearer only-looking"), 403, "header"},
		{"reader guesses in a tail", secured, "GET", "/v1/tail?subject=requests&filter=header.cookie:a*", with(good, "Authorization", "Bearer only-looking"), 403, "header"},
		{"reader filters by type", secured, "GET", "/v1/requests?filter=type:json", with(good, "Authorization", "Bearer only-looking"), 200, "requests"},
		{"filling of base64 as the token", secured, "GET", "/v1/", map[string]string{"Authorization": "Bearer ="}, 401, "not known"},
		{"token that base64 filled up", secured, "GET", "/v1/", map[string]string{"Authorization": "Bearer aGVsbG8gd29ybGQhIQ=="}, 200, `"you":"token-2"`},
		{"admitted reader", secured, "GET", "/v1/", map[string]string{"Authorization": "Bearer only-looking"}, 200, `"read_only":true`},
		{"admitted", secured, "GET", "/v1/", with(good, "Adit-Client", "ann@laptop\x7f"), 200, `"you":"root (ann@laptop)"`},
		{"no such call", local, "GET", "/v2/", nil, 404, "GET /v1/"},
		{"no such method", local, "DELETE", "/v1/snapshot", nil, 405, "use GET"},
		{"no such connection", local, "GET", "/v1/connections/c-77", nil, 404, "not_found"},
		{"no id", local, "GET", "/v1/connections/x", nil, 400, "c-NUMBER"},
		{"bad filter", local, "GET", "/v1/requests?filter=dur:%3E20q", nil, 400, `"column":5`},
		{"bad number", local, "GET", "/v1/requests?limit=1001", nil, 400, "1000"},
		{"bad order", local, "GET", "/v1/requests?order=luck", nil, 400, "duration"},
		{"bad kinds", local, "GET", "/v1/tail?kinds=x", nil, 400, "lifecycle"},
		{"filter without a subject", local, "GET", "/v1/tail?filter=x", nil, 400, "subject"},
	} {
		t.Run(c.name, func(t *testing.T) {
			base := "http://adit"
			if c.client == secured {
				base = "https://" + addr
			}
			r, err := http.NewRequest(c.method, base+c.path, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			for k, v := range c.fields {
				if r.Header[k] = []string{strings.Trim(v, "\x7f")}; k == "Host" {
					r.Host = v
				}
			}
			resp, err := c.client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var b strings.Builder
			_, _ = copyAll(&b, resp)
			if resp.StatusCode != c.status || !strings.Contains(b.String(), c.says) {
				t.Errorf("%d %s\nwant %d, with %q", resp.StatusCode, b.String(), c.status, c.says)
			}
		})
	}
	if n := len(rig.engine.Actions()); n != 0 {
		t.Errorf("%d actions of those who were refused reached the engine", n)
	}
}

func TestSecretThatALookerSees(t *testing.T) {
	rig := newRig(t, scene(1), withTokens)
	_, text := get(t, rig.client(t), "http://adit/v1/requests/r-2")
	if strings.Contains(text, "abcdef") || strings.Contains(text, "s=1") || !strings.Contains(text, "app.example.com") {
		t.Errorf("not masked: %s", text)
	}
	if _, text := get(t, rig.client(t), "http://adit/v1/requests/r-2?secrets=shown"); !strings.Contains(text, "abcdef") {
		t.Errorf("masked although it was asked for: %s", text)
	}
	addr, trust := rig.secure(t)
	r := dial(t, "https://"+addr, DialOptions{Token: "only-looking", TLS: trust})
	if l := r.Link(); !l.ReadOnly || !strings.HasPrefix(l.Name, "reader-1") {
		t.Errorf("link of a reader: %+v", l)
	}
	if _, err := r.Subscribe(t.Context(), engine.SubscribeOptions{Filter: "header.cookie:a*"}); !errors.Is(err, engine.ErrReadOnly) {
		t.Errorf("a filter that would be refused is asked for: %v", err)
	}
	x, err := r.Request(t.Context(), 2)
	if err != nil || x.Heads == nil || strings.Contains(x.Heads.Request, "abcdef") {
		t.Errorf("%v %+v", err, x.Heads)
	}
}

func TestPlainListenerThatIsServed(t *testing.T) {
	rig := newRig(t, scene(1), withTokens)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := rig.server.Serve(ln); err == nil || !strings.Contains(err.Error(), "in the clear") {
		t.Errorf("Serve: %v", err)
	}
	// One that hides what it is finds every call refused.
	if ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	rig.serve(t, struct{ net.Listener }{ln})
	resp, err := http.Get("http://" + ln.Addr().String() + "/v1/")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("status %d over plain TCP", resp.StatusCode)
	}
}

// Strangers who open sockets over TCP and say nothing keep nobody else out.
func TestStrangersWhoKeepTheOwnerOut(t *testing.T) {
	rig := newRig(t, scene(1), withTokens)
	addr, _ := rig.secure(t)
	for range maxConnections + 8 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if status, text := get(t, rig.client(t), "http://adit/v1/"); status != http.StatusOK {
		t.Errorf("the owner is told %d %s", status, text)
	}
}

// TestOperatorsWithACertificate: one of the authority may do everything, under its
// name; any other is told what is wanted, and a token beside it counts.
func TestOperatorsWithACertificate(t *testing.T) {
	ours, theirs := enginetest.NewAuthority(t), enginetest.NewAuthority(t)
	rig := newRig(t, scene(1), func(o *Options) { o.ClientCA, o.ReadTokens = ours.Pool, []string{"only-looking"} })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	rig.serve(t, tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{ours.Server("127.0.0.1")}, ClientAuth: tls.RequestClientCert}))
	for _, c := range []struct {
		name   string
		shown  []tls.Certificate
		token  string
		status int
		says   string
	}{
		{"none", nil, "", 401, "token"},
		{"ours", []tls.Certificate{ours.Client("ann")}, "", 200, `"you":"ann (laptop)"`},
		{"another authority's", []tls.Certificate{theirs.Client("ann")}, "", 401, "control-client-ca"},
		{"a server's", []tls.Certificate{ours.Server("ann.example")}, "", 401, "control-client-ca"},
		{"expired", []tls.Certificate{ours.Issue(&x509.Certificate{NotAfter: time.Now().Add(-time.Minute),
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, "ann")}, "", 401, "expired"},
		{"with a token to look", []tls.Certificate{ours.Client("ann")}, "only-looking", 200, `"read_only":true`},
		{"with a wrong token", []tls.Certificate{ours.Client("ann")}, "wrong", 401, "not known"},
	} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ours.Pool, Certificates: c.shown}}
		r, err := http.NewRequest("GET", "https://"+ln.Addr().String()+"/v1/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Adit-Client", "laptop")
		if c.token != "" {
			r.Header.Set("Authorization", "Bearer "+c.token)
		}
		resp, err := (&http.Client{Transport: transport, Timeout: 5 * time.Second}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		_, _ = copyAll(&b, resp)
		_ = resp.Body.Close()
		transport.CloseIdleConnections()
		if resp.StatusCode != c.status || !strings.Contains(b.String(), c.says) {
			t.Errorf("%s: %d %s", c.name, resp.StatusCode, b.String())
		}
	}
}

// What an operator with a certificate has opened ends with the certificate, and with
// the authority, which a reload may take away: a stream lives as long as its reader
// wants.
func TestAuthorityThatIsTakenAway(t *testing.T) {
	ours, theirs := enginetest.NewAuthority(t), enginetest.NewAuthority(t)
	rig := newRig(t, scene(1), func(o *Options) { o.ClientCA = ours.Pool })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	rig.serve(t, tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{ours.Server("127.0.0.1")}, ClientAuth: tls.RequestClientCert}))
	ask := func(shown tls.Certificate, path string) *http.Response {
		t.Helper()
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ours.Pool, Certificates: []tls.Certificate{shown}}}
		t.Cleanup(transport.CloseIdleConnections)
		resp, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Get("https://" + ln.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	stream := func(shown tls.Certificate) *bufio.Reader {
		t.Helper()
		r := bufio.NewReader(ask(shown, "/v1/stream").Body)
		if _, err := r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		return r
	}
	short := ours.Issue(&x509.Certificate{NotAfter: time.Now().Add(2 * time.Second), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, "bob")
	ann, bob := stream(ours.Client("ann")), stream(short)
	same := x509.NewCertPool()
	same.AppendCertsFromPEM(ours.PEM)
	rig.server.Trust(same)
	begin := time.Now()
	if _, err := io.Copy(io.Discard, bob); time.Since(begin) > 5*time.Second {
		t.Errorf("the stream of an expired certificate went on: %v", err)
	}
	if line, err := ann.ReadString('\n'); err != nil {
		t.Errorf("the same authority ended a stream: %q, %v", line, err)
	}
	both := x509.NewCertPool()
	both.AppendCertsFromPEM(ours.PEM)
	both.AppendCertsFromPEM(theirs.PEM)
	rig.server.Trust(both)
	if line, err := ann.ReadString('\n'); err != nil {
		t.Errorf("another authority beside it ended a stream: %q, %v", line, err)
	}
	rig.server.Trust(theirs.Pool)
	begin = time.Now()
	if _, err := io.Copy(io.Discard, ann); time.Since(begin) > 5*time.Second {
		t.Errorf("the stream of an authority that is gone went on: %v", err)
	}
	for name, c := range map[string]struct {
		shown tls.Certificate
		want  int
	}{"former": {ours.Client("ann"), 401}, "new": {theirs.Client("ann"), 200}} {
		if got := ask(c.shown, "/v1/").StatusCode; got != c.want {
			t.Errorf("the %s authority: status %d, want %d", name, got, c.want)
		}
	}
	last := stream(theirs.Client("ann"))
	rig.server.Trust(nil)
	begin = time.Now()
	if _, err := io.Copy(io.Discard, last); time.Since(begin) > 5*time.Second {
		t.Errorf("the stream went on although nobody is trusted: %v", err)
	}
	if got := ask(theirs.Client("ann"), "/v1/").StatusCode; got != 401 {
		t.Errorf("nobody is trusted: status %d", got)
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		rig.server.certified.mu.Lock()
		n := len(rig.server.certified.held)
		rig.server.certified.mu.Unlock()
		if n == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d calls are held that have ended", n)
		}
	}
}
