package prompt

import (
	"slices"
	"strings"

	"adit/engine/filter"
)

// A candidate is one way to complete a word.
type candidate struct {
	text  string // the whole word
	title string // what is shown
	note  string // help of a field
	count int    // of a value that was seen; 0 unknown
}

// candidatesMost bounds the menu.
const candidatesMost = 100

// close leaves the menu, with what was picked.
func (p *Prompt) close() { p.menu, p.pick = p.menu[:0], -1 }

// complete puts the next (1) or previous (-1) way to complete the word before the
// cursor in its place.
func (p *Prompt) complete(by int) {
	if p.pick >= 0 {
		p.pick = (p.pick + len(p.menu) + by) % len(p.menu)
		p.replace(p.menu[p.pick].text)
		return
	}
	before := p.beforeCursor()
	p.word = wordStart(before)
	p.kept = before[p.word:]
	p.menu = p.candidates(p.menu[:0], p.kept)
	switch len(p.menu) {
	case 0:
	case 1:
		p.replace(p.menu[0].text)
		p.close()
	default:
		p.pick = 0
		if by < 0 {
			p.pick = len(p.menu) - 1
		}
		p.replace(p.menu[p.pick].text)
	}
}

// beforeCursor returns what is typed up to the cursor.
func (p *Prompt) beforeCursor() string {
	runes := []rune(p.input.Value())
	return string(runes[:min(p.input.Position(), len(runes))])
}

// replace puts with in the place of the word.
func (p *Prompt) replace(with string) {
	before := p.beforeCursor()
	after := p.input.Value()[len(before):]
	p.input.SetValue(before[:min(p.word, len(before))] + with + after)
	p.input.SetCursor(len([]rune(before[:min(p.word, len(before))] + with)))
}

// wordStart returns where the word begins that s ends in: after the last space
// or parenthesis that is not quoted, and after a minus.
func wordStart(s string) int {
	start, quoted := 0, false
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ' ' || c == '(' || c == ')'):
			start = i + 1
		}
	}
	if start < len(s) && s[start] == '-' {
		start++
	}
	return start
}

// candidates appends the ways to complete a word: fields and saved filters, or
// the values of the field before its colon.
func (p *Prompt) candidates(menu []candidate, word string) []candidate {
	name, value, isClause := strings.Cut(word, ":")
	if !isClause {
		return p.names(menu, word)
	}
	at := strings.LastIndexByte(value, ',') + 1
	at += len(value[at:]) - len(strings.TrimLeft(value[at:], "<>=!"))
	prefix, typed := name+":"+value[:at], strings.ToLower(strings.TrimPrefix(value[at:], `"`))
	var fixed []string
	for _, f := range filter.Fields(p.screen.Subject()) {
		if f.Name == name {
			fixed = f.Values
		}
	}
	for _, v := range p.screen.Values(name) {
		if len(menu) < candidatesMost && strings.HasPrefix(strings.ToLower(v.Text), typed) {
			menu = append(menu, candidate{text: prefix + Quote(v.Text), title: v.Text, count: v.Count})
		}
	}
	for _, v := range fixed {
		seen := slices.ContainsFunc(menu, func(c candidate) bool { return c.title == v })
		if !seen && len(menu) < candidatesMost && strings.HasPrefix(strings.ToLower(v), typed) {
			menu = append(menu, candidate{text: prefix + Quote(v), title: v})
		}
	}
	return menu
}

func (p *Prompt) names(menu []candidate, word string) []candidate {
	typed := strings.ToLower(word)
	for _, f := range filter.Fields(p.screen.Subject()) {
		text := f.Name
		if !strings.HasSuffix(text, ".") {
			text += ":"
		}
		if strings.HasPrefix(text, typed) && !strings.HasPrefix(word, "@") {
			menu = append(menu, candidate{text: text, title: text, note: f.Help})
		}
	}
	for _, line := range readSaved(p.memory, p.screen.Subject()) {
		name, text, _ := strings.Cut(line, " ")
		if strings.HasPrefix("@"+strings.ToLower(name), typed) {
			menu = append(menu, candidate{text: "@" + name, title: "@" + name, note: text})
		}
	}
	return menu
}
