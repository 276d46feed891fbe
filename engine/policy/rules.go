package policy

import (
	"net/netip"
	"regexp"
	"strings"

	"adit/engine"
)

// Rules decides which destinations are allowed; it never changes. A nil or zero
// Rules allows nothing.
type Rules struct {
	all       bool
	names     []nameRule
	addresses []addressRule
	urls      []*regexp.Regexp
	whitelist []wspRule
	blacklist []wspRule
	guarded   []netip.Prefix
}

// AllowNothing reports whether every destination is denied. A nil *Rules does.
func (r *Rules) AllowNothing() bool {
	return r == nil || !r.all && len(r.names) == 0 && len(r.addresses) == 0 && len(r.urls) == 0 && len(r.whitelist) == 0
}

// A Rule is an entry of a whitelist or blacklist: wsp's, with more to it. Its
// expressions are RE2, match anywhere in the text, and all that it says must
// hold. A field that is absent has the value "", as in wsp; of one with several
// values a blacklist entry needs one that matches and a whitelist entry needs
// all to match.
type Rule struct {
	Name        string            // for people, in explanations; may be ""
	Method, URL string            // regular expressions; "" matches all
	Headers     map[string]string // name to regular expression
	Address     []string          // addresses and CIDRs of the destination, after resolving; none: all
	Ports       string            // PORT or FIRST-LAST of the destination; "" all
	Client      string            // regular expression on the id of the client that would carry it
	Caller      string            // regular expression on the name of the caller's credential; at a server only
	From        []string          // addresses and CIDRs of the caller; at a server only
}

// A RuleSet is what rules are made of. The order is wsp's: what Deny or
// Blacklist names is denied; of the rest is allowed what Allow or Whitelist
// names, or all with AllowAll.
type RuleSet struct {
	Allow, Deny          []string // as --allow and --deny take them
	Whitelist, Blacklist []Rule
	AllowAll             bool
}

// A Query is what is asked.
type Query struct {
	Method string                     // "CONNECT" for a TCP stream
	URL    string                     // absolute; for a CONNECT "tcp://host:port"
	Host   string                     // host:port that would be dialled
	Values func(name string) []string // field values; nil: none
	Client string                     // id; "" where it is not known yet
	Caller string                     // name of the credential; "" none
	From   netip.Addr                 // of the caller; the zero Addr: not known
}

// A Permit is a decision in favour, to be completed when the address is known.
type Permit struct {
	ByAddress bool // only an address rule can allow it: decided at the dial
}

// The texts of denials.
const (
	textBadHost     = "the destination is not HOST:PORT"
	textBadURL      = "the URL does not name the destination"
	textBlacklisted = "the blacklist forbids it"
	textGuarded     = "metadata, link-local and multicast addresses must be named by a rule"
	textNoRule      = "no rule allows it"
)

// Check decides by method, URL, fields and host name: ReasonDenied, or a permit.
// The blacklist comes first; then one of allow, whitelist or allowAll must speak
// for it. An address as host is decided here, a name that only an address rule
// could allow at the dial.
//
// Host and URL must agree and have no user information. Only dotted decimal and
// RFC 4291 forms are addresses; every other spelling of one is a name, so that
// what it resolves to is checked at the dial.
func (r *Rules) Check(q *Query) (Permit, error) {
	dest, ok := parseDestination(q.Host)
	if !ok {
		return Permit{}, denied(textBadHost)
	}
	if r == nil {
		return Permit{}, denied(textNoRule)
	}
	url, ok := spell(q.URL, dest, r.wants())
	if !ok {
		return Permit{}, denied(textBadURL)
	}
	for i := range r.blacklist {
		if r.blacklist[i].matchesAny(q, &url) {
			return Permit{}, denied(textBlacklisted)
		}
	}
	if dest.isAddress {
		return r.checkAddress(q, dest, &url)
	}
	if r.allowedUnresolved(q, dest, &url) {
		return Permit{}, nil
	}
	for i := range r.addresses {
		if r.addresses[i].ports.has(dest.port) {
			return Permit{ByAddress: true}, nil
		}
	}
	return Permit{}, denied(textNoRule)
}

func (r *Rules) wants() wanted {
	switch {
	case len(r.blacklist) > 0:
		return wantDeny
	case len(r.urls)+len(r.whitelist) > 0:
		return wantAllow
	}
	return wantNone
}

func (r *Rules) checkAddress(q *Query, dest destination, url *spellings) (Permit, error) {
	if r.addressAllowed(dest.address, dest.port, true) {
		return Permit{ByAddress: true}, nil
	}
	if r.isGuarded(dest.address) {
		return Permit{}, denied(textGuarded)
	}
	if r.allowedUnresolved(q, dest, url) {
		return Permit{}, nil
	}
	return Permit{}, denied(textNoRule)
}

// allowedUnresolved reports whether a rule that does not look at addresses
// allows it.
func (r *Rules) allowedUnresolved(q *Query, dest destination, url *spellings) bool {
	if r.all {
		return true
	}
	for i := range r.names {
		if !dest.isAddress && r.names[i].matches(dest) {
			return true
		}
	}
	for _, re := range r.urls {
		if url.all(re) {
			return true
		}
	}
	for i := range r.whitelist {
		if r.whitelist[i].matchesAll(q, url) {
			return true
		}
	}
	return false
}

// A portRange is a range of ports, both ends included.
type portRange struct{ first, last uint16 }

func (p portRange) has(port uint16) bool { return p.first <= port && port <= p.last }

// A nameRule allows a name, or every name below a suffix.
type nameRule struct {
	name   string // lower case, without trailing dot; a suffix begins with a dot
	suffix bool
	ports  portRange
}

func (n *nameRule) matches(dest destination) bool {
	if !n.ports.has(dest.port) {
		return false
	}
	if n.suffix {
		return len(dest.name) > len(n.name) && strings.HasSuffix(dest.name, n.name)
	}
	return dest.name == n.name
}

// A wspRule is a compiled [Rule]; a nil expression matches all.
type wspRule struct {
	method, url *regexp.Regexp
	fields      []fieldRule
}

type fieldRule struct {
	name  string // canonical
	value *regexp.Regexp
}

func (w *wspRule) matchesAny(q *Query, url *spellings) bool {
	if w.method != nil && !w.method.MatchString(q.Method) {
		return false
	}
	if w.url != nil && !url.any(w.url) {
		return false
	}
	for i := range w.fields {
		if !w.fields[i].anyValue(q) {
			return false
		}
	}
	return true
}

func (w *wspRule) matchesAll(q *Query, url *spellings) bool {
	if w.method != nil && !w.method.MatchString(q.Method) {
		return false
	}
	if w.url != nil && !url.all(w.url) {
		return false
	}
	for i := range w.fields {
		if !w.fields[i].everyValue(q) {
			return false
		}
	}
	return true
}

func (f *fieldRule) anyValue(q *Query) bool {
	values := f.values(q)
	if len(values) == 0 {
		return f.value.MatchString("")
	}
	for _, v := range values {
		if f.value.MatchString(v) {
			return true
		}
	}
	return false
}

func (f *fieldRule) everyValue(q *Query) bool {
	values := f.values(q)
	if len(values) == 0 {
		return f.value.MatchString("")
	}
	for _, v := range values {
		if !f.value.MatchString(v) {
			return false
		}
	}
	return true
}

func (f *fieldRule) values(q *Query) []string {
	if q.Values == nil {
		return nil
	}
	return q.Values(f.name)
}

func denied(text string) error { return fail("check rules", engine.ReasonDenied, text) }
