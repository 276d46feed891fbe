package policy

import (
	"fmt"
	"maps"
	"net/netip"
	"net/textproto"
	"slices"
	"strings"

	"adit/engine"
)

// Compile returns the rules of a set. Its error names the rule that is wrong.
//
// A value of Allow or Deny is "any" (Allow only), "/REGEXP/" on the whole URL,
// or HOST[:PORT[-PORT]] with a name, *.suffix, address or CIDR as HOST; an IPv6
// one with a port stands in brackets. Without a port every port is meant.
// Metadata, link-local, multicast and unspecified addresses need a rule on
// addresses that allows them: one of at least 8 bits (IPv4) or 16 bits (IPv6), or
// within such a block.
func (s *RuleSet) Compile() (*Rules, error) {
	r := &Rules{all: s.AllowAll, server: s.Server, guarded: guardedBlocks()}
	for _, block := range r.guarded {
		r.nearGuarded.add(block)
	}
	c := compiler{r: r, fields: map[string]int{}}
	for i, value := range s.Deny {
		if err := c.addText("deny", i, value); err != nil {
			return nil, err
		}
	}
	if err := c.addList("blacklist", s.Blacklist); err != nil {
		return nil, err
	}
	r.denies = len(r.rules)
	for i, value := range s.Allow {
		if err := c.addText("allow", i, value); err != nil {
			return nil, err
		}
	}
	if err := c.addList("whitelist", s.Whitelist); err != nil {
		return nil, err
	}
	c.finish()
	return r, nil
}

// A compiler makes the rules of one set.
type compiler struct {
	r      *Rules
	fields map[string]int // index in Rules.fields by canonical name
}

func anyRule() rule { return rule{methods: ^uint16(0), ports: portRange{1, 65535}, condition: -1} }

// addText adds a value of --allow or --deny.
func (c *compiler) addText(list string, i int, value string) error {
	parsed, err := c.parse(value)
	if err == nil && value == "any" && list == "deny" {
		err = fmt.Errorf("it denies everything, so nothing needs to be allowed: leave --allow out instead")
	}
	if err != nil {
		return fmt.Errorf("%s rule %q: %w", list, engine.Bound(value), err)
	}
	parsed.place = fmt.Sprintf("%s %d", list, i+1)
	parsed.text = value
	parsed.denial = denied(parsed.place + " forbids it")
	c.r.rules = append(c.r.rules, parsed)
	return nil
}

func (c *compiler) parse(value string) (rule, error) {
	made := anyRule()
	if value == "any" {
		return made, nil
	}
	if strings.HasPrefix(value, "/") {
		var err error
		made.url, err = parseURLRule(value)
		return made, err
	}
	if strings.Contains(value, "://") {
		return made, fmt.Errorf("a URL is no rule; want HOST[:PORT[-PORT]], or /REGEXP/ on the whole URL")
	}
	host, ports, err := splitRule(value)
	if err != nil {
		return made, err
	}
	made.ports = ports
	if b, ok, err := parseBlock(host); err != nil {
		return made, err
	} else if ok {
		made.blocks = []block{{b, naming(b, c.r.guarded)}}
		return made, nil
	}
	made.host, err = parseName(host)
	return made, err
}

func parseURLRule(value string) (*expression, error) {
	body, ok := strings.CutSuffix(value[1:], "/")
	if !ok {
		return nil, fmt.Errorf("the regular expression must end in /")
	}
	if body == "" {
		return nil, fmt.Errorf("the regular expression is empty; use any to allow everything")
	}
	return compileRE(body)
}

func parseName(host string) (nameRule, error) {
	if host == "any" {
		return nameRule{}, fmt.Errorf("any takes no port; use 0.0.0.0/0 and [::]/0 with ports")
	}
	text, suffix := strings.CutPrefix(host, "*.")
	name, ok := normalName(text)
	switch {
	case strings.Contains(text, "*"):
		return nameRule{}, fmt.Errorf("* stands for whole labels in front only: *.suffix, or any")
	case !ok:
		return nameRule{}, fmt.Errorf("%q is no host name, address or CIDR", engine.Bound(host))
	case endsInNumber(name):
		return nameRule{}, fmt.Errorf("%q is no address in dotted decimal form (four numbers 0-255 without leading zeros)", engine.Bound(host))
	}
	if suffix {
		name = "." + name
	}
	return nameRule{name: name, suffix: suffix}, nil
}

// addList adds a whitelist or blacklist.
func (c *compiler) addList(list string, entries []Rule) error {
	for i := range entries {
		made, err := c.compile(&entries[i])
		if err != nil {
			return fmt.Errorf("%s entry %d: %w", list, i+1, err)
		}
		made.place = fmt.Sprintf("%s %d", list, i+1)
		text := made.place
		if made.name != "" {
			text += " (" + engine.Bound(made.name) + ")"
		}
		made.denial = denied(text + " forbids it")
		c.r.rules = append(c.r.rules, made)
	}
	return nil
}

func (c *compiler) compile(e *Rule) (rule, error) {
	made := anyRule()
	made.name, made.line, made.text = e.Name, e.Line, e.String()
	if e.Name != strings.TrimSpace(e.Name) || len(e.Name) > 128 {
		return made, fmt.Errorf("name: want at most 128 characters without spaces around them")
	}
	if !c.r.server && (e.Caller != "" || len(e.From) > 0) {
		key := "from"
		if e.Caller != "" {
			key = "caller"
		}
		return made, fmt.Errorf("%s: a client is not told who the caller is; put this rule into the server's file", key)
	}
	var err error
	if made.method, err = compileExpression("method", e.Method); err != nil {
		return made, err
	}
	if made.method != nil {
		made.methods = 0
		for _, m := range knownMethods() {
			if made.method.MatchString(m) {
				made.methods |= methodBit(m)
			}
		}
	}
	if made.url, err = compileExpression("url", e.URL); err != nil {
		return made, err
	}
	if made.client, err = compileExpression("client", e.Client); err != nil {
		return made, err
	}
	if made.caller, err = compileExpression("caller", e.Caller); err != nil {
		return made, err
	}
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		re, err := compileRE(e.Headers[name])
		if err != nil {
			return made, fmt.Errorf("header %s: %w", engine.Bound(name), err)
		}
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		made.fields = append(made.fields, fieldRule{canonical, c.field(canonical), re})
	}
	if e.Ports != "" {
		if made.ports, err = parsePorts(e.Ports); err != nil {
			return made, fmt.Errorf("ports: %w", err)
		}
	}
	for _, value := range e.Address {
		b, err := parseAddresses("address", value)
		if err != nil {
			return made, err
		}
		made.blocks = append(made.blocks, block{b, naming(b, c.r.guarded)})
	}
	for _, value := range e.From {
		b, err := parseAddresses("from", value)
		if err != nil {
			return made, err
		}
		made.from = append(made.from, b)
		c.r.callers = true
	}
	return made, nil
}

func knownMethods() []string {
	return []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"}
}

func compileExpression(key, expression string) (*expression, error) {
	if expression == "" {
		return nil, nil
	}
	re, err := compileRE(expression)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return re, nil
}

// parseAddresses reads an address or CIDR of an entry.
func parseAddresses(key, value string) (netip.Prefix, error) {
	b, ok, err := parseBlock(value)
	if err == nil && !ok {
		err = fmt.Errorf("%q is no address or CIDR", engine.Bound(value))
	}
	if err != nil {
		return b, fmt.Errorf("%s: %w", key, err)
	}
	return b, nil
}

func (c *compiler) field(name string) int {
	i, ok := c.fields[name]
	if !ok {
		i = len(c.r.fields)
		c.fields[name] = i
		c.r.fields = append(c.r.fields, fieldKeys{name: name})
	}
	return i
}

// finish makes what judging needs of all rules together.
func (c *compiler) finish() {
	r := c.r
	r.noRule, r.unnamed, r.unresolved = denied(textNoRule), denied(textGuarded), denied(textUnresolved)
	r.excessive = denied(textExcessive)
	r.byName, r.byAddress = plan{r: r}, plan{r: r, byAddress: true}
	words := (len(r.rules) + 63) / 64
	r.alive = make([]uint64, 2*words)
	ofAddress, ofName := r.alive[:words], r.alive[words:]
	needs := make([][]need, len(r.rules))
	fields := make([]int, len(r.rules)) // of which field; -1 of the URL
	often := frequencies{}
	often.addCommon()
	for n := range r.rules {
		made := &r.rules[n]
		r.urls = r.urls || made.url != nil
		r.weigh(made)
		if len(made.blocks) > 0 && made.conditional() {
			made.condition = r.conditions
			r.conditions++
		}
		fields[n] = -1
		needs[n] = needsOf(made.url)
		for i := range made.fields {
			if len(needs[n]) == 0 {
				needs[n], fields[n] = needsOf(made.fields[i].value), made.fields[i].index
			}
		}
		often.add(needs[n])
	}
	for n := range r.rules {
		made := &r.rules[n]
		need := often.choose(needs[n])
		switch {
		case len(need) > 0 && fields[n] < 0:
			r.keys.addKeys(need, n, often)
		case len(need) > 0:
			r.fields[fields[n]].keys.addKeys(need, n, often)
		case made.onlyAddress():
			ofAddress[n/64] |= 1 << (n % 64)
			if n >= r.denies && !slices.Contains(r.addressPorts, made.ports) {
				r.addressPorts = append(r.addressPorts, made.ports)
			}
		case made.host.name != "" && !made.host.suffix:
			if r.hosts == nil {
				r.hosts = map[string][]int32{}
			}
			r.hosts[made.host.name] = append(r.hosts[made.host.name], int32(n))
		case made.host.name != "":
			ofName[n/64] |= 1 << (n % 64)
		default:
			ofAddress[n/64] |= 1 << (n % 64)
			ofName[n/64] |= 1 << (n % 64)
		}
	}
	r.keys.build()
	for i := range r.fields {
		r.fields[i].keys.build()
	}
}

// conditional reports whether it has a condition that the dial does not see.
func (c *rule) conditional() bool {
	return c.methods != ^uint16(0) || c.url != nil || c.client != nil || c.caller != nil || len(c.fields)+len(c.from) > 0
}

// endsInNumber reports whether a resolver may take the name for an address:
// 0177.0.0.1, 2130706433, 0x7f.1.
func endsInNumber(name string) bool {
	label := name[strings.LastIndexByte(name, '.')+1:]
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

// splitRule cuts the ports off a HOST[:PORT[-PORT]] and the brackets off its
// host.
func splitRule(value string) (host string, ports portRange, err error) {
	ports = portRange{1, 65535}
	if _, e := netip.ParseAddr(value); e == nil {
		return value, ports, nil
	}
	if _, e := netip.ParsePrefix(value); e == nil {
		return value, ports, nil
	}
	host, text, found := value, "", false
	if inner, bracketed := strings.CutPrefix(value, "["); bracketed {
		inside, after, closed := strings.Cut(inner, "]")
		if !closed {
			return "", ports, fmt.Errorf("[ without ]")
		}
		if !strings.Contains(inside, ":") {
			return "", ports, fmt.Errorf("brackets are for IPv6 addresses only")
		}
		bits, afterPort, hasPort := strings.Cut(after, ":")
		if bits != "" && bits[0] != '/' {
			return "", ports, fmt.Errorf("want :PORT after ]")
		}
		host, text, found = inside+bits, afterPort, hasPort
	} else if strings.Count(value, ":") == 1 {
		host, text, found = strings.Cut(value, ":")
	} else if strings.Contains(value, ":") {
		return "", ports, fmt.Errorf("no IPv6 address; with a port it stands in brackets: [fd00::1]:443")
	}
	if !found {
		return host, ports, nil
	}
	ports, err = parsePorts(text)
	return host, ports, err
}

func parsePorts(text string) (portRange, error) {
	first, last, ranged := strings.Cut(text, "-")
	if !ranged {
		last = first
	}
	low, ok := parsePort(first)
	high, ok2 := parsePort(last)
	switch {
	case !ok || !ok2:
		return portRange{}, fmt.Errorf("%q is no port or range of ports; want 1 to 65535, or 8000-8100", engine.Bound(text))
	case low > high:
		return portRange{}, fmt.Errorf("the range of ports %s is empty; the smaller port comes first", text)
	}
	return portRange{low, high}, nil
}

// parseBlock reads an address or CIDR; ok is false where it is neither, so that
// it may be a name.
func parseBlock(host string) (block netip.Prefix, ok bool, err error) {
	if !strings.Contains(host, "/") {
		a, err := netip.ParseAddr(host)
		if err != nil {
			if strings.Contains(host, ":") {
				return block, false, fmt.Errorf("%q is no IPv6 address", engine.Bound(host))
			}
			return block, false, nil
		}
		if a.Zone() != "" {
			return block, false, fmt.Errorf("an address with a zone can't be a destination; leave %%%s out", engine.Bound(a.Zone()))
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true, nil
	}
	block, err = netip.ParsePrefix(host)
	if err != nil {
		return block, false, fmt.Errorf("%q is no CIDR; want ADDRESS/BITS with at most 32 bits (IPv4) or 128 (IPv6)", engine.Bound(host))
	}
	if block.Addr().Is4In6() {
		if block.Bits() < 96 {
			return block, false, fmt.Errorf("%s holds IPv4 and IPv6 addresses; name them apart", block)
		}
		block = netip.PrefixFrom(block.Addr().Unmap(), block.Bits()-96)
	}
	if masked := block.Masked(); masked != block {
		return block, false, fmt.Errorf("the address has bits outside the prefix; want %s", masked)
	}
	return block, true, nil
}
