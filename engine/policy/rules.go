package policy

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"adit/engine"
)

// Rules decides which destinations are allowed; it never changes. A nil or zero
// Rules allows nothing.
type Rules struct {
	all    bool // allows what no rule speaks of
	server bool

	rules  []rule // those that deny, then those that allow
	denies int    // how many deny

	guarded     []netip.Prefix
	nearGuarded firstBytes
	urls        bool // a rule looks at URLs
	callers     bool // a rule looks at callers' addresses
	conditions  int  // rules on addresses that have other conditions

	// How a query finds the rules that may speak of it.
	alive        []uint64           // sets of those without a key: where the destination is an address, then where it is a name
	hosts        map[string][]int32 // numbers of those of one name
	keys         keys               // of URLs
	fields       []fieldKeys
	addressPorts []portRange // of those that allow by address alone

	// What running all expressions costs for each byte of what they are run on.
	urlWeight, methodWeight int64

	noRule, unnamed, unresolved, excessive error // of denials that no rule speaks

	byName, byAddress plan // of permits under which no conditional rule holds
	plans             plans
}

// AllowNothing reports whether every destination is denied. A nil *Rules does.
func (r *Rules) AllowNothing() bool { return r == nil || !r.all && len(r.rules) == r.denies }

// OnAddresses returns the places of the rules that look at addresses: "deny 1".
func (r *Rules) OnAddresses() (places []string) {
	if r == nil {
		return nil
	}
	for i := range r.rules {
		if len(r.rules[i].blocks) > 0 {
			places = append(places, r.rules[i].place)
		}
	}
	return places
}

// AskFrom reports whether a rule looks at [Query.From].
func (r *Rules) AskFrom() bool { return r != nil && r.callers }

// A Rule is an entry of a whitelist or blacklist: wsp's, with more to it. Its
// expressions are RE2, match anywhere in the text, and all that it says must
// hold. A field that is absent has the value "", as in wsp; of one with several
// values a blacklist entry needs one that matches and a whitelist entry needs
// all to match. What is not known matches nothing: the address of a caller that
// has none, the addresses of a name at a server.
type Rule struct {
	Name        string            // for people, in explanations; may be ""
	Method, URL string            // regular expressions; "" matches all
	Headers     map[string]string // name to regular expression
	Address     []string          // addresses and CIDRs of the destination, after resolving; none: all
	Ports       string            // PORT or FIRST-LAST of the destination; "" all
	Client      string            // regular expression on the id of the client that would carry it
	Caller      string            // regular expression on the name of the caller's credential; at a server only
	From        []string          // addresses and CIDRs of the caller; at a server only
	Line        int               // of the file where it stands; 0 none
}

// String says what the entry asks for, for people: "method=^GET$ address=10.0.0.0/8".
func (e *Rule) String() string {
	var parts []string
	add := func(key, value string) {
		if value != "" {
			parts = append(parts, key+"="+value)
		}
	}
	add("method", e.Method)
	add("url", e.URL)
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		parts = append(parts, name+"="+e.Headers[name])
	}
	add("address", strings.Join(e.Address, ","))
	add("ports", e.Ports)
	add("client", e.Client)
	add("caller", e.Caller)
	add("from", strings.Join(e.From, ","))
	if len(parts) == 0 {
		return "everything"
	}
	return strings.Join(parts, " ")
}

// A RuleSet is what rules are made of. The order is wsp's: what Deny or
// Blacklist names is denied; of the rest is allowed what Allow or Whitelist
// names, or all with AllowAll.
type RuleSet struct {
	Allow, Deny          []string // as --allow and --deny take them
	Whitelist, Blacklist []Rule
	AllowAll             bool

	// Server says that they are a server's. It knows the callers and does not
	// resolve: there a rule on addresses sees those only that a caller writes, and
	// allows no name.
	Server bool
}

// A Query is what is asked.
type Query struct {
	Method string     // "CONNECT" for a TCP stream
	URL    string     // absolute; for a CONNECT "tcp://host:port"
	Host   string     // host:port that would be dialled
	Fields Fields     // field values; nil: none
	Client string     // id; "" where it is not known yet
	Caller string     // name of the credential; "" none
	From   netip.Addr // of the caller; the zero Addr: not known
}

// Fields are those of a request head. What Values returns, for a name in
// canonical form, is not changed and not kept.
type Fields interface{ Values(name string) []string }

// A Permit is a decision in favour, to be completed when the address is known
// or, at a server, the client. It holds the rules that made it. Permits are
// comparable: equal ones allow the same addresses. The zero Permit allows none.
type Permit struct{ plan *plan }

// ByAddress reports whether only an address rule can allow it: decided at the
// dial.
func (p Permit) ByAddress() bool { return p.plan != nil && p.plan.byAddress }

// ByClient reports whether it depends on the client that is to carry it.
func (p Permit) ByClient() bool { return p.plan != nil && p.plan.clients != nil }

// Admits reports whether a client of that id may carry it.
func (p Permit) Admits(client string) bool {
	return p.plan != nil && (p.plan.clients == nil || p.plan.clients.admit(client))
}

// Allows reports whether that address may be dialled under it.
func (p Permit) Allows(a netip.Addr, port uint16) bool {
	return p.plan != nil && a.IsValid() && p.plan.allows(plain(a), port)
}

// The texts of denials.
const (
	textBadHost    = "the destination is not HOST:PORT"
	textBadURL     = "the URL does not name the destination"
	textNumeral    = "the destination is written as a number, which a resolver may take for an address: write an address as four numbers 0-255 without leading zeros"
	textGuarded    = "metadata, link-local and multicast addresses must be named by a rule"
	textNoRule     = "no rule allows it"
	textExcessive  = "the URL, or a field, is too long for as many expressions as would have to look at it"
	textUnresolved = "only a rule on addresses could allow it, and a server does not resolve names: allow the name, or leave it to the client's rules"
)

// Check decides by method, URL, fields, host name, caller and client:
// ReasonDenied, or a permit. What denies comes first; then one of allow,
// whitelist or AllowAll must speak for it. An address as host is decided here,
// a name that only an address rule could allow or deny at the dial. Where the
// client is not known yet, rules on it are left to [Permit.Admits].
//
// Host and URL must agree and have no user information. Only dotted decimal and
// RFC 4291 forms are addresses; every other spelling of one is a name, so that
// what it resolves to is checked at the dial. A server, which does not dial,
// denies it.
func (r *Rules) Check(q *Query) (Permit, error) {
	dest, ok := parseDestination(q.Host)
	if !ok {
		return Permit{}, denied(textBadHost)
	}
	if r == nil || r.noRule == nil {
		return Permit{}, denied(textNoRule)
	}
	if r.server && dest.isNumeral() {
		return Permit{}, denied(textNumeral)
	}
	j := r.judgement(q, &dest)
	defer j.release()
	if !j.url.spell(q.URL, q.Host, &dest, r.urls) {
		return Permit{}, denied(textBadURL)
	}
	return j.judge()
}

func denied(text string) error { return fail("check rules", engine.ReasonDenied, text) }
