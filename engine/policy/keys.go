package policy

import (
	"regexp/syntax"
	"slices"
	"unicode"
	"unicode/utf8"
)

// Most rules speak of other requests. So that a request does not pay for all of
// them, a rule has a key where its expression allows one: four bytes that stand
// in every text that matches. One pass over the text finds the keys in it, and
// only rules whose key is there are looked at. A key says nothing else: who has
// it is judged by its expressions as if there were none.

// keyLength is the length of a key in bytes, each with the bit 0x20 set, so
// that upper and lower case are the same.
const keyLength = 4

// keys finds the rules whose key stands in a text.
type keys struct {
	table []int32 // by hash: index of the first of its entries plus one, 0 none
	shift uint8
	list  []keyEntry
}

type keyEntry struct {
	key  uint32
	rule int32
	next int32 // in the list, plus one
}

func (k *keys) empty() bool { return len(k.list) == 0 }

func hashKey(key uint32, shift uint8) uint32 { return key * 0x9e3779b1 >> shift }

// build makes the table of the list.
func (k *keys) build() {
	if k.empty() {
		return
	}
	size := 256
	k.shift = 32 - 8
	for size < 16*len(k.list) && size < 1<<20 {
		size *= 2
		k.shift--
	}
	k.table = make([]int32, size)
	for i := range k.list {
		at := &k.table[hashKey(k.list[i].key, k.shift)]
		k.list[i].next = *at
		*at = int32(i + 1)
	}
}

// scan adds to set the rules whose key stands in text.
func (k *keys) scan(text string, set []uint64) {
	var last uint32
	for i := 0; i < len(text); i++ {
		last = last<<8 | uint32(text[i]|0x20)
		if e := k.table[hashKey(last, k.shift)]; e != 0 {
			k.found(e, last, set)
		}
	}
}

func (k *keys) found(e int32, key uint32, set []uint64) {
	for ; e != 0; e = k.list[e-1].next {
		if entry := &k.list[e-1]; entry.key == key {
			set[entry.rule/64] |= 1 << (entry.rule % 64)
		}
	}
}

// scan looks at every spelling.
func (s *spellings) scan(k *keys, set []uint64) {
	k.scan(s.given, set)
	if s.host != s.given {
		k.scan(s.host, set)
	}
	if s.givenPath != s.given {
		k.scan(s.givenPath, set)
		if s.hostPath != s.givenPath {
			k.scan(s.hostPath, set)
		}
	}
	if !s.ported {
		return
	}
	// What is new where the port is spelt out stands around the port.
	var room [2*keyLength + 8]byte
	const near = keyLength - 1
	around := append(room[:0], s.name[max(len(s.name)-near, 0):]...)
	if len(s.name) < near {
		around = append(append(room[:0], "://"...), s.name...)
	}
	switch s.port {
	case 80:
		around = append(around, ":80"...)
	default:
		around = append(around, ":443"...)
	}
	n := len(around)
	around = append(around, s.path[:min(len(s.path), near)]...)
	k.scanBytes(around, set)
	if s.normal != s.path {
		k.scanBytes(append(around[:n], s.normal[:min(len(s.normal), near)]...), set)
	}
}

func (k *keys) scanBytes(text []byte, set []uint64) {
	var last uint32
	for _, c := range text {
		last = last<<8 | uint32(c|0x20)
		if e := k.table[hashKey(last, k.shift)]; e != 0 {
			k.found(e, last, set)
		}
	}
}

// fieldKeys are the keys of one field.
type fieldKeys struct {
	name   string
	keys   keys
	weight int64 // as Rules.urlWeight
}

// A need is what stands in every text that an expression matches: of one of the
// alternatives all keys.
type need [][]uint32

// maxAlternatives bounds the keys of one rule.
const maxAlternatives = 16

// needsOf returns what an expression needs, all of it; none where nothing is known.
func needsOf(e *expression) []need {
	if e == nil {
		return nil
	}
	tree, err := syntax.Parse(e.re.String(), syntax.Perl)
	if err != nil {
		return nil
	}
	return needsOfTree(tree)
}

func needsOfTree(tree *syntax.Regexp) []need {
	w := needs{run: []string{""}}
	w.walk(tree)
	w.cut()
	return w.all
}

// needs collects what the parts of a concatenation need.
type needs struct {
	run []string // one of them stands where the walk is
	all []need
}

// cut ends a run.
func (w *needs) cut() {
	var all need
	for _, text := range w.run {
		keys := keysOf(text)
		if len(keys) == 0 {
			all = nil
			break
		}
		all = append(all, keys)
	}
	w.run = []string{""}
	w.consider(all)
}

func (w *needs) consider(n need) {
	if len(n) > 0 && len(n) <= maxAlternatives {
		w.all = append(w.all, n)
	}
}

func keysOf(text string) (list []uint32) {
	for i := keyLength; i <= len(text); i++ {
		var key uint32
		for j := i - keyLength; j < i; j++ {
			key = key<<8 | uint32(text[j]|0x20)
		}
		list = append(list, key)
	}
	return list
}

func (w *needs) walk(re *syntax.Regexp) {
	if set := exact(re); set != nil {
		if len(set)*len(w.run) > maxAlternatives {
			w.cut()
		}
		w.run = cross(w.run, set)
		return
	}
	switch re.Op {
	case syntax.OpLiteral, syntax.OpConcat, syntax.OpCapture:
		for _, sub := range re.Sub {
			w.walk(sub)
		}
		if re.Op == syntax.OpLiteral { // not exact as a whole: its characters may be
			for _, c := range re.Rune {
				w.walk(&syntax.Regexp{Op: syntax.OpCharClass, Rune: []rune{c, c}, Flags: re.Flags})
			}
		}
	case syntax.OpPlus:
		w.walk(re.Sub[0])
		w.cut()
	case syntax.OpRepeat:
		if re.Min > 0 {
			w.walk(re.Sub[0])
		}
		w.cut()
	case syntax.OpAlternate:
		w.cut()
		var all need
		for _, sub := range re.Sub {
			some := needsOfTree(sub)
			if len(some) == 0 {
				return
			}
			all = append(all, some[0]...)
		}
		w.consider(all)
	default:
		w.cut()
	}
}

// exact returns all texts that an expression matches, case of ASCII aside, nil
// where they are too many. What an expression may match by other bytes than its
// own is one: invalid UTF-8 matches U+FFFD.
func exact(re *syntax.Regexp) []string {
	set := []string{""}
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText,
		syntax.OpWordBoundary, syntax.OpNoWordBoundary:
	case syntax.OpLiteral:
		for _, c := range re.Rune {
			set = crossExact(set, characters(c, c, re.Flags&syntax.FoldCase != 0))
		}
	case syntax.OpCharClass:
		var all []string
		for i := 0; i+1 < len(re.Rune); i += 2 {
			some := characters(re.Rune[i], re.Rune[i+1], re.Flags&syntax.FoldCase != 0)
			if some == nil {
				return nil
			}
			for _, c := range some {
				if !slices.Contains(all, c) {
					all = append(all, c)
				}
			}
		}
		return atMost(all)
	default:
		return composed(re, exact)
	}
	return set
}

// composed returns the texts of an expression that others make up, of which of
// knows the texts; nil where they are too many, or it is another kind.
func composed(re *syntax.Regexp, of func(*syntax.Regexp) []string) []string {
	set := []string{""}
	switch re.Op {
	case syntax.OpCapture:
		return of(re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			set = crossExact(set, of(sub))
		}
	case syntax.OpQuest:
		some := of(re.Sub[0])
		if some == nil {
			return nil
		}
		return atMost(append(set, some...))
	case syntax.OpAlternate:
		var all []string
		for _, sub := range re.Sub {
			some := of(sub)
			if some == nil {
				return nil
			}
			all = append(all, some...)
		}
		return atMost(all)
	default:
		return nil
	}
	return set
}

// characters returns those from first to last, with their other cases, as keys
// have them.
func characters(first, last rune, fold bool) (set []string) {
	if last-first >= 2*maxAlternatives {
		return nil
	}
	add := func(c rune) {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if text := string(c); !slices.Contains(set, text) {
			set = append(set, text)
		}
	}
	for c := first; c <= last; c++ {
		if c == utf8.RuneError {
			return nil
		}
		add(c)
		for f := unicode.SimpleFold(c); fold && f != c; f = unicode.SimpleFold(f) {
			add(f)
		}
	}
	return atMost(set)
}

func crossExact(a, b []string) []string {
	if a == nil || b == nil || len(a)*len(b) > maxAlternatives {
		return nil
	}
	return cross(a, b)
}

func cross(a, b []string) []string {
	all := make([]string, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			all = append(all, x+y)
		}
	}
	return all
}

func atMost(set []string) []string {
	if len(set) > maxAlternatives {
		return nil
	}
	return set
}

// common are texts that stand in most URLs: keys are taken elsewhere, where
// there is an elsewhere.
func common() []string { return []string{"http://", "https://", "://www.", ".com/", ".com:", "/api/"} }

// frequencies count how often each key is needed.
type frequencies map[uint32]int

func (f frequencies) add(all []need) {
	for _, n := range all {
		for _, alternative := range n {
			for _, key := range alternative {
				f[key]++
			}
		}
	}
}

// rarest returns that key of an alternative.
func (f frequencies) rarest(alternative []uint32) uint32 {
	rarest := alternative[0]
	for _, key := range alternative[1:] {
		if f[key] < f[rarest] {
			rarest = key
		}
	}
	return rarest
}

// choose returns the need that the fewest texts are likely to have.
func (f frequencies) choose(all []need) need {
	var best need
	least := 0
	for _, n := range all {
		sum := 0
		for _, alternative := range n {
			sum += f[f.rarest(alternative)]
		}
		if best == nil || sum < least {
			best, least = n, sum
		}
	}
	return best
}

// addCommon makes the keys of common texts rank last.
func (f frequencies) addCommon() {
	for _, text := range common() {
		for _, key := range keysOf(text) {
			f[key] += 1 << 20
		}
	}
}

// addKeys gives a rule the rarest key of each alternative.
func (k *keys) addKeys(n need, rule int, f frequencies) {
	for _, alternative := range n {
		e := keyEntry{key: f.rarest(alternative), rule: int32(rule)}
		if !slices.Contains(k.list[max(len(k.list)-maxAlternatives, 0):], e) {
			k.list = append(k.list, e)
		}
	}
}
