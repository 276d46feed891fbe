package filter

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode"
	"unicode/utf8"

	"adit/engine"
)

// maxDepth bounds parentheses and negations within one another.
const maxDepth = 64

// A parser reads one text by recursive descent.
type parser struct {
	text   string
	pos    int
	depth  int
	fields []described
	tree   *Node
}

func (p *parser) run() error {
	if len(p.text) > MaxLength {
		return &Error{MaxLength, len(p.text) - MaxLength, fmt.Sprintf("longer than %d bytes; shorten it", MaxLength)}
	}
	p.space()
	if p.end() {
		return nil
	}
	tree, err := p.or()
	if err != nil {
		return err
	}
	if !p.end() {
		return p.fault(p.pos, p.pos+1, "nothing is open that this ) closes; remove it")
	}
	p.tree = tree
	return nil
}

// fault returns an error about text[from:to], or about the byte at from.
func (p *parser) fault(from, to int, format string, args ...any) *Error {
	return &Error{from, max(to-from, 1), fmt.Sprintf(format, args...)}
}

func (p *parser) end() bool { return p.pos >= len(p.text) }

// at reports whether c stands next.
func (p *parser) at(c byte) bool { return p.pos < len(p.text) && p.text[p.pos] == c }

func (p *parser) space() {
	p.pos += len(p.text[p.pos:]) - len(strings.TrimLeftFunc(p.text[p.pos:], unicode.IsSpace))
}

// until returns where the run of bytes from pos on ends, before white space, a
// parenthesis or one of stops.
func (p *parser) until(stops string) int {
	i := strings.IndexFunc(p.text[p.pos:], func(r rune) bool {
		return unicode.IsSpace(r) || r == '(' || r == ')' || strings.ContainsRune(stops, r)
	})
	if i < 0 {
		return len(p.text)
	}
	return p.pos + i
}

// keyword takes word, in any case, if it stands alone here.
func (p *parser) keyword(word string) bool {
	end := p.until("")
	if !strings.EqualFold(p.text[p.pos:end], word) {
		return false
	}
	p.pos = end
	return true
}

func (p *parser) or() (*Node, error) {
	start := p.pos
	var nodes []*Node
	for {
		n, err := p.and()
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
		if !p.keyword("or") {
			return p.group(Or, nodes, start), nil
		}
		p.space()
	}
}

func (p *parser) and() (*Node, error) {
	start := p.pos
	var nodes []*Node
	for {
		n, err := p.term()
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
		p.space()
		if p.keyword("and") {
			p.space()
			continue
		}
		if before := p.pos; p.end() || p.at(')') || p.keyword("or") {
			p.pos = before
			return p.group(And, nodes, start), nil
		}
	}
}

// group returns nodes as one, without a layer that means nothing.
func (p *parser) group(k NodeKind, nodes []*Node, start int) *Node {
	if len(nodes) == 1 {
		return nodes[0]
	}
	end := len(strings.TrimRightFunc(p.text[:p.pos], unicode.IsSpace))
	return &Node{Kind: k, Nodes: nodes, Column: start, Length: end - start}
}

func (p *parser) term() (*Node, error) {
	start := p.pos
	if p.depth++; p.depth > maxDepth {
		return nil, p.fault(start, start+1, "more than %d parentheses within one another; use fewer", maxDepth)
	}
	defer func() { p.depth-- }()
	for _, word := range [...]string{"or", "and"} {
		if p.keyword(word) {
			return nil, p.fault(start, p.pos, "nothing stands before %s; quote it to search for the word", p.text[start:p.pos])
		}
	}
	switch {
	case p.until("") == p.pos && !p.at('('):
		return nil, p.fault(start, start+1, "something has to follow here: a word or a clause like %s", p.example())
	case p.at('-'):
		p.pos++
		return p.not(start)
	case p.keyword("not"):
		p.space()
		return p.not(start)
	case p.at('('):
		return p.parentheses()
	}
	return p.clause()
}

func (p *parser) not(start int) (*Node, error) {
	n, err := p.term()
	if err != nil {
		return nil, err
	}
	return &Node{Kind: Not, Nodes: []*Node{n}, Column: start, Length: n.Column + n.Length - start}, nil
}

func (p *parser) parentheses() (*Node, error) {
	start := p.pos
	p.pos++
	p.space()
	n, err := p.or()
	if err != nil {
		return nil, err
	}
	if !p.at(')') {
		return nil, p.fault(start, start+1, "this ( is not closed; add )")
	}
	p.pos++
	return n, nil
}

// example returns a clause to show in an error.
func (p *parser) example() string {
	for _, f := range p.fields {
		if f.Name != "" {
			return f.Example
		}
	}
	return ""
}

// clause reads one clause, regular expression or word.
func (p *parser) clause() (*Node, error) {
	start := p.pos
	name, ok := p.fieldName()
	if !ok {
		return p.word()
	}
	f, err := p.field(name, start)
	if err != nil {
		return nil, err
	}
	n := &Node{Kind: Clause, Field: name, Column: start}
	from := p.pos
	op := p.operator()
	if n.None = op == "!="; op != "" && op != "=" && op != "!=" && (f.form == formText || f.form == formChoice) {
		return nil, p.fault(from, p.pos, "%s compares texts, which have no order; use = or != or nothing instead of %s", name, op)
	}
	for {
		v, err := p.value(f, op, start)
		if err != nil {
			return nil, err
		}
		n.Values = append(n.Values, v)
		if !p.at(',') {
			break
		}
		p.pos++
	}
	n.source, n.Length = p.text[start:p.pos], p.pos-start
	return n, nil
}

// fieldName takes a name and its colon: letters, digits and _, and anything
// between a dot and the colon. A scheme with // is the beginning of a URL.
func (p *parser) fieldName() (string, bool) {
	rest := p.text[p.pos:]
	i := 0
	for i < len(rest) && (lower(rest[i]) >= 'a' && lower(rest[i]) <= 'z' || i > 0 && (rest[i] == '_' || rest[i] >= '0' && rest[i] <= '9')) {
		i++
	}
	if i == 0 {
		return "", false
	}
	name := strings.ToLower(rest[:i])
	if i < len(rest) && rest[i] == '.' {
		end := p.until(":\"") - p.pos
		name += rest[i:end]
		i = end
	}
	if i >= len(rest) || rest[i] != ':' || strings.HasPrefix(rest[i:], "://") {
		return "", false
	}
	p.pos += i + 1
	return name, true
}

// splitName splits "label.region" after the dot.
func splitName(name string) (field, rest string) {
	if i := strings.IndexByte(name, '.'); i >= 0 {
		return name[:i+1], name[i+1:]
	}
	return name, ""
}

// field returns what is known of a field whose name began at start.
func (p *parser) field(name string, start int) (described, error) {
	first, rest := splitName(name)
	for _, f := range p.fields {
		if f.Name == first && first != "" {
			if rest == "" && strings.HasSuffix(first, ".") {
				return f, p.fault(start, p.pos-1, "%s needs a name, as in %s", first, f.Example)
			}
			return f, nil
		}
	}
	nearest, distance := "", 3
	for _, f := range p.fields {
		if d := editDistance(first, f.Name); d < distance && d < len(first) && f.Name != "" {
			nearest, distance = f.Name, d
		}
	}
	hint := "quote it to search for the text"
	if nearest != "" {
		hint = "did you mean " + nearest + "?"
	}
	return described{}, p.fault(start, p.pos-1, "unknown field %s; %s", engine.Bound(name), hint)
}

func (p *parser) operator() string {
	for _, op := range [...]string{"!=", ">=", "<=", "=", ">", "<"} {
		if strings.HasPrefix(p.text[p.pos:], op) {
			p.pos += len(op)
			return op
		}
	}
	return ""
}

// word reads a bare word, quoted text or regular expression.
func (p *parser) word() (*Node, error) {
	start := p.pos
	v, ok, err := p.enclosed()
	if err != nil {
		return nil, err
	}
	if !ok {
		end := p.until("")
		v = plain(p.text[p.pos:end])
		if v.Match == Glob {
			v.Text = "*" + v.Text + "*"
		}
		p.pos = end
	}
	return &Node{Kind: Clause, Values: []Value{v}, Column: start, Length: p.pos - start, source: p.text[start:p.pos]}, nil
}

// plain is what unquoted text means.
func plain(text string) Value {
	v := Value{Match: Substring, Text: text, Fold: !hasUpper(text)}
	if strings.ContainsAny(text, "*?") {
		v.Match = Glob
	}
	return v
}

// enclosed reads "…" or /…/ if one stands here.
func (p *parser) enclosed() (Value, bool, error) {
	switch {
	case p.at('"'):
		v, err := p.quoted()
		return v, true, err
	case p.at('/'):
		return p.expression()
	}
	return Value{}, false, nil
}

func (p *parser) quoted() (Value, error) {
	var text strings.Builder
	for i := p.pos + 1; i < len(p.text); i++ {
		c := p.text[i]
		switch {
		case c == '"':
			p.pos = i + 1
			return Value{Match: Substring, Text: text.String(), Fold: !hasUpper(text.String())}, nil
		case c == '\\' && i+1 < len(p.text):
			i++
			c = p.text[i]
		}
		text.WriteByte(c)
	}
	return Value{}, p.fault(p.pos, p.pos+1, "this quote is not closed; add \"")
}

// expression reads a regular expression. A slash that no other closes before
// the next white space begins an ordinary path.
func (p *parser) expression() (Value, bool, error) {
	rest := p.text[p.pos+1:]
	end := -1
	for i, r := range rest {
		if unicode.IsSpace(r) {
			break
		}
		if r == '/' && !escaped(rest, i) {
			end = i
			break
		}
	}
	if end <= 0 {
		return Value{}, false, nil
	}
	after := end + 1
	flag := after < len(rest) && rest[after] == 'i'
	if flag {
		after++
	}
	if next, _ := utf8.DecodeRuneInString(rest[after:]); after < len(rest) && !unicode.IsSpace(next) && !strings.ContainsRune(",()", next) {
		return Value{}, false, nil
	}
	v := Value{Match: Pattern, Text: rest[:end], Fold: flag || !hasUpper(withoutEscapes(rest[:end]))}
	source := v.Text
	if v.Fold {
		source = "(?i)" + source
	}
	var err error
	if v.pattern, err = compileExpression(source); err != nil {
		text := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
		return v, true, p.fault(p.pos, p.pos+1+after, "%s; mend the expression, or quote it to search for it as it stands", text)
	}
	p.pos += 1 + after
	return v, true, nil
}

// maxSteps bounds what an expression is compiled to: repeat counts multiply, and
// a few bytes would take hundreds of megabytes and seconds for each record.
const maxSteps = 2000

func compileExpression(source string) (*regexp.Regexp, error) {
	tree, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		return nil, err
	}
	if steps(tree) > maxSteps {
		return nil, fmt.Errorf("it repeats too much, more than %d steps", maxSteps)
	}
	return regexp.Compile(source)
}

// steps returns about how many instructions an expression is compiled to, or
// more than maxSteps.
func steps(x *syntax.Regexp) int {
	n := 1
	switch x.Op {
	case syntax.OpLiteral:
		n = len(x.Rune)
	case syntax.OpRepeat:
		n = 0
	}
	for _, sub := range x.Sub {
		if n += steps(sub); n > maxSteps {
			return n
		}
	}
	if x.Op == syntax.OpRepeat {
		n *= max(x.Min+1, x.Max, 1)
	}
	return n
}

// escaped reports whether an odd number of backslashes stands before s[i].
func escaped(s string, i int) bool {
	n := 0
	for i--; i >= 0 && s[i] == '\\'; i-- {
		n++
	}
	return n%2 == 1
}

// withoutEscapes leaves out what stands after backslashes: \S is no upper case.
func withoutEscapes(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// editDistance returns how many letters have to be changed, added, removed or
// swapped with their neighbour to get from a to b.
func editDistance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
