package prompt

import (
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
	p.word = filter.WordStart(before)
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

// candidates appends the ways to complete a word: fields and saved filters, or
// the values of the field before its colon.
func (p *Prompt) candidates(menu []candidate, word string) []candidate {
	if strings.HasPrefix(word, "@") {
		return p.saved(menu, word)
	}
	for _, c := range filter.Complete(p.screen.Subject(), word, p.screen.Values) {
		menu = append(menu, candidate{text: c.Text, title: c.Title, note: c.Help, count: c.Count})
	}
	if strings.Contains(word, ":") {
		return menu
	}
	return p.saved(menu, word)
}

// saved appends the saved filters whose name begins with word.
func (p *Prompt) saved(menu []candidate, word string) []candidate {
	typed := strings.ToLower(word)
	for _, line := range readSaved(p.memory, p.screen.Subject()) {
		name, text, _ := strings.Cut(line, " ")
		if strings.HasPrefix("@"+strings.ToLower(name), typed) {
			menu = append(menu, candidate{text: "@" + name, title: "@" + name, note: text})
		}
	}
	return menu
}
