package server

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"adit/engine"
)

const (
	proxyLine  = "PROXY TCP4 203.0.113.9 10.0.0.1 5555 443\r\n"
	proxyLocal = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
	proxyBlock = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x09\x0a\x00\x00\x01\x15\xb3\x01\xbb"
)

func balanced(o *Options) {
	o.ProxyProtocol = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

// TestLoadBalancerThatSaysWhoConnects, or does not.
func TestLoadBalancerThatSaysWhoConnects(t *testing.T) {
	const request = "GET /x HTTP/1.1\r\nHost: app.t.example\r\nX-Forwarded-For: 6.6.6.6\r\nConnection: close\r\n\r\n"
	for _, c := range []struct {
		name, send string
		stranger   bool
		status     int    // 0: the connection is closed without an answer
		caller     string // "": the socket's
		refused    string
	}{
		{name: "v1", send: proxyLine + request, status: 200, caller: "203.0.113.9:5555"},
		{name: "v2", send: proxyBlock + request, status: 200, caller: "203.0.113.9:5555"},
		{name: "local", send: proxyLocal + request, status: 200},
		{name: "unknown", send: "PROXY UNKNOWN\r\n" + request, status: 200},
		{name: "none", send: request, status: 400, refused: "no PROXY protocol header"},
		{name: "twice", send: proxyLine + proxyLine + request, status: 400},
		{name: "half", send: proxyLine[:20], status: 400, refused: "no PROXY protocol header"},
		{name: "health check", send: ""},
		{name: "stranger", stranger: true, send: proxyLine + request, status: 400},
		{name: "stranger, v2", stranger: true, send: proxyBlock + request, status: 400},
		{name: "stranger without", stranger: true, send: request, status: 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := serve(t, Options{Domain: domain, Wait: 50 * time.Millisecond})
			b.dial(greeting("edge", engine.Expose{Host: "app"}), hello) // before there is a load balancer
			live := Live{}
			if !c.stranger {
				live.ProxyProtocol = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			}
			b.s.Update(live, engine.Operator{Name: "ann"})
			call := b.raw(c.send)
			if c.send == "" || len(c.send) == 20 {
				call.Conn.(*net.TCPConn).CloseWrite()
			}
			resp, err := http.ReadResponse(call.r, nil)
			if c.status == 0 {
				if err == nil {
					t.Errorf("answered with %s", resp.Status)
				}
			} else if err != nil || resp.StatusCode != c.status {
				t.Fatalf("%v, %v", resp, err)
			}
			if c.status == 200 {
				want := c.caller
				if want == "" {
					want = call.LocalAddr().String()
				}
				if rec := b.finished(1); rec.Caller != want {
					t.Errorf("caller %s, want %s", rec.Caller, want)
				}
			}
			if c.refused != "" {
				if e := b.await(engine.KindAdmissionRefused, 1); !strings.Contains(e.Reason, c.refused) || e.Peer != call.LocalAddr().String() {
					t.Errorf("%+v", e)
				}
			}
			call.Close()
			// It cost that connection only.
			good := b.raw(map[bool]string{false: proxyLine}[c.stranger] + request)
			if resp, _ := good.response(t, "GET"); resp.StatusCode != 200 {
				t.Errorf("the next: %s", resp.Status)
			}
			if n := len(b.seen(engine.KindAdmissionRefused)); n > 1 || n == 1 && c.refused == "" {
				t.Errorf("%d refusals are told", n)
			}
		})
	}
}

// TestSilentLoadBalancerBlocksNobody: its header is waited for on its own goroutine.
func TestSilentLoadBalancerBlocksNobody(t *testing.T) {
	s := secure(t, nil, balanced)
	for range 20 {
		s.raw("")
	}
	conn := s.raw(proxyBlock)
	secret := tls.Client(conn.Conn, &tls.Config{RootCAs: s.authority.Pool, ServerName: appHost})
	io.WriteString(secret, "GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
	if resp, err := http.ReadResponse(bufio.NewReader(secret), nil); err != nil || resp.StatusCode != 200 {
		t.Errorf("over TLS: %v, %v", resp, err)
	}
}

// TestPortBehindALoadBalancer: the caller of a TCP port is who is told.
func TestPortBehindALoadBalancer(t *testing.T) {
	probe, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := probe.Addr().(*net.TCPAddr).Port
	probe.Close()
	b := serve(t, Options{TCPFirst: uint16(port), TCPLast: uint16(port), TCPHost: "127.0.0.1"})
	b.dial(greeting("edge", engine.Expose{TCP: uint16(port)}), echoRaw)
	b.s.Update(Live{ProxyProtocol: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, engine.Operator{Name: "ann"})
	dial := func(send string) net.Conn {
		c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(patience))
		io.WriteString(c, send)
		return c
	}
	garbage := dial("SSH-2.0-OpenSSH_9.9\r\n")
	if got, err := io.ReadAll(garbage); len(got) > 0 || err == nil {
		t.Errorf("garbage: %q, %v: wants a reset", got, err)
	}
	c := dial(proxyLine)
	converse(t, c, bufio.NewReader(c), "")
	if rec := b.finished(1); rec.Caller != "203.0.113.9:5555" || rec.Way != engine.WayTCP {
		t.Errorf("%+v", rec)
	}
}

// TestCallersBehindALoadBalancerAreCounted each for itself, and not for the
// load balancer.
func TestCallersBehindALoadBalancerAreCounted(t *testing.T) {
	b := serve(t, Options{Live: Live{Caps: Caps{ConnectionsPerAddress: 2}}})
	b.s.Update(Live{Caps: Caps{ConnectionsPerAddress: 2}, ProxyProtocol: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, engine.Operator{Name: "ann"})
	status := func(line string) (*rawCall, error) {
		c := b.raw(line + "GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
		resp, err := http.ReadResponse(c.r, nil)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
		}
		return c, err
	}
	var kept []*rawCall
	for n := range 3 {
		c, err := status(proxyLine)
		if n < 2 && err != nil || n == 2 && err == nil {
			t.Errorf("connection %d of one caller: %v", n+1, err)
		}
		kept = append(kept, c)
	}
	if _, err := status(strings.Replace(proxyLine, "113.9", "113.8", 1)); err != nil {
		t.Errorf("another caller: %v", err)
	}
	if e := b.await(engine.KindLimitReached, 1); e.Peer != "203.0.113.9" {
		t.Errorf("%+v", e)
	}
	kept[0].Close()
	b.eventually("its place", func() bool {
		c, err := status(proxyLine)
		c.Close()
		return err == nil
	})
}
