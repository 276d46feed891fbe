package tui

import (
	"context"
	"fmt"
	"strconv"
	"time"

	tea "charm.land/bubbletea/v2"

	"adit/tui/columns"
	"adit/tui/comparison"
	"adit/tui/confirm"
	"adit/tui/connection"
	"adit/tui/copying"
	"adit/tui/format"
	"adit/tui/inspector"
	"adit/tui/pane"
	"adit/tui/prompt"
)

const (
	// performFor bounds an action on the engine.
	performFor = 10 * time.Second
	// maxClipboard is what terminals take by OSC 52: 100,000 bytes of base64
	// with its frame.
	maxClipboard = 74_994
	maxOverlays  = 4
	// keepEvery is the shortest time between two writes of the memory.
	keepEvery = time.Second
	// keepAgain is how long after a write that failed the next one is tried.
	keepAgain = time.Minute
)

// performedMsg: what took time is over.
type performedMsg struct{ effect pane.Effect }

// leave is the effect of the dialogs before quitting and suspending.
type leave struct {
	pane.Effect
	suspend bool
}

// effect does what a screen or an overlay asks for.
func (m *model) effect(effect pane.Effect) tea.Cmd {
	f := &m.frame
	switch e := effect.(type) {
	case nil:
	case pane.GoTo:
		if n := screenOf(e.Screen); n >= 0 {
			m.shown = n
			m.levels[n] = m.levels[n][:1]
			if s, ok := m.top().(pane.Filtered); ok && e.Filter != "" {
				s.SetFilter(e.Filter)
			}
		}
	case pane.OpenConnection:
		m.open(level{connection.New(e.ID, e.From), levelConnection})
	case pane.OpenRequest:
		m.open(level{inspector.New(e.ID, e.From), levelRequest})
	case pane.OpenComparison:
		m.open(level{comparison.New(e.Original, e.Replay), levelComparison})
	case pane.Choose:
		return m.openOverlay(confirm.NewMenu(e))
	case pane.AskText:
		return m.openOverlay(confirm.NewText(e))
	case pane.GoBack:
		m.up()
	case pane.Ask:
		if why := m.forbidden(e.Action); why != "" {
			m.say(pane.Say{Text: why})
			break
		}
		return m.openOverlay(confirm.New(e, f))
	case pane.Say:
		m.say(e)
	case pane.CopyText:
		return m.copy(e)
	case pane.WriteFile:
		return m.openOverlay(confirm.NewFile(e, f))
	case pane.ChooseColumns:
		return m.openOverlay(columns.New(e))
	case pane.Run:
		return m.do(e.Action)
	case pane.UseTheme:
		return m.chooseTheme(e)
	case pane.EditFilter:
		if s, ok := m.top().(pane.Filtered); ok {
			return m.openOverlay(prompt.New(s, f))
		}
	case pane.Exec:
		return tea.ExecProcess(e.Command, func(err error) tea.Msg {
			if e.Done == nil {
				return performedMsg{}
			}
			return performedMsg{e.Done(err)}
		})
	case pane.Perform:
		return m.perform(e)
	case leave:
		if e.suspend {
			return tea.Suspend
		}
		m.finish(EndQuit, nil)
	}
	m.changed()
	return nil
}

func (m *model) say(s pane.Say) {
	if m.notes.add(s, m.frame.Clock) {
		m.frame.Events.Fault(s.Text, m.frame.Now)
	}
	m.dirty = true
}

// news says what nobody here asked for.
func (m *model) news(text string) {
	m.notes.tell(text)
	m.dirty = true
}

// openOverlay puts o on top of what is open; nil does nothing.
func (m *model) openOverlay(o pane.Overlay) tea.Cmd {
	if o == nil || len(m.overlays) == maxOverlays {
		return nil
	}
	m.overlays = append(m.overlays, o)
	m.changed()
	return nil
}

// operator is who this is at the engine.
func (m *model) operator() string {
	if name := m.remote.link.Name; name != "" {
		return name
	}
	return m.o.Operator
}

func (m *model) perform(e pane.Perform) tea.Cmd {
	m.acted = m.frame.Clock
	ctx, source, operator := m.ctx, m.feed.source, m.operator()
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(ctx, performFor)
		defer cancel()
		return performedMsg{e.Do(ctx, source, operator)}
	}
}

// copy puts text into the terminal's clipboard.
func (m *model) copy(e pane.CopyText) tea.Cmd {
	switch len(e.Choices) {
	case 0:
		m.say(pane.Say{Text: "nothing to copy"})
		return nil
	case 1:
	default:
		return m.openOverlay(copying.New(e))
	}
	c := e.Choices[0]
	if len(c.Text) > maxClipboard {
		m.say(pane.Say{Text: fmt.Sprintf("copy %s: %d bytes are more than a terminal takes (%d); write it to a file instead",
			c.Title, len(c.Text), maxClipboard), Bad: true})
		return nil
	}
	m.say(pane.Say{Text: "copied " + c.Title + ", " + strconv.Itoa(len(c.Text)) + " B"})
	return tea.SetClipboard(c.Text)
}

func (m *model) chooseTheme(e pane.UseTheme) tea.Cmd {
	if !m.useTheme(e.Name) {
		m.say(pane.Say{Text: "no theme " + strconv.Quote(e.Name)})
		return nil
	}
	if e.Keep {
		m.o.Theme = e.Name // also where an option said otherwise
		m.memory.Set("theme", e.Name)
	}
	return nil
}

// quit ends the dashboard, and asks before where that would end tunnels.
func (m *model) quit() tea.Cmd {
	if m.o.Remote || len(m.latest.Connections) == 0 {
		m.finish(EndQuit, nil)
		return nil
	}
	return m.openOverlay(confirm.NewQuestion(confirm.Question{
		Title: "Quit?",
		Lines: []string{"This stops " + m.stops() + ".", "Requests in flight may finish first."},
		Yes:   "quit", Effect: leave{},
	}, &m.frame))
}

// suspend stops the process as ctrl+z does in a shell, and asks before where
// that would stop tunnels.
func (m *model) suspend() tea.Cmd {
	if m.o.Remote {
		return tea.Suspend
	}
	return m.openOverlay(confirm.NewQuestion(confirm.Question{
		Title: "Suspend?",
		Lines: []string{"This freezes " + m.stops(), "until fg: the tunnel runs in this process."},
		Yes:   "suspend", Effect: leave{suspend: true},
	}, &m.frame))
}

// stops says what runs in this process.
func (m *model) stops() string {
	n, flying := len(m.latest.Connections), 0
	for i := range m.latest.Connections {
		flying += m.latest.Connections[i].InFlight
	}
	return format.Plural(n, "connection") + " with " + format.Plural(flying, "request") + " in flight"
}

// keptMsg: the memory was written.
type keptMsg struct{ err error }

// keep writes the memory off the loop, if there is something to write.
func (m *model) keep() tea.Cmd {
	if m.keeping || !m.memory.Changed() || m.frame.Clock.Before(m.keepAt) {
		return nil
	}
	m.keeping, m.keepAt = true, m.frame.Clock.Add(keepEvery)
	memory := m.memory
	return func() tea.Msg { return keptMsg{memory.Write()} }
}
