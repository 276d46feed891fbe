package server

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/policy"
	"adit/engine/tunnel"
)

// Certificates admit at both doors, over HTTP/1.1 and HTTP/2; those of another
// authority, without the usage or without a certificate do not; an authority that is
// replaced takes with it what it admitted.
func TestMutualTLS(t *testing.T) {
	clientsCA, callersCA := enginetest.NewAuthority(t), enginetest.NewAuthority(t)
	live := Live{
		Clients: &policy.Clients{CA: policy.NewAuthority(clientsCA.Pool)},
		Callers: &policy.Callers{CA: policy.NewAuthority(callersCA.Pool)},
	}
	s := secure(t, nil, func(o *Options) { o.Live = live })
	dial := func(id string, certs ...tls.Certificate) (tunnel.Session, error) {
		return s.tryDial(greeting(id, engine.Expose{Host: "app"}), hello, func(o *tunnel.DialOptions) {
			o.URL, o.TLS = "wss://"+s.addr+"/register", &tls.Config{RootCAs: s.authority.Pool, Certificates: certs}
		})
	}
	edge, err := dial("edge", clientsCA.Client("edge.example"))
	if err != nil {
		t.Fatal(err)
	}
	s.awaitMember("edge")
	if c := s.snapshot().Connections[0]; c.Credential != "edge.example" || c.TLS.Peer != "edge.example" {
		t.Errorf("the connection's credential is %q, its peer %q", c.Credential, c.TLS.Peer)
	}
	for name, certs := range map[string][]tls.Certificate{
		"of callers":    {callersCA.Client("edge.example")},
		"for servers":   {clientsCA.Server("edge.example")},
		"of the server": {s.authority.Client("edge.example")},
		"expired": {clientsCA.Issue(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
			NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)}, "edge.example")},
	} {
		if session, err := dial("other", certs...); err == nil || !strings.Contains(err.Error(), "401 Unauthorized: "+policy.ErrCertificate.Error()) {
			t.Errorf("client, %s: %v, %v", name, session, err)
		}
	}
	if session, err := dial("other"); err == nil || !strings.Contains(err.Error(), "401 Unauthorized: credential missing or wrong") {
		t.Errorf("client without a certificate: %v, %v", session, err)
	}
	for _, http2 := range []bool{false, true} {
		for name, k := range map[string]struct {
			certs  []tls.Certificate
			status int
		}{
			"ours":        {[]tls.Certificate{callersCA.Client("robot")}, 200},
			"of clients":  {[]tls.Certificate{clientsCA.Client("robot")}, 401},
			"for servers": {[]tls.Certificate{callersCA.Server("robot")}, 401},
			"none":        {nil, 401},
		} {
			c := s.caller(tls.VersionTLS13, http2)
			c.Transport.(*http.Transport).TLSClientConfig.Certificates = k.certs
			for range 3 {
				if resp, _ := do(t, c, "GET", "https://"+appHost+"/", "", "Authorization", "Bearer origins"); resp.StatusCode != k.status {
					t.Errorf("caller, %s, http2 %v: status %d, want %d", name, http2, resp.StatusCode, k.status)
				}
			}
		}
	}
	again := live
	again.Clients = &policy.Clients{CA: policy.NewAuthority(clientsCA.Pool.Clone())}
	s.s.Update(again, operator)
	if resp := s.seen(engine.KindConnectionClosed); len(resp) != 0 {
		t.Errorf("closed by the same authority read again: %+v", resp)
	}
	again.Clients = &policy.Clients{CA: policy.NewAuthority(callersCA.Pool)}
	s.s.Update(again, operator)
	within(t, "the end of the connection", edge.Done())
	if code, reason := edge.Ended(); code != engine.ClosePolicy || reason != "credential revoked: edge.example" {
		t.Errorf("closed with %d %q", code, reason)
	}
}

// A certificate that expires takes its connection with it, though TLS never asks
// again.
func TestCertificateThatExpires(t *testing.T) {
	ca := enginetest.NewAuthority(t)
	s := secure(t, nil, func(o *Options) { o.Live = Live{Clients: &policy.Clients{CA: policy.NewAuthority(ca.Pool)}} })
	until := time.Now().Add(2500 * time.Millisecond).Truncate(time.Second) // certificates count in seconds
	short := ca.Issue(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		NotBefore: until.Add(-time.Hour), NotAfter: until}, "short")
	session, err := s.tryDial(greeting("edge"), hello, func(o *tunnel.DialOptions) {
		o.URL, o.TLS = "wss://"+s.addr+"/register", &tls.Config{RootCAs: s.authority.Pool, Certificates: []tls.Certificate{short}}
	})
	if err != nil {
		t.Fatal(err)
	}
	within(t, "the end of the connection", session.Done())
	if late := time.Since(until); late < 0 || late > time.Second {
		t.Errorf("ended %v after its certificate", late)
	}
	if code, reason := session.Ended(); code != engine.ClosePolicy || reason != "credential expired: short" {
		t.Errorf("closed with %d %q", code, reason)
	}
}

// What is between us and a client, or between a caller and us, never comes from
// outside nor gets there (P7).
func TestInternalFieldsFromOutside(t *testing.T) {
	set := newTokenSet(t)
	set.add("robot", policy.TokenCaller, policy.Scope{})
	live := set.live(true)
	live.Clients = nil
	b := serve(t, Options{Live: live, Domain: domain})
	seen := make(chan []string, 1)
	b.dial(greeting("edge", engine.Expose{Host: "app"}), func(in tunnel.Incoming) {
		seen <- fieldsOf(in.Request().Fields)
		hello(in)
	})
	inner := "X-Secret-Key: forged\r\nX-Proxy-Forward: true\r\nX-Proxy-Route: 7\r\nX-Proxy-Scope: all\r\nX-Forwarded-Client: admin\r\nProxy-Authorization: Bearer " +
		set.text["robot"] + "\r\n"
	for _, send := range []string{
		"GET / HTTP/1.1\r\nHost: app." + domain + "\r\n",
		"GET http://api.internal/ HTTP/1.1\r\nHost: x\r\n",
		"GET /request HTTP/1.1\r\nHost: x\r\nX-Proxy-Destination: http://api.internal/\r\nX-Proxy-Client: edge\r\n",
		"GET / HTTP/1.1\r\nHost: app." + domain + "\r\nConnection: X-Proxy-Destination, Proxy-Authorization, X-Secret-Key\r\n",
	} {
		resp, _ := b.raw(send+inner+"\r\n").response(t, "GET")
		if resp.StatusCode != 200 {
			t.Errorf("%q: status %d", send, resp.StatusCode)
			continue
		}
		for _, f := range <-seen {
			name, value, _ := strings.Cut(f, ": ")
			if strings.HasPrefix(name, "x-proxy-") || name == "x-secret-key" || name == "proxy-authorization" || name == "x-forwarded-client" || strings.Contains(value, "adit_") {
				t.Errorf("%q: the client gets %q", send, f)
			}
		}
	}
}
