package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"adit/engine"
	"adit/engine/egress"
	"adit/engine/policy"
)

// maxDestinations bounds how many destinations are reached.
const maxDestinations = 64

// A destination is what a client is to reach.
type destination struct {
	name   string // for people
	from   string // "--expose app", "--allow", "--to"
	scheme string // http, https, h2c; "" TCP
	host   string
	port   string
	path   string
	chosen bool // a caller chose it: the rules decide
}

// destinations reaches what the client exposes, what --allow names one by one, and
// what --to names. Bound of each: a step for the name, one for each of at most 8
// addresses, two for TLS and an answer.
func (c *clientProbe) destinations(ctx context.Context) {
	all, wrong := c.listDestinations()
	for _, f := range wrong {
		c.found(f)
	}
	if len(all) > maxDestinations {
		c.found(Finding{Check: "destination", Severity: Note, Found: fmt.Sprintf("only the first %d of %d destinations are reached", maxDestinations, len(all))})
		all = all[:maxDestinations]
	}
	for i := range all {
		if ctx.Err() != nil {
			return
		}
		c.progress("reaching %s", all[i].name)
		f := c.reach(ctx, &all[i])
		if ctx.Err() != nil {
			return
		}
		f.Check, f.Subject = "destination", engine.Bound(all[i].name)
		c.found(f)
	}
}

func (c *clientProbe) listDestinations() (all []destination, wrong []Finding) {
	for i := range c.o.Expose {
		e := &c.o.Expose[i]
		if d, ok := parseDestination(e.Origin, "--expose "+e.String()); ok {
			all = append(all, d)
		}
	}
	for _, rule := range c.o.Allow {
		if isOne(rule) {
			if d, ok := parseDestination(rule, "--allow "+rule); ok {
				d.chosen = true
				all = append(all, d)
			}
		}
	}
	for _, to := range c.o.To {
		d, ok := parseDestination(to, "--to")
		if !ok {
			wrong = append(wrong, Finding{Check: "destination", Subject: engine.Bound(withoutUser(to)), Severity: Failure,
				Found: "that is no destination", Change: "want --to http://HOST/PATH, https://HOST, or HOST:PORT"})
			continue
		}
		d.chosen = true
		if !slices.ContainsFunc(all, func(a destination) bool { return a.chosen && a.name == d.name }) {
			all = append(all, d)
		}
	}
	return all, wrong
}

// withoutUser cuts what may be a password out of a text.
func withoutUser(s string) string {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		return "…" + s[i:]
	}
	return s
}

// isOne reports whether a rule names one host and one port.
func isOne(rule string) bool {
	host, port, err := net.SplitHostPort(rule)
	if err != nil || strings.ContainsAny(rule, "*/") || host == "" {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

func parseDestination(text, from string) (destination, bool) {
	d := destination{name: text, from: from}
	if !strings.Contains(text, "://") {
		host, port, err := net.SplitHostPort(text)
		if err != nil || host == "" || port == "" {
			return d, false
		}
		d.host, d.port = host, port
		return d, true
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return d, false
	}
	d.host, d.port, d.path = u.Hostname(), u.Port(), u.RequestURI()
	switch d.scheme = strings.ToLower(u.Scheme); d.scheme {
	case "https":
		if d.port == "" {
			d.port = "443"
		}
	case "http", "h2c":
		if d.port == "" {
			d.port = "80"
		}
	case "tcp":
		if d.scheme = ""; d.port == "" {
			return d, false
		}
	default:
		return d, false
	}
	u.RawQuery, u.Fragment = "", ""
	d.name = u.String()
	return d, true
}

// query is what a caller would ask for, in the terms of rules.
func (d *destination) query(id string) *policy.Query {
	host := net.JoinHostPort(strings.ToLower(d.host), d.port)
	q := &policy.Query{Method: http.MethodGet, URL: d.scheme + "://" + host + d.path, Host: host, Client: id}
	if d.scheme == "" {
		q.Method, q.URL = http.MethodConnect, "tcp://"+host
	}
	if d.scheme == "h2c" {
		q.URL = "http://" + host + d.path
	}
	return q
}

// reach says whether the client would get there.
func (c *clientProbe) reach(ctx context.Context, d *destination) Finding {
	began := time.Now()
	var permit policy.Permit
	if d.chosen {
		q := d.query(c.o.ID)
		var err error
		if permit, err = c.o.Rules.Check(q); err != nil {
			how := c.o.Rules.Explain(q, policy.Unknown{})
			return Finding{Severity: Failure, Found: "the rules of this client do not let callers there: " + how.Why + ruleText(how.By),
				Means: "callers get 403", Change: "allow it with --allow " + net.JoinHostPort(d.host, d.port) + ", or take the rule away that forbids it; adit rules test explains",
				Settings: []string{"allow", "deny"}}
		}
	}
	addresses := []netip.Addr{}
	if a, err := netip.ParseAddr(d.host); err == nil {
		addresses = append(addresses, a.Unmap())
	} else {
		addresses, err = c.lookup(ctx, d.host)
		f := Finding{Took: time.Since(began)}
		if f.failed(d.host, addresses, err) {
			f.Means = "callers of " + d.from + " get 502"
			return f
		}
	}
	port, _ := strconv.ParseUint(d.port, 10, 16)
	var refused string
	if d.chosen {
		var kept []netip.Addr
		for _, a := range addresses {
			if permit.Allows(a, uint16(port)) {
				kept = append(kept, a)
			} else if refused == "" {
				refused = a.String() + ": " + permit.Why(a, uint16(port))
			}
		}
		if len(kept) == 0 {
			return Finding{Severity: Failure, Found: fmt.Sprintf("%s is %s, and the rules of this client let callers to no address of it: %s", d.host, some(addresses), refused),
				Means: "callers get 403", Change: "allow the address with --allow, if that is meant; adit rules test --resolve explains", Settings: []string{"allow", "deny"}}
		}
		addresses = kept
	}
	var first error
	var at netip.Addr
	for i, a := range addresses {
		if i == maxAddresses || ctx.Err() != nil {
			break
		}
		conn, err := c.dial(ctx, net.JoinHostPort(a.String(), d.port))
		if err == nil {
			defer conn.Close()
			return c.answers(ctx, d, conn, a, began)
		}
		if first == nil {
			first, at = err, a
		}
	}
	return c.unreached(d, first, at, time.Since(began))
}

func ruleText(by *policy.Judged) string {
	if by == nil || by.Text == "" {
		return ""
	}
	return " (" + engine.Bound(by.Text) + ")"
}

func (c *clientProbe) unreached(d *destination, err error, at netip.Addr, took time.Duration) Finding {
	where := at.String()
	if d.host != where {
		where = d.host + " (" + where + ")"
	}
	f := Finding{Severity: Failure, Took: took, Found: fmt.Sprintf("port %s of %s can't be reached from here: %s", d.port, where, dialText(err, c.o.pace.step)),
		Means: "callers of " + d.from + " get 502"}
	switch {
	case isRefused(err):
		f.Change = "start the service, or correct the port: nothing listens there"
	case isTimeout(err):
		f.Means = "callers of " + d.from + " wait, and get 504: a firewall drops what is sent there, or the machine is off"
		f.Change = "check that the machine is up, and that a firewall lets this one through"
	default:
		f.Change = "check the network of this machine, and the address"
	}
	return f
}

// answers asks an HTTP service for a page; any answer will do.
func (c *clientProbe) answers(ctx context.Context, d *destination, conn net.Conn, at netip.Addr, began time.Time) Finding {
	f := Finding{Severity: OK, Took: time.Since(began), Found: fmt.Sprintf("port %s answers at %s in %v", d.port, at, round(time.Since(began)))}
	if d.scheme == "" {
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, 2*c.o.pace.step)
	defer cancel()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(d.scheme != "h2c")
	protocols.SetUnencryptedHTTP2(d.scheme == "h2c")
	taken := false
	transport := &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			if taken {
				return nil, errors.New("the connection is lost")
			}
			taken = true
			return conn, nil
		},
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, Protocols: protocols, DisableKeepAlives: true,
		MaxResponseHeaderBytes: maxHead,
	}
	defer transport.CloseIdleConnections()
	scheme := strings.Replace(d.scheme, "h2c", "http", 1)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort(d.host, d.port)+d.path, nil)
	if err != nil {
		f.Severity, f.Found = Failure, "no URL: "+errorText(err)
		return f
	}
	req.Header.Set("User-Agent", c.o.UserAgent)
	resp, err := transport.RoundTrip(req)
	f.Took = time.Since(began)
	if err == nil {
		_ = resp.Body.Close()
		f.Found = fmt.Sprintf("it answers %d at %s in %v", resp.StatusCode, at, round(f.Took))
		if resp.StatusCode == 502 || resp.StatusCode == 503 || resp.StatusCode == 504 {
			f.Severity = Warning
			f.Means = "the tunnel reaches it, but what answers there has nothing behind it"
			f.Change = "look at the service, and at a proxy before it"
		}
		return f
	}
	f.Severity = Failure
	f.Means = "callers of " + d.from + " get 502"
	var record tls.RecordHeaderError
	var unverified *tls.CertificateVerificationError
	switch {
	case isTimeout(err):
		f.Found = fmt.Sprintf("it lets the connection open at %s and does not answer within %v", at, 2*c.o.pace.step)
		f.Means = "callers of " + d.from + " wait, and get 504"
		f.Change = "look at the service: it hangs, or speaks no HTTP"
	case errors.As(err, &record) || strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		f.Found = "it speaks no TLS"
		f.Change = "write http:// in place of https://"
	case errors.As(err, &unverified):
		f.Found = "its certificate does not hold: " + errorText(unverified.Err)
		f.Change = "give the service a certificate that this machine trusts, add its authority to those of the system, or use http://"
		if advice := egress.Advice(err); strings.HasPrefix(advice, "the certificate has ended") {
			f.Change = advice
		}
	case strings.Contains(err.Error(), `\x15\x03`):
		f.Found = "it speaks TLS"
		f.Change = "write https:// in place of http://"
	default:
		f.Found = "it lets the connection open at " + at.String() + ", but gives no HTTP answer: " + errorText(err)
		f.Change = "look at the service: it may speak something else than " + d.scheme
	}
	return f
}
