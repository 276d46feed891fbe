package prompt

import (
	"errors"
	"strings"
	"time"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"adit/engine/filter"
	"adit/tui/pane"
)

const (
	// settle is how long nobody has to type until a filter is applied.
	settle = 120 * time.Millisecond
	// most bounds what can be typed, in characters.
	most = 1000
)

// A Prompt is the line that a filter is typed into: an overlay over the screen
// that it narrows. While it is typed the rows follow; a text that does not parse
// leaves them as they are. Escape takes everything back.
//
// A filter is saved by putting @NAME= before it, and recalled by @NAME, alone or
// among other clauses. @NAME= alone forgets it.
type Prompt struct {
	screen pane.Filtered
	memory pane.Memory
	input  textinput.Model

	before  string    // the filter as it was
	applied string    // by us
	typed   time.Time // when the text last changed; zero: it is applied
	fault   *filter.Error

	history []string // the newest first
	at      int      // in history; -1: what is being typed
	draft   string   // what was typed before going into history

	menu []candidate
	pick int // -1: no menu
	word int // where the word begins that the menu completes, in bytes
	kept string

	left  int // characters to the left of the box
	boxAt area
}

// New returns the line with the screen's filter in it.
func New(screen pane.Filtered, f *pane.Frame) *Prompt {
	p := &Prompt{screen: screen, memory: f.Memory, before: screen.Filter(), at: -1, pick: -1}
	p.applied = p.before
	p.input = textinput.New()
	p.input.Prompt = ""
	p.input.CharLimit = most
	p.input.SetVirtualCursor(false)
	p.input.SetValue(p.before)
	p.input.CursorEnd()
	p.input.Focus()
	p.history = readHistory(p.memory, screen.Subject())
	return p
}

var _ pane.Overlay = (*Prompt)(nil)

// Update implements [pane.Overlay].
func (p *Prompt) Update(msg tea.Msg, f *pane.Frame) (effect pane.Effect, open bool) {
	before := p.input.Value()
	switch msg := msg.(type) {
	case tea.KeyPressMsg:
		switch msg.String() {
		case "esc":
			if p.pick >= 0 {
				p.replace(p.kept)
				p.close()
				break
			}
			p.screen.SetFilter(p.before)
			return nil, false
		case "enter":
			if p.pick >= 0 {
				p.close()
				break
			}
			return p.enter()
		case "tab":
			p.complete(1)
		case "shift+tab":
			p.complete(-1)
		case "up", "ctrl+p":
			if p.pick >= 0 {
				p.complete(-1)
			} else {
				p.recall(1)
			}
		case "down", "ctrl+n":
			if p.pick >= 0 {
				p.complete(1)
			} else {
				p.recall(-1)
			}
		default:
			p.close()
			// The command would read a clipboard of this machine; what a terminal
			// pastes comes as a message.
			p.input, _ = p.input.Update(msg)
		}
	case tea.PasteMsg:
		p.close()
		msg.Content = oneLine(msg.Content)
		p.input, _ = p.input.Update(msg)
	case tea.MouseClickMsg:
		at := msg.Mouse()
		if !p.boxAt.Contains(at.X, at.Y) {
			return p.enter()
		}
		p.input.SetCursor(p.left + at.X - p.boxAt.text)
	}
	if p.input.Value() != before {
		p.typed = f.Wall()
		p.check()
	}
	return nil, true
}

// oneLine makes one line of what was pasted: line ends become spaces.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' || r == '\t' }), " ")
}

// text returns what is typed, without a name to save it by.
func (p *Prompt) text() (name, text string, saves bool) {
	value := p.input.Value()
	if rest, ok := strings.CutPrefix(strings.TrimLeft(value, " "), "@"); ok {
		if name, text, ok := strings.Cut(rest, "="); ok && isName(name) {
			return name, strings.TrimSpace(text), true
		}
	}
	return "", strings.TrimSpace(value), false
}

// check parses what is typed, so that a fault is shown at once.
func (p *Prompt) check() {
	p.fault = nil
	_, text, _ := p.text()
	expanded, err := p.expand(text)
	if err == nil {
		_, err = filter.Parse(p.screen.Subject(), expanded)
		if err != nil && expanded != text {
			// The column is one of the expanded text: the whole is at fault.
			err = &filter.Error{Column: 0, Length: len(text), Text: err.Error()}
		}
	}
	if err == nil {
		return
	}
	if !errors.As(err, &p.fault) {
		p.fault = &filter.Error{Length: len(text), Text: err.Error()}
		return
	}
	// What was cut off before the text belongs to the column.
	fault := *p.fault
	fault.Column += strings.Index(p.input.Value(), text)
	p.fault = &fault
}

// apply narrows the rows by what is typed, if it parses.
func (p *Prompt) apply() {
	p.typed = time.Time{}
	if p.fault != nil {
		return
	}
	_, text, _ := p.text()
	expanded, err := p.expand(text)
	if err != nil || expanded == p.applied {
		return
	}
	p.applied = expanded
	p.screen.SetFilter(expanded)
}

// tick applies what was typed when nobody has typed for a moment.
func (p *Prompt) tick(f *pane.Frame) {
	if !p.typed.IsZero() && f.Wall().Sub(p.typed) >= settle {
		p.apply()
	}
}

// enter keeps the filter. One that does not parse keeps the line open.
func (p *Prompt) enter() (effect pane.Effect, open bool) {
	p.check()
	if p.fault != nil {
		return nil, true
	}
	p.apply()
	name, text, saves := p.text()
	if saves {
		effect = save(p.memory, p.screen.Subject(), name, text)
	}
	if p.applied != "" {
		writeHistory(p.memory, p.screen.Subject(), p.history, text)
	}
	return effect, false
}

// recall goes back (1) or forth (-1) in the history.
func (p *Prompt) recall(by int) {
	at := p.at + by
	if at < -1 || at >= len(p.history) {
		return
	}
	if p.at == -1 {
		p.draft = p.input.Value()
	}
	p.at = at
	text := p.draft
	if at >= 0 {
		text = p.history[at]
	}
	p.input.SetValue(text)
	p.input.CursorEnd()
}

// Hints implements [pane.Overlay].
func (p *Prompt) Hints(f *pane.Frame) []pane.Hint {
	up := "↑"
	if f.Glyphs.ASCII {
		up = "up"
	}
	if p.pick >= 0 {
		return []pane.Hint{{Key: "tab", Text: "next"}, {Key: f.Glyphs.Enter, Text: "take"}, {Key: "esc", Text: "none"}}
	}
	return []pane.Hint{
		{Key: f.Glyphs.Enter, Text: "keep"}, {Key: "esc", Text: "as it was"}, {Key: "tab", Text: "complete"},
		{Key: up, Text: "history"}, {Key: "@name", Text: "recall"}, {Key: "@name=", Text: "save"},
	}
}
