package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"adit/engine"
	"adit/engine/egress"
	"adit/engine/policy"
)

// ClientOptions say what adit client would start with and how far its probes go.
// They are not changed after Client was called.
type ClientOptions struct {
	Servers   []string // ws or wss, "/register" included; no user information
	ID        string
	Secret    string // "" none; it is shown to servers whose certificate holds, and nowhere else
	SecretAt  string // where it comes from, for people: "--secret", "adit.yaml:4: secret"
	ProxyAt   string // where the proxy comes from; "" nowhere or from the environment
	CA        string // file of authorities, for texts; "" the system's
	Native    bool   // wsp will not do
	Classic   bool   // nothing but wsp will do
	Ping      time.Duration
	Expose    []Exposed
	Allow     []string // as --allow has them: those that are one HOST:PORT are probed
	To        []string // further destinations, as a caller would ask for them: URL or HOST:PORT
	Rules     *policy.Rules
	Resolver  Resolver                                                          // nil: the system's
	Dial      func(ctx context.Context, network, addr string) (net.Conn, error) // nil: net.Dialer
	Egress    *egress.Dialer                                                    // never nil
	Idle      time.Duration                                                     // silence that is looked for at most; 0 none
	Quick     bool                                                              // leave out what takes longer than 10 s
	UserAgent string                                                            // "adit/1.2.3"

	Found    func(Finding)     // told of each, from the goroutine of Client
	Progress func(text string) // told what is under way, likewise; nil: nobody wants to know

	pace pace // of tests; zero: as documented
}

// An Exposed is a value of --expose.
type Exposed struct {
	Host   string // name below the server's domain; "" a port
	TCP    uint16 // port at the server; 0 a name
	Origin string // scheme://host[:port] of a name, host:port of a port
}

func (e *Exposed) String() string {
	if e.TCP != 0 {
		return fmt.Sprintf("tcp:%d", e.TCP)
	}
	return e.Host
}

// A Resolver looks names up, as *net.Resolver does.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// A pace is how long probes wait; tests scale it.
type pace struct {
	step  time.Duration   // for one step of a probe: a lookup, a dial, a handshake, an answer; default 5 s
	slow  time.Duration   // a step that takes longer is slow; default 1 s
	flow  time.Duration   // that throughput is measured for; default 2 s
	waits []time.Duration // ladder of silences; default as ladder says
	ping  time.Duration   // that pings go by; default as the server announces
	unit  time.Duration   // in which a cut-off is told; default 1 s
}

func (p *pace) settle() {
	for _, d := range []struct {
		v   *time.Duration
		std time.Duration
	}{{v: &p.step, std: 5 * time.Second}, {v: &p.slow, std: time.Second}, {v: &p.flow, std: 2 * time.Second}, {v: &p.unit, std: time.Second}} {
		if *d.v <= 0 {
			*d.v = d.std
		}
	}
}

const (
	maxServers   = 16 // that are probed, of those given
	maxAddresses = 8  // of a name that are dialled
)

// Client probes the way to each server, one after the other, and then what the
// client is to reach. It returns when all is found or ctx has ended, which is its
// error. Each step of a probe has 5 s; the search for an idle cut-off has
// ClientOptions.Idle and a few steps. What it opens it closes.
func Client(ctx context.Context, o ClientOptions) error {
	o.pace.settle()
	c := &clientProbe{o: &o}
	for i, server := range o.Servers {
		if i == maxServers {
			c.found(Finding{Check: "settings", Severity: Note, Found: fmt.Sprintf("only the first %d of %d servers are probed", maxServers, len(o.Servers))})
			break
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		w, err := c.newWay(server)
		if err != nil {
			c.found(Finding{Check: "settings", Subject: engine.Bound(server), Severity: Failure, Found: err.Error(), Settings: []string{"server"}})
			continue
		}
		w.probe(ctx)
	}
	if ctx.Err() == nil {
		c.destinations(ctx)
	}
	return ctx.Err()
}

// A clientProbe is one call of Client.
type clientProbe struct{ o *ClientOptions }

func (c *clientProbe) found(f Finding) {
	f.Found, f.Means, f.Change = cut(f.Found), cut(f.Means), cut(f.Change)
	c.o.Found(f)
}

func (c *clientProbe) progress(format string, args ...any) {
	if c.o.Progress != nil {
		c.o.Progress(fmt.Sprintf(format, args...))
	}
}

// maxFinding bounds each text of a finding, in bytes: what others have sent may be
// in it.
const maxFinding = 1 << 10

func cut(s string) string {
	if len(s) > maxFinding {
		return strings.ToValidUTF8(s[:maxFinding], "") + "…"
	}
	return s
}

// A way is that to one server.
type way struct {
	c       *clientProbe
	u       *url.URL
	subject string // the server's URL without its query
	secure  bool   // wss
	host    string // to look up
	address string // host:port to dial
	through string // URL of a proxy without its credential; "" straight

	deadline time.Time // of messages; zero none
}

func (c *clientProbe) newWay(server string) (*way, error) {
	u, err := url.Parse(server)
	if err != nil || u.Hostname() == "" || u.Scheme != "ws" && u.Scheme != "wss" || u.User != nil {
		return nil, errors.New("the server is no url like wss://host/register")
	}
	w := &way{c: c, u: u, secure: u.Scheme == "wss", host: u.Hostname()}
	w.subject = engine.Bound((&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String())
	port := u.Port()
	switch {
	case port != "":
	case w.secure:
		port = "443"
	default:
		port = "80"
	}
	w.address = net.JoinHostPort(w.host, port)
	w.through = c.o.Egress.Way(u.Scheme, w.address)
	return w, nil
}

// found tells what is found on this way.
func (w *way) found(f Finding) {
	f.Subject = w.subject
	w.c.found(f)
}

// probe goes the way step by step, and ends where no further one can say anything.
func (w *way) probe(ctx context.Context) {
	w.settings()
	if w.through == "" {
		if !w.names(ctx) {
			return
		}
	} else if !w.proxy(ctx) {
		return
	}
	w.session(ctx)
}

// settings says what the client would use.
func (w *way) settings() {
	o := w.c.o
	parts := []string{"as client " + engine.Bound(o.ID)}
	if o.Secret != "" {
		parts = append(parts, "with the credential of "+o.SecretAt)
	} else {
		parts = append(parts, "without a credential")
	}
	switch {
	case w.through == "":
		parts = append(parts, "straight")
	case o.ProxyAt == "":
		parts = append(parts, "through the proxy "+w.through+" that the environment names")
	default:
		parts = append(parts, "through the proxy "+w.through+" of "+o.ProxyAt)
	}
	f := Finding{Check: "settings", Severity: OK, Found: strings.Join(parts, ", ")}
	switch {
	case len(o.Expose) > 0:
		var names []string
		for i := range o.Expose {
			names = append(names, o.Expose[i].String())
		}
		f.Found += ", exposing " + engine.Bound(strings.Join(names, ", "))
	case len(o.Rules.List()) == 0 && !o.Rules.All():
		f.Severity = Note
		f.Means = "nothing says what callers may reach: adit client would not start"
		f.Change = "expose a service (--expose app=http://localhost:3000), or allow destinations (--allow)"
		f.Settings = []string{"expose", "allow"}
	}
	w.found(f)
	if !w.secure && o.Secret != "" && !isLoopback(w.host) {
		w.found(Finding{Check: "settings", Severity: Warning, Found: "the credential goes over ws:// in clear",
			Means:  "whoever is on the way can read it, and all that the tunnel carries",
			Change: "give the server a certificate (--tls-cert or --acme there), and use wss:// here", Settings: []string{"server"}})
	}
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback() || host == "localhost"
}
