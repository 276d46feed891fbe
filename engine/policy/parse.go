package policy

import (
	"fmt"
	"net/netip"
	"net/textproto"
	"regexp"
	"strings"

	"adit/engine"
)

// Compile returns the rules of a set. Its error names the rule that is wrong.
func (s *RuleSet) Compile() (*Rules, error) {
	return NewRules(s.Allow, s.Whitelist, s.Blacklist, s.AllowAll)
}

// NewRules compiles --allow values (product.md, "Ways to reach") and wsp's lists.
// With neither allow nor whitelist nothing is allowed, unless allowAll.
//
// A value is "any", "/REGEXP/" on the whole URL, or HOST[:PORT[-PORT]] with a
// name, *.suffix, address or CIDR as HOST; an IPv6 one with a port stands in
// brackets. Without a port every port is meant. Metadata, link-local, multicast
// and unspecified addresses need an address rule: one of at least 8 bits (IPv4)
// or 16 bits (IPv6), or within such a block.
func NewRules(allow []string, whitelist, blacklist []Rule, allowAll bool) (*Rules, error) {
	r := &Rules{all: allowAll, guarded: guardedBlocks()}
	for _, value := range allow {
		if err := r.add(value); err != nil {
			return nil, fmt.Errorf("allow rule %q: %w", engine.Bound(value), err)
		}
	}
	var err error
	if r.whitelist, err = compileList("whitelist", whitelist); err != nil {
		return nil, err
	}
	if r.blacklist, err = compileList("blacklist", blacklist); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Rules) add(value string) error {
	if value == "any" {
		r.all = true
		return nil
	}
	if strings.HasPrefix(value, "/") {
		return r.addURL(value)
	}
	if strings.Contains(value, "://") {
		return fmt.Errorf("a URL is no rule; want HOST[:PORT[-PORT]], or /REGEXP/ on the whole URL")
	}
	host, ports, err := splitRule(value)
	if err != nil {
		return err
	}
	if block, ok, err := parseBlock(host); err != nil {
		return err
	} else if ok {
		r.addresses = append(r.addresses, addressRule{block: block, ports: ports, names: naming(block, r.guarded)})
		return nil
	}
	return r.addName(host, ports)
}

func (r *Rules) addURL(value string) error {
	body, ok := strings.CutSuffix(value[1:], "/")
	if !ok {
		return fmt.Errorf("the regular expression must end in /")
	}
	if body == "" {
		return fmt.Errorf("the regular expression is empty; use any to allow everything")
	}
	re, err := regexp.Compile(body)
	if err != nil {
		return err
	}
	r.urls = append(r.urls, re)
	return nil
}

func (r *Rules) addName(host string, ports portRange) error {
	if host == "any" {
		return fmt.Errorf("any takes no port; use 0.0.0.0/0 and [::]/0 with ports")
	}
	text, suffix := strings.CutPrefix(host, "*.")
	name, ok := normalName(text)
	switch {
	case strings.Contains(text, "*"):
		return fmt.Errorf("* stands for whole labels in front only: *.suffix, or any")
	case !ok:
		return fmt.Errorf("%q is no host name, address or CIDR", engine.Bound(host))
	case endsInNumber(name):
		return fmt.Errorf("%q is no address in dotted decimal form (four numbers 0-255 without leading zeros)", engine.Bound(host))
	}
	if suffix {
		name = "." + name
	}
	r.names = append(r.names, nameRule{name: name, suffix: suffix, ports: ports})
	return nil
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

func compileList(list string, entries []Rule) ([]wspRule, error) {
	compiled := make([]wspRule, len(entries))
	for i, entry := range entries {
		c := &compiled[i]
		var err error
		if c.method, err = compile(entry.Method); err != nil {
			return nil, fmt.Errorf("%s entry %d: method: %w", list, i+1, err)
		}
		if c.url, err = compile(entry.URL); err != nil {
			return nil, fmt.Errorf("%s entry %d: url: %w", list, i+1, err)
		}
		for name, value := range entry.Headers {
			re, err := regexp.Compile(value)
			if err != nil {
				return nil, fmt.Errorf("%s entry %d: header %s: %w", list, i+1, engine.Bound(name), err)
			}
			c.fields = append(c.fields, fieldRule{textproto.CanonicalMIMEHeaderKey(name), re})
		}
	}
	return compiled, nil
}

func compile(expression string) (*regexp.Regexp, error) {
	if expression == "" {
		return nil, nil
	}
	return regexp.Compile(expression)
}
