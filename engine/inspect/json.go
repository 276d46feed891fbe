package inspect

import "bytes"

const (
	// maxIndent is how deep indentation goes; what is nested deeper stands there.
	maxIndent = 32
	// maxPretty bounds what pretty-printing makes of content, in bytes.
	maxPretty = 1 << 20
	// inlineMost is how long an object or array on one line is at most.
	inlineMost = 60
)

// expectations of the grammar of JSON.
type expect uint8

const (
	expectValue expect = iota
	expectValueOrEnd
	expectName
	expectNameOrEnd
	expectColon
	expectCommaOrEnd
	expectNothing
)

// A printer lays JSON out, order and spelling of everything kept.
type printer struct {
	in    []byte
	at    int
	out   []byte
	stack []byte // '{' or '[' of what is open
	want  expect
}

// prettyJSON returns JSON with a member or element a line, as far as in goes: cut
// content is laid out to its end. ok is false where it is no JSON; with whole
// also where it ends too early.
func prettyJSON(in []byte, whole bool) (out []byte, ok bool) {
	p := printer{in: in, out: make([]byte, 0, len(in)+len(in)/2)}
	for {
		p.at = skipSpace(p.in, p.at)
		if p.at >= len(p.in) {
			return p.out, !whole || p.want == expectNothing
		}
		if len(p.out) > maxPretty {
			return p.out, true
		}
		if !p.token() {
			return nil, false
		}
	}
}

// token takes the next one and reports whether it may stand there.
func (p *printer) token() bool {
	c := p.in[p.at]
	switch c {
	case '{', '[':
		return p.open(c)
	case '}', ']':
		return p.close(c)
	case ',':
		if p.want != expectCommaOrEnd || len(p.stack) == 0 {
			return false
		}
		p.out = append(p.out, ',')
		p.line(len(p.stack))
		p.at++
		if p.want = expectValue; p.stack[len(p.stack)-1] == '{' {
			p.want = expectName
		}
		return true
	case ':':
		if p.want != expectColon {
			return false
		}
		p.out = append(p.out, ':', ' ')
		p.at++
		p.want = expectValue
		return true
	case '"':
		end := stringEnd(p.in, p.at)
		if hasControl(p.in[p.at:end]) {
			return false
		}
		p.out = append(p.out, p.in[p.at:end]...)
		p.at = end
		if p.want == expectName || p.want == expectNameOrEnd {
			p.want = expectColon
			return true
		}
		return p.value()
	}
	end := p.at
	for end < len(p.in) && isScalar(p.in[end]) {
		end++
	}
	if end == p.at || !scalarFits(p.in[p.at:end], end == len(p.in)) {
		return false
	}
	p.out = append(p.out, p.in[p.at:end]...)
	p.at = end
	return p.value()
}

// value says that one has been taken.
func (p *printer) value() bool {
	if p.want != expectValue && p.want != expectValueOrEnd {
		return false
	}
	if p.want = expectCommaOrEnd; len(p.stack) == 0 {
		p.want = expectNothing
	}
	return true
}

func (p *printer) open(c byte) bool {
	if p.want != expectValue && p.want != expectValueOrEnd {
		return false
	}
	if len(p.stack) > 0 {
		if n := p.inline(); n > 0 {
			p.at += n
			p.want = expectCommaOrEnd
			return true
		}
	}
	p.stack = append(p.stack, c)
	p.out = append(p.out, c)
	p.at++
	if p.want = expectValueOrEnd; c == '{' {
		p.want = expectNameOrEnd
	}
	if next := skipSpace(p.in, p.at); next < len(p.in) && p.in[next] != '}' && p.in[next] != ']' {
		p.line(len(p.stack))
	}
	return true
}

func (p *printer) close(c byte) bool {
	if len(p.stack) == 0 || p.stack[len(p.stack)-1] != c-2 {
		return false // in ASCII the brackets are two apart
	}
	empty := p.want == expectNameOrEnd || p.want == expectValueOrEnd
	if !empty && p.want != expectCommaOrEnd {
		return false
	}
	p.stack = p.stack[:len(p.stack)-1]
	if !empty {
		p.line(len(p.stack))
	}
	p.out = append(p.out, c)
	p.at++
	if p.want = expectCommaOrEnd; len(p.stack) == 0 {
		p.want = expectNothing
	}
	return true
}

// inline lays out what begins at p.at on one line, where it is short and has
// nothing inside that is nested, and returns its length in the input; 0 if it is
// not.
func (p *printer) inline() int {
	end := p.at + 1
	for ; ; end++ {
		if end >= len(p.in) || end-p.at > 2*inlineMost {
			return 0
		}
		switch p.in[end] {
		case '"':
			end = stringEnd(p.in, end) - 1
			continue
		case '{', '[':
			return 0
		case '}', ']':
		default:
			continue
		}
		break
	}
	sub := printer{in: p.in[p.at : end+1]}
	line := make([]byte, 0, inlineMost)
	for {
		sub.at = skipSpace(sub.in, sub.at)
		if sub.at >= len(sub.in) {
			break
		}
		sub.out = sub.out[:0]
		closing := sub.in[sub.at] == '}' || sub.in[sub.at] == ']'
		if !sub.token() {
			return 0
		}
		text := bytes.TrimRight(sub.out, " \n")
		text = bytes.TrimLeft(text, "\n ")
		if closing && text[0] == '}' && len(line) > 1 {
			line = append(line, ' ')
		}
		line = append(line, text...)
		switch text[len(text)-1] {
		case '{':
			if next := skipSpace(sub.in, sub.at); sub.in[next] != '}' {
				line = append(line, ' ')
			}
		case ',', ':':
			if len(text) == 1 {
				line = append(line, ' ')
			}
		}
		if len(line) > inlineMost {
			return 0
		}
	}
	if sub.want != expectNothing {
		return 0
	}
	p.out = append(p.out, line...)
	return len(sub.in)
}

func (p *printer) line(depth int) {
	p.out = append(p.out, '\n')
	for range min(depth, maxIndent) {
		p.out = append(p.out, ' ', ' ')
	}
}

// isScalar reports whether c is of a number, true, false or null.
func isScalar(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || c == '-' || c == '+' || c == '.' || c == 'E'
}

// scalarFits reports whether s is a literal or looks like a number; the last one
// of cut content may end early.
func scalarFits(s []byte, last bool) bool {
	for _, literal := range [...]string{"true", "false", "null"} {
		if string(s) == literal || last && len(s) < len(literal) && literal[:len(s)] == string(s) {
			return true
		}
	}
	if c := s[0]; c != '-' && (c < '0' || c > '9') {
		return false
	}
	for _, c := range s {
		if 'a' <= c && c <= 'z' && c != 'e' {
			return false
		}
	}
	return true
}

func hasControl(s []byte) bool {
	for _, c := range s {
		if c < ' ' {
			return true
		}
	}
	return false
}
