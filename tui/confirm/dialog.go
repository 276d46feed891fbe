// Package confirm has the dialogs that stand before what cannot be undone:
// actions on the engine, the end of the run, and files.
package confirm

import (
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/overlay"
	"adit/tui/pane"
)

const (
	// grace is how long a dialog takes no answer after it has opened: who was
	// typing did not mean it.
	grace = 400 * time.Millisecond
	width = 64 // columns of a dialog, frame included
)

// A Question is a dialog with a yes and a no; the default is no.
type Question struct {
	Title  string
	Lines  []string
	Yes    string // the verb: "quit"
	Effect pane.Effect
}

type question struct {
	Question
	opened time.Time
}

// NewQuestion returns the dialog of q. It takes y for yes, after a moment, and
// esc, n, q or enter for no.
func NewQuestion(q Question, f *pane.Frame) pane.Overlay {
	return &question{Question: q, opened: f.Wall()}
}

// Update implements [pane.Overlay].
func (q *question) Update(msg tea.Msg, f *pane.Frame) (pane.Effect, bool) {
	key, ok := msg.(tea.KeyPressMsg)
	if !ok {
		return nil, true
	}
	switch key.String() {
	case "esc", "n", "q", "enter":
		return nil, false
	case "y":
		if f.Wall().Sub(q.opened) >= grace {
			return q.Effect, false
		}
	}
	return nil, true
}

// Draw implements [pane.Overlay].
func (q *question) Draw(a canvas.Area, f *pane.Frame) (x, y int, cursor bool) {
	in := box(a, f, q.Title, len(q.Lines)+2)
	for i, line := range q.Lines {
		if i >= in.H()-1 {
			break // the answers stand there
		}
		in.Cut(1, i, in.W()-2, line, f.Glyphs.Cut, canvas.Of(themes.Fg))
	}
	buttons(in, in.H()-1, button{"[ Cancel ]", themes.Accent}, button{q.Yes + " (y)", themes.Err})
	return 0, 0, false
}

// Hints implements [pane.Overlay].
func (q *question) Hints(*pane.Frame) []pane.Hint {
	return []pane.Hint{{Key: "esc", Text: "cancel (default)"}, {Key: "y", Text: q.Yes}}
}

// box draws the frame of a dialog with rows rows in the middle of a, fewer where
// there is no room, and returns what is inside.
func box(a canvas.Area, f *pane.Frame, title string, rows int) canvas.Area {
	return overlay.Middle(a, width, rows+2).Box(canvas.Box{Title: title, Focused: true, Overlay: true, Glyphs: f.Glyphs})
}

// A button is a choice in the last row of a dialog.
type button struct {
	text string
	role themes.Role
}

// buttons draws them in row y, spread, and returns where they are.
func buttons(a canvas.Area, y int, all ...button) []canvas.Rect {
	total := 0
	for _, b := range all {
		total += canvas.Width(b.text)
	}
	if total+len(all)-1 > a.W() { // without what only adorns them
		for i := range all {
			total -= canvas.Width(all[i].text)
			all[i].text = strings.Trim(all[i].text, "[ ]")
			total += canvas.Width(all[i].text)
		}
	}
	gap := max((a.W()-total)/(len(all)+1), 1)
	at := make([]canvas.Rect, len(all))
	x := gap
	for i, b := range all {
		start := x
		x = a.Text(x, y, b.text, canvas.Of(b.role)|canvas.Bold)
		at[i] = canvas.Rect{X: a.Bounds().X + start, Y: a.Bounds().Y + y, W: x - start, H: 1}
		x += gap
	}
	return at
}
