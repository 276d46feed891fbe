package confirm

import (
	"slices"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"adit/engine"
	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/overlay"
	"adit/tui/pane"
)

const (
	shownTargets = 5
	// countFrom is from how many targets on their number has to be typed.
	countFrom = 10
	// maxReason is what a closing handshake has room for beside the operator's
	// name (RFC 6455 §5.5.1), in characters.
	maxReason = 80
)

// A dialog stands before an action on the engine.
type dialog struct {
	ask    pane.Ask
	verb   verb
	opened time.Time
	count  string // digits that were typed
	reason overlay.Line
	typing bool // keys go to the reason

	buttons []canvas.Rect // where they were drawn
}

// New returns the dialog before what e asks for. It takes y, after a moment and,
// from ten targets on, after their number was typed; X drains instead of
// killing; r types a reason; esc, n or enter leaves everything as it is. What it
// lists and counts is always of the frame that it is drawn for.
func New(e pane.Ask, f *pane.Frame) pane.Overlay {
	if len(e.Clients) > 0 && (e.Action == keys.Kill || e.Action == keys.Drain) {
		e.Connections = append([]engine.ConnectionID(nil), e.Connections...)
		for i := range f.Snapshot.Connections {
			if c := &f.Snapshot.Connections[i]; slices.Contains(e.Clients, c.Client) {
				e.Connections = append(e.Connections, c.ID)
			}
		}
		e.Clients = nil
	}
	return &dialog{ask: e, verb: verbOf(e.Action), opened: f.Wall(), reason: overlay.NewLine(maxReason, "")}
}

// targets is how many things the action is done to.
func (d *dialog) targets() int {
	return len(d.ask.Connections) + len(d.ask.Clients) + len(d.ask.Requests) + len(d.ask.Replays)
}

// Update implements [pane.Overlay].
func (d *dialog) Update(msg tea.Msg, f *pane.Frame) (pane.Effect, bool) {
	switch msg := msg.(type) {
	case tea.PasteMsg:
		if d.typing {
			d.reason.Update(msg)
		}
	case tea.MouseClickMsg:
		for i, r := range d.buttons {
			if r.Contains(msg.X, msg.Y) {
				return d.choose(d.choices()[i], f)
			}
		}
	case tea.KeyPressMsg:
		return d.key(msg, f)
	}
	return nil, true
}

func (d *dialog) key(msg tea.KeyPressMsg, f *pane.Frame) (pane.Effect, bool) {
	key := msg.String()
	if d.typing {
		switch key {
		case "enter", "tab":
			d.typing = false
		case "esc":
			d.typing = false
			d.reason.Clear()
		default:
			d.reason.Update(msg)
		}
		return nil, true
	}
	switch key {
	case "esc", "n", "q", "enter":
		return d.choose(cancel, f)
	case "y":
		return d.choose(now, f)
	case "X":
		return d.choose(drain, f)
	case "r":
		d.typing = true
	case "backspace":
		d.count = d.count[:max(len(d.count)-1, 0)]
	default:
		if len(key) == 1 && key[0] >= '0' && key[0] <= '9' && len(d.count) < 6 {
			d.count += key
		}
	}
	return nil, true
}

// A choice is one of the dialog's buttons.
type choice uint8

const (
	cancel choice = iota
	drain
	now
)

// choices are those of the dialog, in the order of the buttons.
func (d *dialog) choices() []choice {
	if d.ask.Action == keys.Kill {
		return []choice{cancel, drain, now}
	}
	return []choice{cancel, now}
}

func (d *dialog) choose(c choice, f *pane.Frame) (pane.Effect, bool) {
	switch {
	case c == cancel:
		return nil, false
	case f.Wall().Sub(d.opened) < grace || d.counting() && c == now:
		return nil, true
	case c == drain && d.ask.Action != keys.Kill:
		return nil, true
	case !f.Stale.IsZero():
		return pane.Say{Text: "not while the engine does not answer"}, true
	}
	ask := d.ask
	if c == drain {
		ask.Action = keys.Drain
	}
	return pane.Perform{Do: act(ask, strings.TrimSpace(d.reason.Text()))}, false
}

// counting reports whether the number of targets has yet to be typed.
func (d *dialog) counting() bool {
	return d.targets() >= countFrom && d.count != strconv.Itoa(d.targets())
}

// Draw implements [pane.Overlay].
func (d *dialog) Draw(a canvas.Area, f *pane.Frame) (x, y int, cursor bool) {
	title := d.title()
	breaks := canvas.Wrap(d.verb.breaks(d, f), min(width, a.W())-4)
	rows := 2 // the buttons and a row before them
	if d.targets() >= countFrom {
		rows++
	}
	rows++ // the reason
	room := overlay.Room(a).H() - 2 - rows - len(breaks)
	shown := min(d.targets(), shownTargets, max(room-2, 0))
	more := d.targets() - shown
	list := shown
	if more > 0 {
		list++
	}
	if d.ask.Hidden > 0 {
		list++
	}
	if list > 0 {
		list++ // a row after them
	}
	in := box(a, f, title, list+len(breaks)+rows)
	row := 0
	for i := range shown {
		d.target(in, row, i, f)
		row++
	}
	if more > 0 {
		in.Cut(1, row, in.W()-2, "and "+strconv.Itoa(more)+" more", f.Glyphs.Cut, canvas.Of(themes.Muted))
		row++
	}
	if d.ask.Hidden > 0 {
		in.Cut(1, row, in.W()-2, strconv.Itoa(d.ask.Hidden)+" of these marked but hidden by the filter",
			f.Glyphs.Cut, canvas.Of(themes.Warn)|canvas.Bold)
		row++
	}
	if list > 0 {
		row++
	}
	for _, line := range breaks {
		in.Text(1, row, line, canvas.Of(themes.Fg))
		row++
	}
	if d.targets() >= countFrom {
		end := in.Text(1, row, "type "+strconv.Itoa(d.targets())+" to "+d.verb.word+": ", canvas.Of(themes.Warn))
		end = in.Text(end, row, d.count, canvas.Of(themes.Fg)|canvas.Bold)
		x, y, cursor = in.Bounds().X+end, in.Bounds().Y+row, true
		row++
	}
	if x2, drawn := d.drawReason(in, row, f); drawn {
		x, y, cursor = in.Bounds().X+x2, in.Bounds().Y+row, true
	}
	d.buttons = buttons(in, in.H()-1, d.faces()...)
	return x, y, cursor
}

// drawReason draws the row of the reason and returns the column of the cursor
// while it is typed.
func (d *dialog) drawReason(in canvas.Area, row int, f *pane.Frame) (column int, typing bool) {
	value := d.reason.Text()
	if !d.typing && value == "" {
		in.Cut(1, row, in.W()-2, "r adds a reason to the event", f.Glyphs.Cut, canvas.Of(themes.Muted))
		return 0, false
	}
	end := in.Text(1, row, "reason: ", canvas.Of(themes.Muted))
	return d.reason.Draw(in, end, row, max(in.W()-1-end, 1), canvas.Of(themes.Fg)), d.typing
}

func (d *dialog) faces() []button {
	now := button{d.verb.button + " (y)", themes.Err}
	if d.counting() {
		now.role = themes.Muted
	}
	if d.ask.Action == keys.Kill {
		return []button{{"[ Cancel ]", themes.Accent}, {"drain first (X)", themes.Fg}, now}
	}
	return []button{{"[ Cancel ]", themes.Accent}, now}
}

// Hints implements [pane.Overlay].
func (d *dialog) Hints(*pane.Frame) []pane.Hint {
	if d.typing {
		return []pane.Hint{{Key: "enter", Text: "keep the reason"}, {Key: "esc", Text: "no reason"}}
	}
	hints := []pane.Hint{{Key: "esc", Text: "cancel (default)"}, {Key: "y", Text: d.verb.button}}
	if d.ask.Action == keys.Kill {
		hints = append(hints, pane.Hint{Key: "X", Text: "drain then close"})
	}
	return append(hints, pane.Hint{Key: "r", Text: "reason"})
}
