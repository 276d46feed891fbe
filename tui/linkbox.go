package tui

import (
	"strconv"
	"time"

	tea "charm.land/bubbletea/v2"

	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/format"
	"adit/tui/overlay"
	"adit/tui/pane"
)

// A linkBox is the overlay with all that is known of the link.
type linkBox struct{ m *model }

const linkBoxWidth = 72

// Update implements [pane.Overlay].
func (b *linkBox) Update(msg tea.Msg, f *pane.Frame) (pane.Effect, bool) {
	key, ok := msg.(tea.KeyPressMsg)
	if !ok {
		return nil, true
	}
	switch key.String() {
	case "esc", "enter", "q", "d", "?":
		return nil, false
	case "r":
		b.m.remote.linked.Retry()
	}
	return nil, true
}

// Draw implements [pane.Overlay].
func (b *linkBox) Draw(a canvas.Area, f *pane.Frame) (x, y int, cursor bool) {
	facts := b.facts(f)
	in := overlay.Middle(a, linkBoxWidth, len(facts)+2).Box(canvas.Box{Title: "Link", Focused: true, Overlay: true, Glyphs: f.Glyphs})
	for i, fact := range facts {
		in.Cut(1, i, 14, fact[0], f.Glyphs.Cut, canvas.Of(themes.Muted))
		in.Cut(16, i, max(in.W()-17, 0), fact[1], f.Glyphs.Cut, canvas.Of(themes.Fg))
	}
	return 0, 0, false
}

func (b *linkBox) facts(f *pane.Frame) [][2]string {
	l := f.Link
	state := "attached"
	switch {
	case l.Lost:
		state = "lost"
	case l.Delay > silent:
		state = "slow"
	}
	if !l.Since.IsZero() {
		state += " for " + format.Age(max(f.Clock.Sub(l.Since), 0))
	}
	facts := [][2]string{{"address", l.Address}, {"state", state}}
	add := func(name, value string) {
		if value != "" {
			facts = append(facts, [2]string{name, value})
		}
	}
	add("cause", l.Cause)
	if l.Lost {
		next := "retry " + strconv.Itoa(max(l.Attempt, 1))
		if wait := l.RetryAt.Sub(f.Clock); wait > 0 {
			next += " in " + format.Age(wait+time.Second-1)
		}
		add("next", next)
	}
	if l.Stuck {
		add("", "stuck: check address or token")
	}
	data := "none yet"
	if !l.LastData.IsZero() {
		data = format.Age(max(f.Clock.Sub(l.LastData), 0)) + " ago"
	}
	add("last data", data)
	if l.Delay > 0 {
		add("late", "data takes "+format.Age(l.Delay)+" longer than at first: the way is slow")
	}
	if l.RoundTrip > 0 {
		add("round trip", format.Duration(l.RoundTrip))
	}
	if l.Skew != 0 {
		add("clock", "the other end's is off by about "+format.Duration(l.Skew.Abs())+map[bool]string{true: ", late", false: ", early"}[l.Skew < 0])
	}
	who := l.Name
	if l.ReadOnly {
		who += ", may only look"
	}
	add("as", who)
	if l.Attached > 0 {
		add("attached", format.Plural(l.Attached, "operator"))
	}
	add("lost so far", format.Plural(l.Gaps, "time")+", restarts "+strconv.Itoa(l.Restarts))
	return facts
}

// Hints implements [pane.Overlay].
func (b *linkBox) Hints(*pane.Frame) []pane.Hint {
	return []pane.Hint{{Key: "esc", Text: "close"}, {Key: "r", Text: "retry now"}}
}
