package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"adit/engine"
	"adit/engine/policy"
)

// oneAnswer resolves every name to one address.
type oneAnswer struct{ address atomic.Pointer[netip.Addr] }

func (o *oneAnswer) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	if a := o.address.Load(); a != nil {
		return []netip.Addr{*a}, nil
	}
	return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
}

// Row 19 of reliability.md at the client's end: what a server passes on, however
// it is spelt, for a request over both protocols and for a CONNECT.
func TestForgedAuthoritiesAreNotDialled(t *testing.T) {
	text, err := os.ReadFile("../policy/testdata/forged-authorities.txt")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := (&policy.RuleSet{Allow: []string{"any"}, Deny: []string{"10.9.0.0/16", "127.0.0.0/8", "::1", "*.evil.example"}}).Compile()
	if err != nil {
		t.Fatal(err)
	}
	var dialled atomic.Int64
	resolver := &oneAnswer{}
	o := Options{Live: Live{Rules: rules}, Dialer: &policy.Dialer{Resolver: resolver, Dial: func(context.Context, string, string) (net.Conn, error) {
		dialled.Add(1)
		return nil, errors.New("dialled")
	}}}
	for name, protocol := range bothProtocols {
		t.Run(name, func(t *testing.T) {
			o := o
			o.Protocol = protocol
			g := newRig(t, o)
			for line := range strings.Lines(string(text)) {
				words := strings.Fields(line)
				if len(words) == 0 || words[0] == "#" {
					continue
				}
				resolver.address.Store(nil)
				if len(words) > 1 {
					a := netip.MustParseAddr(words[1])
					resolver.address.Store(&a)
				}
				if protocol == engine.ProtocolClassic {
					g = newRig(t, o) // what is malformed there ends the connection
				}
				awaitSlot(t, g)
				if !g.conn.Reserve() {
					t.Fatal("no slot")
				}
				x, err := g.conn.Open(t.Context(), request("GET", words[0], "/x"), true)
				if err != nil {
					g.conn.Unreserve() // this end does not even send it
				} else {
					resp, err := x.ReadResponse()
					x.Close()
					if reason := engine.ReasonOf(err); err == nil && resp.Status != 527 || err != nil && reason != engine.ReasonDenied && reason != engine.ReasonOriginFailed && reason != engine.ReasonMalformed {
						t.Errorf("%s: %v, %v", words[0], resp, err)
					}
				}
				if protocol == engine.ProtocolNative {
					target := words[0]
					if _, _, err := net.SplitHostPort(target); err != nil {
						target += ":80"
					}
					if g.conn.Reserve() {
						if x, err := g.conn.OpenConnect(t.Context(), 0, target); err != nil {
							g.conn.Unreserve()
						} else {
							if resp, err := x.ReadResponse(); err == nil {
								t.Errorf("connect %s: %v", target, resp)
							}
							x.Close()
						}
					}
				}
				if n := dialled.Swap(0); n > 0 {
					t.Errorf("%s: dialled", words[0])
				}
			}
		})
	}
}

// A rule that denies addresses holds for a connection that is kept: one that
// another request has opened there is not used.
func TestKeptConnectionsHoldToRules(t *testing.T) {
	addr := serveHTTP(t, func(http.ResponseWriter, *http.Request) {})
	_, port, _ := net.SplitHostPort(addr)
	rules, err := (&policy.RuleSet{Allow: []string{"any"}, Blacklist: []policy.Rule{
		{Method: "^POST$", Address: []string{"127.0.0.0/8"}}, {URL: "/mine", Client: "^edge-3$"}, {URL: "/theirs", Client: "^edge-4$"},
	}}).Compile()
	if err != nil {
		t.Fatal(err)
	}
	loopback := netip.MustParseAddr("127.0.0.1")
	resolver := &oneAnswer{}
	resolver.address.Store(&loopback)
	g := newRig(t, Options{Live: Live{Rules: rules}, Dialer: &policy.Dialer{Resolver: resolver}})
	for range 3 {
		for _, k := range []struct {
			method, path string
			denied       bool
		}{{"GET", "/", false}, {"POST", "/", true}, {"HEAD", "/", false}, {"GET", "/mine", true}, {"GET", "/theirs", false}} {
			_, _, err := g.do(t, request(k.method, "api.example:"+port, k.path))
			if k.denied != (engine.ReasonOf(err) == engine.ReasonDenied) || !k.denied && err != nil {
				t.Errorf("%s %s: %v, want denied %v", k.method, k.path, err, k.denied)
			}
		}
	}
}
