package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"adit/engine"
	"adit/engine/egress"
)

// names looks the server up and dials each of its addresses, and reports whether
// one of them answers. Bounds: one step each, all addresses at once.
func (w *way) names(ctx context.Context) bool {
	addresses := []netip.Addr{}
	if a, err := netip.ParseAddr(w.host); err == nil {
		addresses = append(addresses, a)
	} else {
		w.c.progress("looking %s up", w.host)
		began := time.Now()
		addresses, err = w.c.lookup(ctx, w.host)
		took := time.Since(began)
		f := Finding{Check: "dns", Took: took}
		if f.failed(w.host, addresses, err) {
			f.Settings = []string{"server"}
			w.found(f)
			return false
		}
		f.Severity = OK
		f.Found = fmt.Sprintf("%s is %s", w.host, some(addresses))
		if took > w.c.o.pace.slow {
			f.Severity = Note
			f.Found += fmt.Sprintf("; that took %v", round(took))
			f.Means = "each new connection waits for the resolver"
			f.Change = "look at the resolvers of this machine: one of them may not answer"
		}
		w.found(f)
	}
	return w.connect(ctx, addresses)
}

func (c *clientProbe) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.pace.step)
	defer cancel()
	r := c.o.Resolver
	if r == nil {
		r = net.DefaultResolver
	}
	found, err := r.LookupNetIP(ctx, "ip", host)
	for i := range found {
		found[i] = found[i].Unmap()
	}
	return found, err
}

// failed fills in what a lookup has come to, and reports whether it failed.
func (f *Finding) failed(host string, addresses []netip.Addr, err error) bool {
	var dns *net.DNSError
	switch {
	case err == nil && len(addresses) > 0:
		return false
	case err == nil:
		f.Found = fmt.Sprintf("the name %s has no address", host)
	case errors.As(err, &dns) && dns.IsNotFound:
		f.Found = fmt.Sprintf("the name %s is not known to DNS", host)
		f.Change = "check how it is written, and that its record exists"
	case errors.As(err, &dns) && dns.IsTimeout, isTimeout(err):
		f.Found = fmt.Sprintf("no resolver answers for %s", host)
		f.Change = "check the resolvers of this machine and their way out (port 53)"
	default:
		f.Found = fmt.Sprintf("%s can't be looked up: %s", host, errorText(err))
	}
	f.Severity, f.Means = Failure, "it can't be reached by that name from this machine"
	if f.Change == "" {
		f.Change = "check the name, and the resolvers of this machine"
	}
	return true
}

func (c *clientProbe) dial(ctx context.Context, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.pace.step)
	defer cancel()
	if c.o.Dial != nil {
		return c.o.Dial(ctx, "tcp", addr)
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}

// A reach is what dialling one address has come to.
type reach struct {
	address netip.Addr
	took    time.Duration
	err     error
}

// connect dials every address at once, and reports whether one answers.
func (w *way) connect(ctx context.Context, addresses []netip.Addr) bool {
	addresses = addresses[:min(len(addresses), maxAddresses)]
	_, port, _ := net.SplitHostPort(w.address)
	w.c.progress("connecting to port %s", port)
	results := make(chan reach, len(addresses))
	for _, a := range addresses {
		go func() {
			began := time.Now()
			c, err := w.c.dial(ctx, net.JoinHostPort(a.String(), port))
			if err == nil {
				_ = c.Close()
			}
			results <- reach{a, time.Since(began), err}
		}()
	}
	var up, down []reach
	for range addresses {
		if r := <-results; r.err == nil {
			up = append(up, r)
		} else {
			down = append(down, r)
		}
	}
	w.found(reached(port, up, down, w.c.o.pace.step))
	return len(up) > 0
}

// reached judges by which addresses a server can be reached.
func reached(port string, up, down []reach, step time.Duration) Finding {
	f := Finding{Check: "tcp", Severity: OK, Settings: []string{"server"}}
	if len(up) > 0 {
		f.Settings = nil
		f.Took = up[0].took
		f.Found = fmt.Sprintf("port %s answers at %s in %v", port, up[0].address, round(up[0].took))
		if len(up) > 1 {
			f.Found = fmt.Sprintf("port %s answers at all %d addresses, the fastest %s in %v", port, len(up), up[0].address, round(up[0].took))
		}
		if len(down) > 0 {
			r := down[0]
			f.Found = fmt.Sprintf("port %s answers at %s, but not at %s: %s", port, up[0].address, r.address, dialText(r.err, step))
			f.Severity = Warning
			f.Means = "connections go by the other addresses, those that try this one first come later"
			f.Change = "take the address out of DNS, or have the server listen there"
			if r.address.Is6() && up[0].address.Is4() {
				f.Means = "connections go by IPv4; where IPv6 is tried first each costs up to 0.3 s more"
				f.Change = "give this machine a way out by IPv6, or take the AAAA record away"
				if isUnreachable(r.err) {
					f.Severity, f.Means, f.Change = Note, "this machine has no IPv6: nothing is lost", ""
				}
			}
		}
		return f
	}
	f.Severity = Failure
	r := down[0]
	f.Took = r.took
	f.Found = fmt.Sprintf("port %s of %s: %s", port, r.address, dialText(r.err, step))
	if len(down) > 1 {
		f.Found = fmt.Sprintf("port %s answers at none of %d addresses; %s: %s", port, len(down), r.address, dialText(r.err, step))
	}
	switch {
	case isRefused(r.err):
		f.Means = "the machine is there, but nothing listens on that port: adit server does not run, listens on loopback only, or on another port; or a firewall refuses it"
		f.Change = "start adit server with --listen 0.0.0.0:" + port + ", or correct the port in --server"
		if r.address.IsLoopback() {
			f.Means = "nothing on this machine listens on that port: adit server does not run, or on another port"
			f.Change = "start adit server with --listen " + net.JoinHostPort(r.address.String(), port) + ", or correct the port in --server"
		}
	case isTimeout(r.err):
		f.Means = "a firewall drops what is sent there, at the server or at the edge of this network"
		f.Change = "open TCP port " + port + "; where only a proxy leads out, name it with --proxy"
		f.Settings = append(f.Settings, "proxy")
	case isUnreachable(r.err):
		f.Means = "this machine has no route there, or a router or firewall on the way says that nothing gets there"
		f.Change = "check the network; where only a proxy leads out, name it with --proxy"
		f.Settings = append(f.Settings, "proxy")
	default:
		f.Change = "check the address and the port in --server"
	}
	return f
}

func isTimeout(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}

// Errors of Winsock, which are others than those of the same name in package
// syscall.
const (
	winsockNoAddress   = syscall.Errno(10049)
	winsockNoNetwork   = syscall.Errno(10051)
	winsockReset       = syscall.Errno(10054)
	winsockRefused     = syscall.Errno(10061)
	winsockNoRoute     = syscall.Errno(10065)
	winsockUnsupported = syscall.Errno(10047)
)

// isAny reports whether err is one of these.
func isAny(err error, all ...syscall.Errno) bool {
	var number syscall.Errno
	return errors.As(err, &number) && slices.Contains(all, number)
}

func isRefused(err error) bool { return isAny(err, syscall.ECONNREFUSED, winsockRefused) }
func isReset(err error) bool   { return isAny(err, syscall.ECONNRESET, winsockReset) }

func isUnreachable(err error) bool {
	return isAny(err, syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT,
		winsockNoNetwork, winsockNoRoute, winsockNoAddress, winsockUnsupported)
}

// dialText says what a dial has come to.
func dialText(err error, step time.Duration) string {
	switch {
	case isRefused(err):
		return "refused"
	case isTimeout(err):
		return fmt.Sprintf("no answer within %v", step)
	case isUnreachable(err):
		return "unreachable, says the network"
	}
	return errorText(err)
}

// errorText is the cause of a network error without the addresses.
func errorText(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		err = op.Err
	}
	return engine.Bound(err.Error())
}

// round makes a duration readable.
func round(d time.Duration) time.Duration {
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second)
	case d >= time.Second:
		return d.Round(100 * time.Millisecond)
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond)
	}
	return d.Round(10 * time.Microsecond)
}

// proxy reaches the server through the proxy, and reports whether it leads there.
// Bound: one step for the proxy and one for its answer.
func (w *way) proxy(ctx context.Context) bool {
	w.c.progress("asking the proxy")
	began := time.Now()
	step, cancel := context.WithTimeout(ctx, 2*w.c.o.pace.step)
	defer cancel()
	conn, err := w.c.o.Egress.DialContext(step, w.u.Scheme, w.address)
	f := Finding{Check: "proxy", Took: time.Since(began), Settings: []string{"proxy"}}
	if err == nil {
		_ = conn.Close()
		f.Severity, f.Settings = OK, nil
		f.Found = fmt.Sprintf("the proxy %s leads to %s in %v", w.through, w.address, round(f.Took))
		w.found(f)
		return true
	}
	f.Severity = Failure
	w.judgeProxy(&f, err)
	w.found(f)
	return false
}

// judgeProxy says what of a proxy keeps the client from its server.
func (w *way) judgeProxy(f *Finding, err error) {
	var e *egress.Error
	if !errors.As(err, &e) {
		f.Found = "the proxy " + w.through + ": " + errorText(err)
		return
	}
	from := w.c.o.ProxyAt
	if from == "" {
		from = "the environment (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY)"
	}
	proxy, _ := url.Parse(w.through)
	switch {
	case e.Status == 407 || e.Status == 401 || e.Refuse && strings.Contains(err.Error(), "authentication"):
		f.Found = fmt.Sprintf("the proxy %s wants a user and password", e.Proxy)
		f.Change = fmt.Sprintf("give --proxy @FILE, where FILE holds %s://USER:PASSWORD@%s", proxy.Scheme, e.Proxy)
		if e.User {
			f.Found = fmt.Sprintf("the proxy %s does not take the user and password that it is shown", e.Proxy)
			f.Change = "correct the user and password in --proxy, or in " + from
		}
	case e.Refused():
		f.Found = fmt.Sprintf("the proxy %s refuses to lead to %s", e.Proxy, w.address)
		if e.Status != 0 {
			f.Found += fmt.Sprintf(": it answers %d to CONNECT", e.Status)
		}
		f.Means = "its rules forbid that host or that port; many let CONNECT through to port 443 only"
		f.Change = "have the server listen on port 443, or have " + w.address + " allowed at the proxy"
	case e.Status == 502 || e.Status == 503 || e.Status == 504:
		f.Found = fmt.Sprintf("the proxy %s does not reach %s: it answers %d to CONNECT", e.Proxy, w.address, e.Status)
		f.Means = "the proxy does not know the name, or nothing listens there, or a firewall is between"
		f.Change = "check host and port in --server; --proxy none goes straight"
		f.Settings = append(f.Settings, "server")
	case e.Status != 0:
		f.Found = fmt.Sprintf("the proxy %s answers %d to CONNECT %s", e.Proxy, e.Status, w.address)
		f.Means = "what answers there may be no proxy"
		f.Change = "correct --proxy, which comes from " + from
	case e.Step == "dial":
		f.Found = fmt.Sprintf("the proxy %s can't be reached: %s", e.Proxy, dialText(e.Err, w.c.o.pace.step))
		f.Means = "the client goes through it because of " + from
		f.Change = "correct --proxy; --proxy none goes straight"
	case isReset(e.Err), strings.Contains(e.Err.Error(), "closed before"):
		f.Found = fmt.Sprintf("the proxy %s cuts the connection in place of an answer", e.Proxy)
		f.Means = "it is another kind of proxy, or does not want this machine"
		f.Change = "check that " + w.through + " is the right kind of proxy (http, https, socks5); --proxy none goes straight"
	case isTimeout(e.Err):
		f.Found = fmt.Sprintf("the proxy %s does not answer within %v", e.Proxy, 2*w.c.o.pace.step)
		f.Means = "it is another kind of proxy, or does not reach " + w.address
		f.Change = "check that " + w.through + " is the right kind of proxy (http, https, socks5); --proxy none goes straight"
	default:
		f.Found = engine.Bound(err.Error())
		f.Change = "check that " + w.through + " is the right kind of proxy (http, https, socks5)"
	}
}
