package policy

import (
	"regexp"
	"regexp/syntax"
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
	name string
	keys keys
}

// A need is what stands in every text that an expression matches: of one of the
// alternatives all keys. An empty one says nothing.
type need [][]uint32

// maxAlternatives bounds the keys of one rule.
const maxAlternatives = 16

// needOf returns what an expression needs.
func needOf(re *regexp.Regexp) need {
	if re == nil {
		return nil
	}
	tree, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil {
		return nil
	}
	return needOfTree(tree)
}

func needOfTree(tree *syntax.Regexp) need {
	var w needs
	w.walk(tree)
	w.cut()
	if len(w.keys) > 0 {
		return need{w.keys}
	}
	return w.best
}

// needs collects what the parts of a concatenation need.
type needs struct {
	run  []byte // of literals that follow each other
	keys []uint32
	best need // of the alternations
}

// cut ends a run of literals.
func (w *needs) cut() {
	for i := keyLength; i <= len(w.run); i++ {
		var key uint32
		for _, c := range w.run[i-keyLength : i] {
			key = key<<8 | uint32(c|0x20)
		}
		w.keys = append(w.keys, key)
	}
	w.run = w.run[:0]
}

func (w *needs) walk(re *syntax.Regexp) {
	switch re.Op {
	case syntax.OpLiteral:
		for _, c := range re.Rune {
			w.literal(c, re.Flags&syntax.FoldCase != 0)
		}
	case syntax.OpConcat, syntax.OpCapture:
		for _, sub := range re.Sub {
			w.walk(sub)
		}
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText,
		syntax.OpWordBoundary, syntax.OpNoWordBoundary:
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
		w.alternate(re)
	default:
		w.cut()
	}
}

// literal takes a character. What an expression may match by other bytes than
// its own, case aside, ends a run: invalid UTF-8 matches U+FFFD, and some
// letters have a third case.
func (w *needs) literal(c rune, fold bool) {
	if c == utf8.RuneError || fold && (c >= utf8.RuneSelf || c|0x20 == 'k' || c|0x20 == 's') {
		w.cut()
		return
	}
	w.run = utf8.AppendRune(w.run, c)
}

func (w *needs) alternate(re *syntax.Regexp) {
	var all need
	for _, sub := range re.Sub {
		n := needOfTree(sub)
		if len(n) == 0 {
			return
		}
		all = append(all, n...)
	}
	if len(all) <= maxAlternatives && (w.best == nil || len(all) < len(w.best)) {
		w.best = all
	}
}

// common are texts that stand in most URLs: keys are taken elsewhere, where
// there is an elsewhere.
func common() []string { return []string{"http://", "https://", "://www.", ".com/", ".com:", "/api/"} }

// frequencies count how often each key is needed.
type frequencies map[uint32]int

func (f frequencies) add(n need) {
	for _, alternative := range n {
		for _, key := range alternative {
			f[key]++
		}
	}
}

// addCommon makes the keys of common texts rank last.
func (f frequencies) addCommon() {
	for _, text := range common() {
		w := needs{run: []byte(text)}
		w.cut()
		for _, key := range w.keys {
			f[key] += 1 << 20
		}
	}
}

// addKeys gives a rule the rarest key of each alternative.
func (k *keys) addKeys(n need, rule int, f frequencies) {
	for _, alternative := range n {
		rarest := alternative[0]
		for _, key := range alternative[1:] {
			if f[key] < f[rarest] {
				rarest = key
			}
		}
		k.list = append(k.list, keyEntry{key: rarest, rule: int32(rule)})
	}
}
