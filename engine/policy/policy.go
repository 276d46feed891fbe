// Package policy decides who may do what: credentials of clients and callers,
// allow and deny rules for every request, and the guard that resolves a
// destination, checks the address and dials the address it checked.
package policy

import (
	"context"
	"net"
	"net/http"
	"net/netip"

	"adit/engine"
)

// Secrets is a set of credentials, kept as SHA-256 hashes and compared in
// constant time. A nil or empty set matches nothing.
type Secrets struct { /* unexported */
}

func NewSecrets(values ...string) *Secrets { panic("in work") }
func (s *Secrets) Empty() bool             { panic("in work") }
func (s *Secrets) Match(v string) bool     { panic("in work") }

// Clients decides which clients may register.
type Clients struct {
	Secrets *Secrets // empty: open
}

// Admit reads X-Secret-Key or a bearer token in Authorization. A repeated or
// contradictory credential is ReasonMalformed, a wrong one ReasonUnauthorized.
func (c *Clients) Admit(h http.Header) error { panic("in work") }

// Callers decides which callers may use the ways in.
type Callers struct {
	Tokens      *Secrets // empty: open
	OpenExposed bool     // exposed names and ports need no credential
}

// Admit reads Proxy-Authorization, else Authorization (bearer token, or the
// password of basic), and removes the field that held it, so that ours never
// reaches an origin. Where no credential is needed nothing is removed. A wrong
// or missing one is ReasonProxyAuth for WayProxy and WayConnect, else
// ReasonUnauthorized; a repeated field is ReasonMalformed.
func (c *Callers) Admit(h http.Header, way engine.Way) error { panic("in work") }

// Rules decides which destinations are allowed; it never changes.
type Rules struct { /* unexported */
}

// A WSPRule is an entry of wsp's whitelist or blacklist.
type WSPRule struct {
	Method, URL string            // regular expressions; "" matches all
	Headers     map[string]string // name to regular expression
}

// NewRules compiles --allow values (product.md, "Ways to reach") and wsp's lists.
// With neither allow nor whitelist nothing is allowed, unless allowAll.
func NewRules(allow []string, whitelist, blacklist []WSPRule, allowAll bool) (*Rules, error) {
	panic("in work")
}

// A Query is what is asked.
type Query struct {
	Method string                     // "CONNECT" for a TCP stream
	URL    string                     // absolute; for a CONNECT "tcp://host:port"
	Host   string                     // host:port that would be dialled
	Values func(name string) []string // field values; nil: none
}

// A Permit is a decision in favour, to be completed when the address is known.
type Permit struct {
	ByAddress bool // only an address rule can allow it: decided at the dial
}

// Check decides by method, URL, fields and host name: ReasonDenied, or a permit.
func (r *Rules) Check(q *Query) (Permit, error) { panic("in work") }

// A Dialer resolves, checks every address against the rules and dials the
// address that it checked. Cloud metadata and link-local addresses are denied
// unless a rule names them. ReasonDenied, ReasonOriginFailed, ReasonTimedOut.
type Dialer struct {
	Rules    *Rules
	Resolver interface {
		LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	}
	Dial func(ctx context.Context, network, addr string) (net.Conn, error) // nil: net.Dialer, 10 s
}

// DialContext dials host:port under permit.
func (d *Dialer) DialContext(ctx context.Context, permit Permit, addr string) (net.Conn, error) {
	panic("in work")
}
