// Package overlay is what the overlays share: where they stand, a line to type
// on, and a list to choose from.
package overlay

import (
	"unicode/utf8"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/pane"
)

// Rows of the dashboard that an overlay leaves free.
const (
	headRows = 2
	footRows = 1
	// spareH is the height from which they are left free: a terminal below it
	// shows no more than a card.
	spareH = 12
)

// Room returns the part of the canvas where overlays may stand.
func Room(a canvas.Area) canvas.Area {
	w, h := a.Size()
	if h < spareH {
		return a.Sub(0, 0, w, max(h-footRows, 0))
	}
	return a.Sub(0, headRows, w, h-headRows-footRows)
}

// Middle returns the area of an overlay of w by h cells in the middle of the
// room, smaller if there is less.
func Middle(a canvas.Area, w, h int) canvas.Area {
	room := Room(a)
	w, h = max(min(w, room.W()), 0), max(min(h, room.H()), 0)
	return room.Sub((room.W()-w)/2, (room.H()-h)/2, w, h)
}

// Top is Middle at the upper end of the room, where it stays while its height
// changes.
func Top(a canvas.Area, w, h int) canvas.Area {
	room := Room(a)
	w, h = max(min(w, room.W()), 0), max(min(h, room.H()), 0)
	return room.Sub((room.W()-w)/2, 0, w, h)
}

// Right is Top at the right edge: what changes behind it can be seen.
func Right(a canvas.Area, w, h int) canvas.Area {
	room := Room(a)
	w, h = max(min(w, room.W()), 0), max(min(h, room.H()), 0)
	return room.Sub(max(room.W()-w-2, 0), 0, w, h)
}

// MaxSearch bounds what is typed to search for something, in characters.
const MaxSearch = 200

// A Line is a line that is typed on.
type Line struct{ in textinput.Model }

// NewLine returns a line of at most so many characters with a text on it.
func NewLine(most int, text string) Line {
	in := textinput.New()
	in.CharLimit = most
	in.SetVirtualCursor(false)
	in.SetValue(text)
	in.CursorEnd()
	_ = in.Focus() // its command makes a cursor blink that isn't drawn
	return Line{in}
}

// Text returns what was typed.
func (l *Line) Text() string { return l.in.Value() }

// Clear makes it empty.
func (l *Line) Clear() { l.in.SetValue("") }

// Update takes a key or a paste and reports whether the text has changed.
func (l *Line) Update(msg tea.Msg) bool {
	before := l.in.Value()
	switch msg := msg.(type) {
	case tea.KeyPressMsg:
		if msg.String() == "ctrl+v" {
			return false // would read the clipboard of this machine
		}
		l.in, _ = l.in.Update(msg)
	case tea.PasteMsg:
		// No more than fits is looked at: a paste may be large.
		msg.Content = head(msg.Content, l.in.CharLimit)
		l.in, _ = l.in.Update(msg)
	}
	return l.in.Value() != before
}

func head(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// Draw draws the part of the line around its cursor in w cells from (x, y) on
// and returns the column of the cursor.
func (l *Line) Draw(a canvas.Area, x, y, w int, style canvas.Style) int {
	if w <= 0 {
		return x
	}
	text := l.in.Value()
	at := 0
	for range l.in.Position() {
		_, n := utf8.DecodeRuneInString(text[at:])
		at += n
	}
	// The cursor takes a cell of its own after the text before it.
	from := 0
	for canvas.Width(text[from:at]) > w-1 {
		_, n := utf8.DecodeRuneInString(text[from:])
		from += n
	}
	a.Sub(x, y, w, 1).Text(0, 0, text[from:], style)
	return x + canvas.Width(text[from:at])
}

// A List is the cursor of a list and the part of it that is shown.
type List struct {
	Cursor int

	from  int
	rows  int         // of the last Window
	shown canvas.Rect // of the last Window, on the canvas
}

// Key moves the cursor in n rows as a key asks for and reports whether it does.
// While typing only keys without text do.
func (l *List) Key(msg tea.KeyPressMsg, n int, f *pane.Frame, typing bool) bool {
	switch msg.String() {
	case "up", "ctrl+p":
		l.Move(-1, n)
	case "down", "ctrl+n":
		l.Move(1, n)
	case "pgup":
		l.Move(-max(l.rows, 1), n)
	case "pgdown":
		l.Move(max(l.rows, 1), n)
	default:
		if typing {
			return false
		}
		action, _ := f.Keys.Find(msg.String(), keys.Everywhere)
		by, ok := pane.Moves(action, l.rows/2, n)
		l.Move(by, n)
		return ok
	}
	return true
}

// Wheel moves the cursor in n rows as the wheel of the mouse asks for.
func (l *List) Wheel(msg tea.MouseWheelMsg, n int) {
	switch msg.Button {
	case tea.MouseWheelUp:
		l.Move(-1, n)
	case tea.MouseWheelDown:
		l.Move(1, n)
	}
}

// Move moves the cursor by some of n rows.
func (l *List) Move(by, n int) { l.Cursor = max(min(l.Cursor+by, n-1), 0) }

// Window returns the rows [from, to) of n that are to be drawn in a, one below
// the other: the cursor is always among them.
func (l *List) Window(a canvas.Area, n int) (from, to int) {
	l.rows, l.shown = a.H(), a.Bounds()
	l.Move(0, n)
	l.from = max(min(l.from, l.Cursor, n-l.rows), l.Cursor-l.rows+1, 0)
	return l.from, max(min(l.from+l.rows, n), l.from)
}

// Hit returns the row of n that was drawn at a cell of the canvas.
func (l *List) Hit(x, y, n int) (int, bool) {
	if !l.shown.Contains(x, y) {
		return 0, false
	}
	i := l.from + y - l.shown.Y
	return i, i < n
}

// Row marks the row of a as selected, over all that was drawn on it: with the
// mark in its first cell, and in other colours.
func Row(a canvas.Area, y int, f *pane.Frame) {
	a.Select(y)
	a.Text(0, y, f.Glyphs.Selected, canvas.Of(themes.SelFg)|canvas.Selected)
}

// Words returns a text of package keys with characters that the terminal shows.
func Words(s string, f *pane.Frame) string {
	if f.Glyphs.ASCII {
		return keys.ASCII(s)
	}
	return s
}
