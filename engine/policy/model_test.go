package policy_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"adit/engine/policy"
)

// What follows is the meaning of rules a second time, slow and without anything
// of the first: no keys, no plans, every rule asked in turn. Requests are put
// together of pieces whose normal form stands beside them.

// A draw takes decisions from bytes; when they are used up it takes the first choice.
type draw struct{ b []byte }

func (d *draw) below(n int) int {
	if len(d.b) == 0 {
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return int(c) % n
}

func (d *draw) one(in int) bool { return d.below(in) == 1 }

func pick[T any](d *draw, from []T) T { return from[d.below(len(from))] }

type modelAddress struct {
	text    string
	carries string // the IPv4 address that a translator would make of it
	guarded bool
}

var modelAddresses = []modelAddress{
	{text: "10.0.0.5"}, {text: "10.9.0.5"}, {text: "203.0.113.9"}, {text: "169.254.169.254", guarded: true}, {text: "::1"},
	{text: "2001:db8::1"}, {text: "fd00:ec2::254", guarded: true}, {text: "64:ff9b::a09:5", carries: "10.9.0.5"},
	{text: "64:ff9b::a9fe:a9fe", carries: "169.254.169.254", guarded: true}, {text: "2002:a09:5::1", carries: "10.9.0.5"},
}

type modelBlock struct {
	text  string
	names bool
}

var modelBlocks = []modelBlock{
	{"10.0.0.0/8", true}, {"10.9.0.0/16", true}, {"169.254.169.254/32", true}, {"0.0.0.0/0", false}, {"::/0", false},
	{"64:ff9b::/96", true}, {"fd00:ec2::254/128", true}, {"203.0.113.0/24", true}, {"::1/128", true},
}

type modelHost struct {
	written, normal string // of a name; an address as it stands in a URL
	address         int    // index into modelAddresses; -1 a name
}

var modelHosts = []modelHost{
	{"api.internal", "api.internal", -1}, {"API.Internal.", "api.internal", -1}, {"svc-17.corp.example", "svc-17.corp.example", -1},
	{"svc-1.corp.example", "svc-1.corp.example", -1}, {"x", "x", -1}, {"10.0.0.5", "10.0.0.5", 0}, {"10.9.0.5", "10.9.0.5", 1},
	{"169.254.169.254", "169.254.169.254", 3}, {"[0:0:0:0:0:0:0:1]", "[::1]", 4}, {"[64:ff9b::a09:5]", "[64:ff9b::a09:5]", 7},
	{"0x0a090005", "0x0a090005", -1},
}

type modelPath struct{ written, normal string }

var modelPaths = []modelPath{
	{"/", "/"}, {"", ""}, {"/admin", "/admin"}, {"/%61dmin/x", "/admin/x"}, {"/x/../admin?q=1", "/admin?q=1"}, {"/v1/items/7", "/v1/items/7"},
	{"/v1/ITEMS/7.bak", "/v1/ITEMS/7.bak"}, {"?admin", "?admin"}, {"/a%20b/%ff", "/a%20b/%ff"}, {"/\u212a\xff", "/\u212a\xff"}, {"/a:80/v1", "/a:80/v1"}, {"/ta\u017f\u212as/", "/ta\u017f\u212as/"},
}

var modelURLs = []string{
	"", "^http://api\\.internal(:80)?/", "/admin", "^https?://[a-z0-9.-]+/v1/", "(?i)items/[0-9]+\\.(bak|old|sql)$", ":80/", ":80/v1", "internal:443/admin",
	"(?i)k", "(?i)/tasks/", "\ufffd", "^(HTTP|http)://(svc-1|svc-17)\\.corp", "corp\\.example(/|$)", "svc-1[0-9]?\\.", "x:80", "//x", "a{3}|admin|v1/items", "(admin)+", "[Aa][Dd]min",
}

type modelRule struct {
	text    string // of allow and deny; "" an entry of a list
	host    string // of a text; may begin with *.
	blocks  []modelBlock
	url     string
	first   int // of ports; 0: all
	last    int
	method  string
	fields  map[string]string
	client  string
	caller  string
	from    []string
	entry   policy.Rule
	allowed bool // any
}

func drawRule(d *draw, server, denies bool) modelRule {
	var m modelRule
	if d.one(3) { // a text
		ports := ""
		if d.one(3) {
			m.first, m.last, ports = 80, 100, ":80-100"
		}
		switch d.below(5) {
		case 0:
			m.host = pick(d, []string{"api.internal", "svc-17.corp.example", "x", "*.corp.example", "*.internal"})
			m.text = m.host + ports
		case 1, 2:
			b := pick(d, modelBlocks)
			m.blocks = []modelBlock{b}
			if m.text = b.text + ports; strings.Contains(b.text, ":") && ports != "" {
				m.text = "[" + b.text + "]" + ports
			}
		case 3:
			m.first, m.last = 0, 0
			m.url = pick(d, modelURLs[1:])
			m.text = "/" + m.url + "/"
		case 4:
			m.first, m.last = 0, 0
			if denies {
				m.host, m.text = "x", "x"
			} else {
				m.allowed, m.text = true, "any"
			}
		}
		return m
	}
	e := &m.entry
	m.url = pick(d, modelURLs)
	e.URL = m.url
	if d.one(3) {
		m.method = pick(d, []string{"^GET$", "^(GET|HEAD)$", "O", "^PURGE$", ".*"})
		e.Method = m.method
	}
	if d.one(3) {
		m.fields = map[string]string{}
		for range 1 + d.below(2) {
			m.fields[pick(d, []string{"User-Agent", "X-Team"})] = pick(d, []string{"(?i)badbot", "^ops$", "^$", "s", "ops|dev"})
		}
		e.Headers = m.fields
	}
	if d.one(3) {
		m.first, m.last, e.Ports = 443, 8443, "443-8443"
	}
	if d.one(3) {
		for range 1 + d.below(2) {
			m.blocks = append(m.blocks, pick(d, modelBlocks))
			e.Address = append(e.Address, m.blocks[len(m.blocks)-1].text)
		}
	}
	if d.one(4) {
		m.client = pick(d, []string{"^edge-a$", "edge", "^$", "b"})
		e.Client = m.client
	}
	if server && d.one(3) {
		m.caller = pick(d, []string{"^robot$", "^$", "alice"})
		e.Caller = m.caller
	}
	if server && d.one(3) {
		m.from = []string{pick(d, []string{"192.0.2.0/24", "2001:db8::/32", "192.0.2.7"})}
		e.From = m.from
	}
	return m
}

type modelQuery struct {
	q      policy.Query
	host   modelHost
	port   int
	given  [2]string // with the path as it came, and in normal form
	normal [2]string
	ported [2]string
	fields http.Header
}

func drawQuery(d *draw) modelQuery {
	var m modelQuery
	m.host = pick(d, modelHosts)
	scheme := pick(d, []string{"http", "https", "HTTP", "tcp"})
	usual := map[string]int{"http": 80, "https": 443}[strings.ToLower(scheme)]
	m.port = pick(d, []int{usual, 8080, 443, 80})
	if m.port == 0 {
		m.port = 80
	}
	written := fmt.Sprintf(":%d", m.port)
	if m.port == usual && !d.one(3) {
		written = pick(d, []string{"", ":"})
	}
	path := pick(d, modelPaths)
	if scheme == "tcp" {
		path = modelPath{}
	}
	lower := strings.ToLower(scheme)
	normalPort := ""
	if m.port != usual {
		normalPort = fmt.Sprintf(":%d", m.port)
	}
	for i, p := range []string{path.written, path.normal} {
		m.given[i] = scheme + "://" + m.host.written + written + p
		m.normal[i] = lower + "://" + m.host.normal + normalPort + p
		m.ported[i] = fmt.Sprintf("%s://%s:%d%s", lower, m.host.normal, m.port, p)
	}
	m.q.Method = pick(d, []string{"GET", "POST", "HEAD", "PURGE", "OPTIONS"})
	m.q.URL, m.q.Host = m.given[0], fmt.Sprintf("%s:%d", m.host.written, m.port)
	m.fields = http.Header{}
	for _, name := range []string{"User-Agent", "X-Team"} {
		for range d.below(3) {
			m.fields.Add(name, pick(d, []string{"Mozilla", "BadBot/1", "ops", "dev", "", "op\u017f"}))
		}
	}
	m.q.Fields = m.fields
	m.q.Caller = pick(d, []string{"", "robot", "alice"})
	if from := pick(d, []string{"", "192.0.2.7", "198.51.100.1", "2001:db8::9", "::ffff:192.0.2.9"}); from != "" {
		m.q.From = netip.MustParseAddr(from)
	}
	return m
}

// holds reports whether a rule matches; address is "" where nobody knows it.
func (m *modelRule) holds(q *modelQuery, address modelAddress, client string, denies bool) bool {
	match := func(re, text string) bool { return re == "" || regexp.MustCompile(re).MatchString(text) }
	if m.first != 0 && (q.port < m.first || q.port > m.last) || !match(m.method, q.q.Method) || !match(m.client, client) || !match(m.caller, q.q.Caller) {
		return false
	}
	if m.host != "" {
		suffix, below := strings.CutPrefix(m.host, "*")
		if q.host.address >= 0 || below && (!strings.HasSuffix(q.host.normal, suffix) || q.host.normal == suffix) || !below && q.host.normal != m.host {
			return false
		}
	}
	if m.url != "" {
		given, normal := []bool{match(m.url, q.given[0]), match(m.url, q.given[1])}, []bool{match(m.url, q.normal[0]), match(m.url, q.normal[1])}
		if denies && !slices.Contains(given, true) && !slices.Contains(normal, true) && !match(m.url, q.ported[0]) && !match(m.url, q.ported[1]) {
			return false
		}
		if !denies && slices.Contains(given, false) && slices.Contains(normal, false) {
			return false
		}
	}
	for name, re := range m.fields {
		values := q.fields[name]
		if len(values) == 0 {
			values = []string{""}
		}
		some, all := false, true
		for _, v := range values {
			some, all = some || match(re, v), all && match(re, v)
		}
		if denies && !some || !denies && !all {
			return false
		}
	}
	if len(m.from) > 0 && !(q.q.From.IsValid() && slices.ContainsFunc(m.from, func(b string) bool { return blockHas(b, q.q.From.Unmap().String()) })) {
		return false
	}
	if len(m.blocks) == 0 {
		return denies || !address.guarded
	}
	return slices.ContainsFunc(m.blocks, func(b modelBlock) bool {
		if address.text == "" {
			return false
		}
		if denies {
			return blockHas(b.text, address.text) || address.carries != "" && blockHas(b.text, address.carries)
		}
		return blockHas(b.text, address.text) && (b.names || !address.guarded)
	})
}

func blockHas(block, address string) bool {
	a := netip.MustParseAddr(address)
	if p, err := netip.ParsePrefix(block); err == nil {
		return p.Contains(a)
	}
	return netip.MustParseAddr(block) == a
}

func modelAllows(denies, allows []modelRule, all, server bool, q *modelQuery, address modelAddress, client string) bool {
	for i := range denies {
		if denies[i].holds(q, address, client, true) {
			return false
		}
	}
	if server && q.host.normal == "0x0a090005" {
		return false
	}
	if all && !address.guarded {
		return true
	}
	for i := range allows {
		if allows[i].holds(q, address, client, false) {
			return true
		}
	}
	return false
}

// agree holds rules made of bytes against the model.
func agree(t *testing.T, data []byte) {
	d := &draw{data}
	set := policy.RuleSet{AllowAll: d.one(4), Server: d.one(2)}
	var denies, allows []modelRule
	for range d.below(6) {
		denies = append(denies, drawRule(d, set.Server, true))
	}
	for range d.below(6) {
		allows = append(allows, drawRule(d, set.Server, false))
	}
	for _, m := range denies {
		if m.text != "" {
			set.Deny = append(set.Deny, m.text)
		} else {
			set.Blacklist = append(set.Blacklist, m.entry)
		}
	}
	for _, m := range allows {
		if m.text != "" {
			set.Allow = append(set.Allow, m.text)
		} else {
			set.Whitelist = append(set.Whitelist, m.entry)
		}
	}
	rules, err := set.Compile()
	if err != nil {
		t.Fatalf("%+v: %v", set, err)
	}
	for range 4 {
		q := drawQuery(d)
		for _, client := range []string{"edge-a", "b"} {
			for _, known := range []bool{true, false} {
				compare(t, rules, &set, denies, allows, &q, client, known)
			}
		}
	}
}

func compare(t *testing.T, rules *policy.Rules, set *policy.RuleSet, denies, allows []modelRule, q *modelQuery, client string, known bool) {
	t.Helper()
	q.q.Client = ""
	if known {
		q.q.Client = client
	}
	permit, err := rules.Check(&q.q)
	explained := rules.Explain(&q.q, policy.Unknown{Client: !known}).Verdict
	if err != nil && explained == policy.Allowed || err == nil && explained == policy.Denied {
		t.Fatalf("%+v\nexplained as %v: %+v: %v", set, explained, q.q, err)
	}
	if !known && !set.Server {
		return // who dials knows its client
	}
	literal := q.host.address >= 0
	addresses := modelAddresses
	switch {
	case literal:
		addresses = modelAddresses[q.host.address : q.host.address+1]
	case set.Server:
		addresses = []modelAddress{{}}
	}
	for _, a := range addresses {
		want := modelAllows(denies, allows, set.AllowAll, set.Server, q, a, client)
		got := err == nil && permit.Admits(client)
		if got && !permit.ByClient() && a.text != "" {
			got = permit.Allows(netip.MustParseAddr(a.text), uint16(q.port))
		}
		if got != want {
			t.Fatalf("%+v\n%+v at %s by %s (known %v): allowed %v (%v), the model says %v", set, q.q, a.text, client, known, got, err, want)
		}
	}
}

// FuzzPolicyAgreesWithTheModel: keys, plans and residues change how fast it is
// decided, not what.
func FuzzPolicyAgreesWithTheModel(f *testing.F) {
	for seed := range uint64(16) {
		f.Add(randomBytes(seed))
	}
	f.Fuzz(agree)
}

func randomBytes(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 7))
	b := make([]byte, 40+r.IntN(200))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestPolicyAgreesWithTheModel(t *testing.T) {
	n := uint64(1500)
	if testing.Short() {
		n = 300
	}
	for seed := range n {
		agree(t, randomBytes(seed+100))
	}
}
