package policy

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// A Verdict is a decision, as far as it can be told.
type Verdict uint8

const (
	Open    Verdict = iota // what is not known decides
	Allowed                // a rule or the lack of one allows it
	Denied                 // a rule or the lack of one denies it
)

func (v Verdict) String() string { return [...]string{"open", "allowed", "denied"}[v] }

// Unknown says what of a query nobody knows, which is not the same as that there
// is none.
type Unknown struct {
	Client, Caller, From bool
	URL                  bool                   // some of it was masked or cut: expressions on it can't be told
	Field                func(name string) bool // nil: all fields are known
}

// A Stated is one rule as it stands.
type Stated struct {
	Place  string // "blacklist 3"
	Name   string // what the operator calls it; may be ""
	Text   string // what it says
	Line   int    // of the file; 0: none
	Denies bool
}

// A Judged is a rule that matches a query, or may.
type Judged struct {
	Stated
	Needs []string // what of the query would have to be known: "client", "address", "field X-Team"; none: it matches
}

// An Explanation is how a decision comes about.
type Explanation struct {
	Destination string   // how the host was read
	Spellings   []string // of the URL, that expressions are held against; none where no rule looks at it
	Rules       []Judged // that match or may, in order
	Skipped     int      // rules that don't
	Verdict     Verdict
	By          *Judged // the rule that decides; nil: none does
	Why         string  // in words
}

// List returns the rules in the order in which they are asked.
func (r *Rules) List() []Stated {
	if r == nil {
		return nil
	}
	list := make([]Stated, len(r.rules))
	for n := range r.rules {
		list[n] = r.stated(n)
	}
	return list
}

// All reports whether it is allowed what no rule speaks of.
func (r *Rules) All() bool { return r != nil && r.all }

func (r *Rules) stated(n int) Stated {
	c := &r.rules[n]
	return Stated{Place: c.place, Name: c.name, Text: c.text, Line: c.line, Denies: n < r.denies}
}

// Explain decides as [Rules.Check] does, and says how; of what is unknown it makes
// no guess. It is not made to be fast.
func (r *Rules) Explain(q *Query, not Unknown) *Explanation {
	x := &Explanation{Verdict: Denied}
	dest, ok := parseDestination(q.Host)
	if !ok {
		x.Why = textBadHost
		return x
	}
	x.Destination = dest.String()
	if r == nil || r.noRule == nil {
		x.Why = textNoRule
		return x
	}
	if r.server && dest.isNumeral() {
		x.Why = textNumeral
		return x
	}
	var url spellings
	if !url.spell(q.URL, q.Host, &dest, true) {
		x.Why = textBadURL
		return x
	}
	if r.urls {
		x.Spellings = url.list()
	}
	if r.asksTooMuch(q, &dest) {
		x.Why = textExcessive
		return x
	}
	e := explainer{r: r, q: q, not: not, dest: &dest, url: &url}
	for n := range r.rules {
		needs, matches := e.judge(n)
		if !matches {
			x.Skipped++
			continue
		}
		x.Rules = append(x.Rules, Judged{r.stated(n), needs})
	}
	x.decide(r, e.unresolved, dest.isAddress && r.isGuarded(dest.address))
	return x
}

// decide makes the verdict of the rules that match or may.
func (x *Explanation) decide(r *Rules, unresolved, guarded bool) {
	var open, allows, mayAllow *Judged
	for i := range x.Rules {
		c := &x.Rules[i]
		switch {
		case c.Denies && len(c.Needs) == 0:
			x.By, x.Why = c, c.Place+" forbids it"
			return
		case c.Denies && open == nil:
			open = c
		case c.Denies:
		case len(c.Needs) == 0 && allows == nil:
			allows = c
		case len(c.Needs) > 0 && mayAllow == nil:
			mayAllow = c
		}
	}
	all := r.all && !guarded
	switch {
	case !all && allows == nil && mayAllow == nil && guarded:
		x.Why = textGuarded
	case !all && allows == nil && mayAllow == nil && unresolved:
		x.Why = textUnresolved
	case !all && allows == nil && mayAllow == nil:
		x.Why = textNoRule
	case open != nil:
		x.Verdict, x.By, x.Why = Open, open, open.Place+" may forbid it: "+neededText(open)
	case allows != nil:
		x.Verdict, x.By, x.Why = Allowed, allows, allows.Place+" allows it"
	case all:
		x.Verdict, x.Why = Allowed, "no rule forbids it"
	default:
		x.Verdict, x.By, x.Why = Open, mayAllow, mayAllow.Place+" may allow it: "+neededText(mayAllow)
	}
}

func neededText(c *Judged) string { return "it depends on the " + strings.Join(c.Needs, ", the ") }

// An explainer holds rules against one query, condition by condition.
type explainer struct {
	r          *Rules
	q          *Query
	not        Unknown
	dest       *destination
	url        *spellings
	unresolved bool // a rule on addresses could have allowed it
}

// judge returns what rule n would have to know; matches is false where it does not
// match whatever that is.
func (e *explainer) judge(n int) (needs []string, matches bool) {
	c, denies := &e.r.rules[n], n < e.r.denies
	if c.method != nil && !c.method.MatchString(e.q.Method) || !c.ports.has(e.dest.port) ||
		c.host.name != "" && (e.dest.isAddress || !c.host.matches(e.dest)) {
		return nil, false
	}
	need := func(unknown bool, what string, holds func() bool) bool {
		if unknown {
			needs = append(needs, what)
			return true
		}
		return holds()
	}
	ok := (c.client == nil || need(e.not.Client, "client", func() bool { return c.client.MatchString(e.q.Client) })) &&
		(c.caller == nil || need(e.not.Caller, "caller", func() bool { return c.caller.MatchString(e.q.Caller) })) &&
		(len(c.from) == 0 || need(e.not.From, "caller's address", func() bool { return within(c.from, e.q.From) })) &&
		(c.url == nil || need(e.not.URL, "URL", func() bool { return e.urlMatches(c.url, denies) }))
	for i := range c.fields {
		f := &c.fields[i]
		ok = ok && need(e.not.Field != nil && e.not.Field(f.name), "field "+f.name, func() bool { return e.fieldMatches(f, denies) })
	}
	if !ok {
		return nil, false
	}
	return e.address(c, denies, needs)
}

// address adds what the addresses of a rule have a say in.
func (e *explainer) address(c *rule, denies bool, needs []string) ([]string, bool) {
	guarded := e.dest.isAddress && e.r.isGuarded(e.dest.address)
	switch {
	case len(c.blocks) == 0:
		return needs, denies || !guarded
	case e.dest.isAddress && denies:
		return needs, covers(c.blocks, e.dest.address)
	case e.dest.isAddress:
		return needs, contains(c.blocks, e.dest.address, guarded)
	case e.r.server:
		e.unresolved = e.unresolved || !denies
		return nil, false
	}
	return append(needs, "address"), true
}

func (e *explainer) urlMatches(re *expression, denies bool) bool {
	if denies {
		return slices.ContainsFunc(e.url.list(), re.MatchString)
	}
	return e.url.all(re)
}

func (e *explainer) fieldMatches(f *fieldRule, denies bool) bool {
	var values []string
	if e.q.Fields != nil {
		values = e.q.Fields.Values(f.name)
	}
	if len(values) == 0 {
		values = []string{""}
	}
	if denies {
		return slices.ContainsFunc(values, f.value.MatchString)
	}
	return !slices.ContainsFunc(values, func(v string) bool { return !f.value.MatchString(v) })
}

// list returns every spelling once.
func (s *spellings) list() []string {
	all := []string{s.given, s.host, s.givenPath, s.hostPath}
	if s.ported {
		all = append(all, string(s.appendPort(nil, s.path)), string(s.appendPort(nil, s.normal)))
	}
	var once []string
	for _, text := range all {
		if !slices.Contains(once, text) {
			once = append(once, text)
		}
	}
	return once
}

// String says for people what it is: "name api.internal, port 80".
func (d *destination) String() string {
	if d.isAddress {
		return "address " + d.address.String() + ", port " + strconv.Itoa(int(d.port))
	}
	return "name " + d.name + ", port " + strconv.Itoa(int(d.port))
}

// Why says what decides about an address under the permit: "deny 2 forbids it".
func (p Permit) Why(a netip.Addr, port uint16) string {
	if p.plan == nil || !a.IsValid() {
		return textNoRule
	}
	a = plain(a)
	r := p.plan.r
	guarded := r.isGuarded(a)
	allows := ""
	for n := range r.rules {
		c := &r.rules[n]
		holds := c.onlyAddress() || slices.Contains(p.plan.conditions, int32(n))
		switch {
		case !holds || !c.ports.has(port):
		case n < r.denies && covers(c.blocks, a):
			return c.place + " forbids it"
		case n >= r.denies && allows == "" && contains(c.blocks, a, guarded):
			allows = c.place + " allows it"
		}
	}
	switch {
	case allows != "":
		return allows
	case guarded:
		return textGuarded
	case p.plan.byAddress:
		return textNoRule
	}
	return "nothing forbids it"
}
