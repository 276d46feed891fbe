package policy

import (
	"math/bits"
	"net/netip"
	"strings"
)

// A rule is compiled. All its conditions must hold; what is nil or empty is none.
type rule struct {
	place   string // "blacklist 3"
	text    string // what it says, for people
	name    string // what the operator calls it
	line    int
	denial  error // what a request that it denies is told
	methods uint16
	method  *expression // for methods that are not in the mask
	ports   portRange
	host    nameRule
	blocks  []block
	from    []netip.Prefix
	client  *expression
	caller  *expression
	fields  []fieldRule
	url     *expression

	// Of a rule on addresses: which of those with more conditions it is. Those
	// without are judged at the dial alone.
	condition int // -1: no other condition, or no blocks
}

// A portRange is a range of ports, both ends included.
type portRange struct{ first, last uint16 }

func (p portRange) has(port uint16) bool { return p.first <= port && port <= p.last }

// A nameRule stands for a name, or every name below a suffix; "" for all.
type nameRule struct {
	name   string // lower case, without trailing dot; a suffix begins with a dot
	suffix bool
}

func (n *nameRule) matches(dest *destination) bool {
	if n.suffix {
		return len(dest.name) > len(n.name) && strings.HasSuffix(dest.name, n.name)
	}
	return dest.name == n.name
}

// A fieldRule is a condition on one field.
type fieldRule struct {
	name  string // canonical
	index int    // of the name in Rules.fields
	value *expression
}

// onlyAddress reports whether it has no condition but addresses and ports.
func (c *rule) onlyAddress() bool { return len(c.blocks) > 0 && c.condition < 0 }

func hasPort(ranges []portRange, port uint16) bool {
	for _, p := range ranges {
		if p.has(port) {
			return true
		}
	}
	return false
}

// methodBit returns the bit of a method in rule.methods, 0 for one that has none.
func methodBit(method string) uint16 {
	switch method {
	case "GET":
		return 1
	case "HEAD":
		return 2
	case "POST":
		return 4
	case "PUT":
		return 8
	case "PATCH":
		return 16
	case "DELETE":
		return 32
	case "OPTIONS":
		return 64
	case "CONNECT":
		return 128
	case "TRACE":
		return 256
	}
	return 0
}

// Bounds of what a judgement has room for without asking for more.
const (
	keptWords  = 8 // of 64 rules each
	keptFields = 8
)

// A judgement is one query while it is judged. It is no part of a stack: most
// queries come on a goroutine of their own, whose stack would have to grow for it.
type judgement struct {
	r      *Rules
	q      Query
	dest   destination
	url    spellings
	bit    uint16
	words  [keptWords]uint64
	values [keptFields][]string
	have   uint16 // which of values are there

	// Kept for the next one.
	port, portPath []byte
	spelt          bool
	set            []uint64
}

func (r *Rules) judgement(q *Query, dest *destination) *judgement {
	j, _ := r.plans.judgements.Get().(*judgement)
	if j == nil {
		j = new(judgement)
	}
	j.r, j.q, j.dest = r, *q, *dest
	return j
}

// release keeps the room, and nothing of the query.
func (j *judgement) release() {
	r := j.r
	*j = judgement{port: j.port, portPath: j.portPath, set: j.set}
	r.plans.judgements.Put(j)
}

func (j *judgement) judge() (Permit, error) {
	r := j.r
	j.bit = methodBit(j.q.Method)
	alive := j.alive()
	if j.excessive(alive) {
		return Permit{}, r.excessive
	}
	var clients *residue
	var conditions []uint64 // rules on addresses that hold as far as can be told
	for n := range ones(alive, 0, r.denies) {
		c := &r.rules[n]
		if !j.matches(c, true) {
			continue
		}
		if len(c.blocks) > 0 && !j.dest.isAddress {
			conditions = noteCondition(conditions, r, c)
			continue
		}
		if c.client != nil && j.q.Client == "" {
			clients = clients.deny(c.client)
			continue
		}
		return Permit{}, c.denial
	}
	guarded := j.dest.isAddress && r.isGuarded(j.dest.address)
	allowed, byAddress, settled, unresolved := r.all && !guarded, false, false, false
	if !j.dest.isAddress && hasPort(r.addressPorts, j.dest.port) {
		byAddress, unresolved = !r.server, r.server
	}
	for n := range ones(alive, r.denies, len(r.rules)) {
		c := &r.rules[n]
		if j.dest.isAddress && !guarded && allowed || settled {
			break // the dial asks nothing more of this address
		}
		if len(c.blocks) == 0 {
			switch {
			case allowed || guarded || !j.matches(c, false):
			case c.client != nil && j.q.Client == "":
				clients = clients.allow(c.client)
			default:
				allowed = true
			}
			continue
		}
		// A rule on addresses matters too where another one allows: it names what
		// is guarded.
		if j.dest.isAddress && !contains(c.blocks, j.dest.address, guarded) || !j.matches(c, false) {
			continue
		}
		if r.server && !j.dest.isAddress {
			unresolved = true
			continue
		}
		if c.condition >= 0 {
			conditions = noteCondition(conditions, r, c)
		}
		if c.client != nil && j.q.Client == "" {
			clients = clients.allow(c.client)
			continue
		}
		byAddress, settled = true, j.dest.isAddress && c.condition < 0
	}
	switch {
	case allowed || byAddress || clients != nil && len(clients.allows) > 0:
	case guarded:
		return Permit{}, r.unnamed
	case unresolved:
		return Permit{}, r.unresolved
	default:
		return Permit{}, r.noRule
	}
	if clients != nil {
		clients.allowed = allowed || byAddress
		if clients.allowed && len(clients.denies) == 0 {
			clients = nil
		}
	}
	return Permit{r.permit(!allowed, conditions, clients)}, nil
}

// alive returns the rules that are to be looked at, by number: those without a
// key, and those whose key stands in the query. Of a name those that look at
// nothing but addresses are none.
func (j *judgement) alive() []uint64 {
	r := j.r
	var set []uint64
	words := len(r.alive) / 2
	if words <= keptWords {
		set = j.words[:words]
	} else {
		if cap(j.set) < words {
			j.set = make([]uint64, words)
		}
		set = j.set[:words]
	}
	if j.dest.isAddress {
		copy(set, r.alive[:words])
	} else {
		copy(set, r.alive[words:])
		for _, n := range r.hosts[j.dest.name] {
			set[n/64] |= 1 << (n % 64)
		}
	}
	if !r.keys.empty() {
		j.url.scan(&r.keys, set)
	}
	for i := range r.fields {
		f := &r.fields[i]
		if f.keys.empty() {
			continue
		}
		for _, v := range j.fieldValues(i) {
			f.keys.scan(v, set)
		}
	}
	return set
}

// ones yields the numbers in set from first on, below end.
func ones(set []uint64, first, end int) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for w := first / 64; w < len(set) && w*64 < end; w++ {
			word := set[w]
			if w == first/64 {
				word &= ^uint64(0) << (first % 64)
			}
			for ; word != 0; word &= word - 1 {
				n := w*64 + bits.TrailingZeros64(word)
				if n >= end {
					return
				}
				if !yield(n) {
					return
				}
			}
		}
	}
}

// matches reports whether all that can be told now holds: addresses only where
// the destination is one, the client only where it is known. A rule that denies
// holds where one of several values or spellings matches.
func (j *judgement) matches(c *rule, denies bool) bool {
	q := &j.q
	if j.bit&c.methods == 0 && (j.bit != 0 || c.method != nil && !c.method.MatchString(q.Method)) {
		return false
	}
	if !c.ports.has(j.dest.port) || c.host.name != "" && (j.dest.isAddress || !c.host.matches(&j.dest)) {
		return false
	}
	if len(c.blocks) > 0 && j.dest.isAddress && denies && !covers(c.blocks, j.dest.address) {
		return false
	}
	if len(c.from) > 0 && !within(c.from, q.From) {
		return false
	}
	if c.caller != nil && !c.caller.MatchString(q.Caller) || c.client != nil && q.Client != "" && !c.client.MatchString(q.Client) {
		return false
	}
	for i := range c.fields {
		if !j.fieldMatches(&c.fields[i], denies) {
			return false
		}
	}
	if c.url == nil {
		return true
	}
	if denies {
		return j.url.any(c.url) || j.url.ported && j.portMatches(c.url)
	}
	return j.url.all(c.url)
}

func (j *judgement) fieldMatches(f *fieldRule, denies bool) bool {
	values := j.fieldValues(f.index)
	if len(values) == 0 {
		return f.value.MatchString("")
	}
	for _, v := range values {
		if f.value.MatchString(v) == denies {
			return denies
		}
	}
	return !denies
}

// fieldValues returns the values of the field of that index.
func (j *judgement) fieldValues(i int) []string {
	if j.q.Fields == nil {
		return nil
	}
	if i >= keptFields {
		return j.q.Fields.Values(j.r.fields[i].name)
	}
	if j.have&(1<<i) == 0 {
		j.have |= 1 << i
		j.values[i] = j.q.Fields.Values(j.r.fields[i].name)
	}
	return j.values[i]
}

// portMatches holds an expression against the spelling with the port spelt out.
func (j *judgement) portMatches(re *expression) bool {
	if !j.spelt {
		j.spelt = true
		j.port = j.url.appendPort(j.port[:0], j.url.path)
		j.portPath = j.portPath[:0]
		if j.url.normal != j.url.path {
			j.portPath = j.url.appendPort(j.portPath, j.url.normal)
		}
	}
	return re.Match(j.port) || len(j.portPath) > 0 && re.Match(j.portPath)
}

// within reports whether an address that is known stands in one of the blocks.
func within(blocks []netip.Prefix, a netip.Addr) bool {
	if !a.IsValid() {
		return false
	}
	a = plain(a)
	for _, b := range blocks {
		if b.Contains(a) {
			return true
		}
	}
	return false
}
