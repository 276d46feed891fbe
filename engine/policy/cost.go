package policy

// An expression that is run looks at each byte of a text, so that a caller chooses by
// the length of what he sends how long all of them take. How long at most is bounded
// here: what would take longer is denied, since a rule that is not asked must not let
// anything through.

// maxWork bounds what expressions look at for one query, in bytes times their weight:
// 0.1 to 0.3 s, by 100 expressions that no key spares a URL of 20 KiB, port spelt out.
const maxWork = 4 << 20

// weigh adds a rule to what all expressions cost.
func (r *Rules) weigh(c *rule) {
	r.urlWeight += c.url.cost()
	r.methodWeight += c.method.cost()
	for i := range c.fields {
		r.fields[c.fields[i].index].weight += c.fields[i].value.cost()
	}
}

// cost returns the weight; a nil expression has none.
func (e *expression) cost() int64 {
	if e == nil {
		return 0
	}
	return int64(e.weight)
}

// excessive reports whether the rules that are to be looked at would have to look
// at too much.
func (j *judgement) excessive(alive []uint64) bool {
	r := j.r
	url, method := j.url.size(), int64(0)
	if j.bit == 0 {
		method = int64(len(j.q.Method))
	}
	// Of all rules first, which most often is little enough.
	work := url*r.urlWeight + method*r.methodWeight
	for i := range r.fields {
		if w := r.fields[i].weight; w > 0 {
			work += w * j.fieldSize(i)
		}
	}
	if work <= maxWork {
		return false
	}
	work = 0
	for n := range ones(alive, 0, len(r.rules)) {
		c := &r.rules[n]
		work += url*c.url.cost() + method*c.method.cost()
		for i := range c.fields {
			if w := c.fields[i].value.cost(); w > 0 {
				work += w * j.fieldSize(c.fields[i].index)
			}
		}
	}
	return work > maxWork
}

// asksTooMuch is excessive for who has no judgement.
func (r *Rules) asksTooMuch(q *Query, dest *destination) bool {
	j := r.judgement(q, dest)
	defer j.release()
	j.bit = methodBit(q.Method)
	return j.url.spell(q.URL, q.Host, dest, r.urls) && j.excessive(j.alive())
}

// fieldSize returns the length of all values of the field of that index.
func (j *judgement) fieldSize(i int) (n int64) {
	for _, v := range j.fieldValues(i) {
		n += int64(len(v))
	}
	return n
}

// size returns the length of all spellings that an expression is held against.
func (s *spellings) size() (n int64) {
	n = int64(len(s.given))
	if s.host != s.given {
		n += int64(len(s.host))
	}
	if s.givenPath != s.given {
		n += int64(len(s.givenPath))
	}
	if s.hostPath != s.host {
		n += int64(len(s.hostPath))
	}
	if s.ported {
		n += int64(len(s.given) + len(":443"))
		if s.normal != s.path {
			n += int64(len(s.normal) + len(s.name))
		}
	}
	return n
}
