package policy

import (
	"bytes"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode"
)

// An expression is a regular expression. Where it stands for a few texts at the
// beginning, at the end or anywhere, as most expressions of rules do, it is not run:
// the texts are looked for.
type expression struct {
	re *regexp.Regexp

	texts      []string // nil: re is run
	bytes      [][]byte // the same
	begin, end bool     // where they have to stand

	// weight is what running it costs, some 25 to 60 ns for each byte of a text; 0 where
	// it is not run.
	weight int
}

// compileRE reads an expression.
func compileRE(text string) (*expression, error) {
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, err
	}
	e := &expression{re: re, weight: 1}
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return e, nil
	}
	if texts, begin, end := textsOf(tree); texts != nil {
		e.texts, e.begin, e.end, e.weight = texts, begin, end, 0
		for _, t := range texts {
			e.bytes = append(e.bytes, []byte(t))
		}
		return e, nil
	}
	// The machine may have as many threads as it has instructions.
	if program, err := syntax.Compile(tree.Simplify()); err == nil {
		e.weight += len(program.Inst) / 32
	}
	return e, nil
}

func (e *expression) MatchString(text string) bool {
	if e.texts == nil {
		return e.re.MatchString(text)
	}
	for _, t := range e.texts {
		switch {
		case e.begin && e.end:
			if text == t {
				return true
			}
		case e.begin:
			if strings.HasPrefix(text, t) {
				return true
			}
		case e.end:
			if strings.HasSuffix(text, t) {
				return true
			}
		case strings.Contains(text, t):
			return true
		}
	}
	return false
}

func (e *expression) Match(text []byte) bool {
	if e.texts == nil {
		return e.re.Match(text)
	}
	for _, t := range e.bytes {
		switch {
		case e.begin && e.end:
			if bytes.Equal(text, t) {
				return true
			}
		case e.begin:
			if bytes.HasPrefix(text, t) {
				return true
			}
		case e.end:
			if bytes.HasSuffix(text, t) {
				return true
			}
		case bytes.Contains(text, t):
			return true
		}
	}
	return false
}

// textsOf returns what an expression stands for, nil where that is more than a few
// texts. Only ASCII is taken, and nothing that has other cases than ASCII: what those
// match beside themselves (U+212A is a k, any invalid byte U+FFFD) is left to regexp.
func textsOf(tree *syntax.Regexp) (texts []string, begin, end bool) {
	parts := []*syntax.Regexp{tree}
	if tree.Op == syntax.OpConcat {
		parts = tree.Sub
	}
	if len(parts) > 0 && parts[0].Op == syntax.OpBeginText {
		begin, parts = true, parts[1:]
	}
	if n := len(parts); n > 0 && parts[n-1].Op == syntax.OpEndText {
		end, parts = true, parts[:n-1]
	}
	// Anything, or nothing, at a side where nothing is asked for asks for nothing.
	for !begin && len(parts) > 0 && isAnything(parts[0]) {
		parts = parts[1:]
	}
	for n := len(parts); !end && n > 0 && isAnything(parts[n-1]); n-- {
		parts = parts[:n-1]
	}
	texts = []string{""}
	for _, p := range parts {
		if texts = crossExact(texts, plainTexts(p)); texts == nil {
			return nil, false, false
		}
	}
	return texts, begin, end
}

// isAnything reports whether an expression is .* in one of its spellings.
func isAnything(re *syntax.Regexp) bool {
	if re.Op == syntax.OpCapture {
		return isAnything(re.Sub[0])
	}
	return re.Op == syntax.OpStar && (re.Sub[0].Op == syntax.OpAnyChar || re.Sub[0].Op == syntax.OpAnyCharNotNL)
}

// plainTexts returns all texts that an expression matches as a whole, nil where
// they are too many or cannot be told.
func plainTexts(re *syntax.Regexp) []string {
	set := []string{""}
	switch re.Op {
	case syntax.OpEmptyMatch:
	case syntax.OpLiteral:
		text := string(re.Rune)
		switch {
		case !isASCII(text):
			return nil
		case re.Flags&syntax.FoldCase == 0:
			return []string{text}
		}
		for _, c := range re.Rune {
			set = crossExact(set, cases(c))
		}
	case syntax.OpCharClass:
		var all []string
		for i := 0; i+1 < len(re.Rune); i += 2 {
			if re.Rune[i+1] > 0x7e || int(re.Rune[i+1]-re.Rune[i])+len(all) >= maxAlternatives {
				return nil
			}
			for c := re.Rune[i]; c <= re.Rune[i+1]; c++ {
				all = append(all, string(c))
			}
		}
		return all
	default:
		return composed(re, plainTexts)
	}
	return set
}

// cases returns a character in all of its cases, nil where they are not all ASCII.
func cases(c rune) []string {
	all := []string{string(c)}
	for f := unicode.SimpleFold(c); f != c; f = unicode.SimpleFold(f) {
		if f >= 0x80 {
			return nil
		}
		all = append(all, string(f))
	}
	return all
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
