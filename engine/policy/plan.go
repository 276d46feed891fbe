package policy

import (
	"encoding/binary"
	"net/netip"
	"sync"
)

// A plan is what a permit allows at the dial. Those of one Rules under which the
// same rules hold are one.
type plan struct {
	r          *Rules
	byAddress  bool
	conditions []int32 // numbers of the conditional rules on addresses that hold
	clients    *residue
}

// allows decides on an address. What denies comes first. With byAddress only a
// rule on addresses allows it; else it is allowed unless guarded and not named.
func (p *plan) allows(a netip.Addr, port uint16) bool {
	r := p.r
	if p.clients != nil {
		return false // nobody has said who carries it
	}
	for n := range r.rules[:r.denies] {
		c := &r.rules[n]
		if c.onlyAddress() && c.ports.has(port) && covers(c.blocks, a) {
			return false
		}
	}
	for _, n := range p.conditions {
		if c := &r.rules[n]; int(n) < r.denies && c.ports.has(port) && covers(c.blocks, a) {
			return false
		}
	}
	guarded := r.isGuarded(a)
	if !p.byAddress && !guarded {
		return true
	}
	for n := r.denies; n < len(r.rules); n++ {
		c := &r.rules[n]
		if c.onlyAddress() && c.ports.has(port) && contains(c.blocks, a, guarded) {
			return true
		}
	}
	for _, n := range p.conditions {
		if c := &r.rules[n]; int(n) >= r.denies && c.ports.has(port) && contains(c.blocks, a, guarded) {
			return true
		}
	}
	return false
}

// maxPlans bounds the plans that are kept to be found again. Beyond it each
// permit has its own, so that its connections are not used again.
const maxPlans = 256

// plans are those of conditional rules, by the set of rules that hold.
type plans struct {
	mu         sync.RWMutex
	kept       map[string]*plan
	judgements sync.Pool // of *judgement
}

// permit returns the plan under which those conditional rules hold.
func (r *Rules) permit(byAddress bool, conditions []uint64, clients *residue) *plan {
	if clients != nil {
		return &plan{r: r, byAddress: byAddress, conditions: numbers(r, conditions), clients: clients}
	}
	if conditions == nil {
		if byAddress {
			return &r.byAddress
		}
		return &r.byName
	}
	var room [64]byte
	key := append(room[:0], 0)
	if byAddress {
		key[0] = 1
	}
	for _, w := range conditions {
		key = binary.LittleEndian.AppendUint64(key, w)
	}
	r.plans.mu.RLock()
	p := r.plans.kept[string(key)]
	r.plans.mu.RUnlock()
	if p != nil {
		return p
	}
	r.plans.mu.Lock()
	defer r.plans.mu.Unlock()
	if p := r.plans.kept[string(key)]; p != nil {
		return p
	}
	p = &plan{r: r, byAddress: byAddress, conditions: numbers(r, conditions)}
	if len(r.plans.kept) < maxPlans {
		if r.plans.kept == nil {
			r.plans.kept = make(map[string]*plan)
		}
		r.plans.kept[string(key)] = p
	}
	return p
}

// noteCondition adds a conditional rule to a set of them.
func noteCondition(set []uint64, r *Rules, c *rule) []uint64 {
	if set == nil {
		set = make([]uint64, (r.conditions+63)/64)
	}
	set[c.condition/64] |= 1 << (c.condition % 64)
	return set
}

// numbers returns the rules of a set of conditional ones.
func numbers(r *Rules, set []uint64) (list []int32) {
	if set == nil {
		return nil
	}
	for n := range r.rules {
		if i := r.rules[n].condition; i >= 0 && set[i/64]&(1<<(i%64)) != 0 {
			list = append(list, int32(n))
		}
	}
	return list
}

// A residue is what is left to ask of the client, once it is known. A nil one
// asks nothing.
type residue struct {
	allowed        bool // whatever the client is
	denies, allows []*expression
}

func (c *residue) deny(re *expression) *residue {
	if c == nil {
		c = new(residue)
	}
	c.denies = append(c.denies, re)
	return c
}

func (c *residue) allow(re *expression) *residue {
	if c == nil {
		c = new(residue)
	}
	c.allows = append(c.allows, re)
	return c
}

func (c *residue) admit(client string) bool {
	for _, re := range c.denies {
		if re.MatchString(client) {
			return false
		}
	}
	if c.allowed {
		return true
	}
	for _, re := range c.allows {
		if re.MatchString(client) {
			return true
		}
	}
	return false
}
