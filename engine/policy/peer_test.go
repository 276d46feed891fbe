package policy_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"

	"adit/engine/policy"
)

// zone is a resolver that answers from a table, one answer after the other,
// and, like getaddrinfo, reads the forms of IPv4 that inet_aton reads.
type zone struct {
	mu      sync.Mutex
	answers map[string][][]string
	asked   []string
}

func (z *zone) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.asked = append(z.asked, host)
	if list := z.answers[host]; len(list) > 0 {
		if len(list) > 1 {
			z.answers[host] = list[1:]
		}
		addresses := make([]netip.Addr, len(list[0]))
		for i, s := range list[0] {
			addresses[i] = netip.MustParseAddr(s)
		}
		return addresses, nil
	}
	if a, ok := inetAton(host); ok {
		return []netip.Addr{a}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, Server: "192.0.2.53:53", IsNotFound: true}
}

// inetAton reads 1 to 4 numbers in decimal, octal or hexadecimal.
func inetAton(s string) (netip.Addr, bool) {
	parts := strings.Split(strings.TrimSuffix(s, "."), ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var v uint64
	for i, p := range parts {
		n, err := strconv.ParseUint(strings.ToLower(p), 0, 32)
		if err != nil || strings.ContainsAny(p, "_oObB") && !strings.HasPrefix(strings.ToLower(p), "0x") {
			return netip.Addr{}, false
		}
		if last := i == len(parts)-1; last {
			v = v<<(8*(4-uint(i))) | n
		} else {
			v = v<<8 | n
		}
	}
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}), true
}

// wire records what is dialled; an address in broken refuses.
type wire struct {
	mu     sync.Mutex
	dialed []string
	broken map[string]error
}

var errRefused = errors.New("connection refused")

func (w *wire) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dialed = append(w.dialed, addr)
	if err := w.broken[addr]; err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr)), Err: err}
	}
	if err := w.broken["*"]; err != nil {
		return nil, err
	}
	a, b := net.Pipe()
	b.Close()
	return a, nil
}

func rules(t testing.TB, allow ...string) *policy.Rules {
	t.Helper()
	r, err := (&policy.RuleSet{Allow: allow}).Compile()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// reach goes the whole way of a request: check, then dial. It returns what was
// dialled, "" for nothing.
func reach(t testing.TB, r *policy.Rules, z *zone, scheme, hostport string) (string, error) {
	t.Helper()
	return reachAs(t, r, z, scheme, hostport, "")
}

func reachAs(t testing.TB, r *policy.Rules, z *zone, scheme, hostport, client string) (string, error) {
	t.Helper()
	q := &policy.Query{Method: "GET", URL: scheme + "://" + hostport + "/x", Host: hostport, Client: client}
	if scheme == "tcp" {
		q.Method, q.URL = "CONNECT", "tcp://"+hostport
	}
	permit, err := r.Check(q)
	if err != nil {
		return "", err
	}
	w := &wire{}
	d := &policy.Dialer{Resolver: z, Dial: w.dial}
	c, err := d.DialContext(t.Context(), permit, hostport)
	if err == nil {
		c.Close()
	}
	return strings.Join(w.dialed, " "), err
}
