package tui

import (
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"adit/engine"
	"adit/keys"
	"adit/tui/pane"
)

// interruptWithin is how soon ctrl+c has to be pressed again.
const interruptWithin = 2 * time.Second

// key does what a key asks for: the topmost overlay takes all of them but
// ctrl+c, else the innermost context that binds it says what it means.
func (m *model) key(msg tea.KeyPressMsg) tea.Cmd {
	name := msg.String()
	if name == "ctrl+c" {
		return m.interrupted()
	}
	if len(m.overlays) > 0 {
		return m.overlay(msg)
	}
	contexts := m.contexts()
	// A key may come before the first size.
	card := m.frame.Class == pane.Tiny && m.frame.Width > 0
	if card {
		contexts = slices.DeleteFunc(contexts, func(c keys.Context) bool { return c != keys.Play && c != keys.Lost })
	}
	action, ok := m.frame.Keys.Find(name, append(contexts[:len(contexts):len(contexts)], keys.Everywhere)...)
	if !ok || card && !onCard(action) {
		return nil
	}
	return m.do(action)
}

// onCard reports whether an action is there on a terminal that is too small for
// the screens: what is not seen is not acted on.
func onCard(a keys.Action) bool {
	switch a {
	case keys.Quit, keys.Help, keys.Acknowledge, keys.Redraw, keys.Suspend, keys.Retry:
		return true
	}
	return a == keys.Pause || keys.Of(a).In(keys.Play) && !keys.Of(a).In(keys.Everywhere)
}

// overlay gives a message to the topmost overlay.
func (m *model) overlay(msg tea.Msg) tea.Cmd {
	n := len(m.overlays) - 1
	effect, open := m.overlays[n].Update(msg, &m.frame)
	if !open { // before its effect, which may open another one
		m.overlays[n] = nil
		m.overlays = m.overlays[:n]
	}
	m.changed()
	return m.effect(effect)
}

// interrupted is ctrl+c: twice ends the run, whatever is open.
func (m *model) interrupted() tea.Cmd {
	if now := m.frame.Clock; !m.asked.IsZero() && now.Sub(m.asked) <= interruptWithin {
		m.finish(EndQuit, nil)
		return nil
	}
	m.asked = m.frame.Clock
	text := "ctrl+c again ends the run"
	if m.o.Remote {
		text = "ctrl+c again leaves"
	}
	m.say(pane.Say{Text: text})
	return nil
}

// paste gives pasted text to the topmost overlay. It is never taken for keys.
func (m *model) paste(msg tea.PasteMsg) tea.Cmd {
	if len(m.overlays) == 0 {
		m.say(pane.Say{Text: "pasted text goes into a filter: open it first"})
		return nil
	}
	return m.overlay(msg)
}

// do does what an action is, wherever it was asked for.
func (m *model) do(a keys.Action) tea.Cmd {
	f := &m.frame
	if why := m.forbidden(a); why != "" {
		m.say(pane.Say{Text: why})
		return nil
	}
	m.changed()
	if n := screenOf(a); n >= 0 {
		m.goTo(n)
		return nil
	}
	if m.play(a) {
		return nil
	}
	if cmd, ok := m.capture(a); ok {
		return cmd
	}
	switch a {
	case keys.Retry:
		if m.remote.linked != nil {
			m.remote.linked.Retry()
		}
		return nil
	case keys.Details:
		if m.frame.Link != nil {
			return m.openOverlay(&linkBox{m})
		}
	case keys.Quit:
		return m.quit()
	case keys.Suspend:
		return m.suspend()
	case keys.Help:
		return m.openOverlay(m.help())
	case keys.Palette:
		return m.openOverlay(m.palette())
	case keys.Theme:
		return m.openOverlay(m.pickTheme())
	case keys.Mouse:
		m.noMouse = !m.noMouse
		m.say(pane.Say{Text: "mouse " + onOff(!m.noMouse)})
		return nil
	case keys.Redraw:
		return tea.ClearScreen
	case keys.UTC:
		f.UTC = !f.UTC
		m.memory.Set("utc", map[bool]string{true: "yes", false: ""}[f.UTC])
		return nil
	case keys.Acknowledge:
		if !m.notes.acknowledge() {
			m.say(pane.Say{Text: "no errors to acknowledge"})
		}
		return nil
	case keys.Pause:
		m.pause(!f.Paused)
		return nil
	case keys.Follow:
		m.pause(false)
	case keys.Back:
		return m.back()
	case keys.DrainAll:
		return m.effect(pane.Ask{Action: a})
	}
	effect, handled := m.top().Do(a, f)
	if handled {
		return m.effect(effect)
	}
	if _, ok := m.top().(pane.Filtered); ok && a == keys.Filter {
		return m.effect(pane.EditFilter{})
	}
	// A key that does nothing says why.
	why := m.off(a)
	if info := keys.Of(a); why == "" && info.Group != keys.GroupMove && a != keys.Follow {
		why = "not here"
	}
	if why != "" {
		m.say(pane.Say{Text: keys.Of(a).Short + ": " + why})
	}
	return nil
}

// forbidden says why an action on the engine is not possible now.
func (m *model) forbidden(a keys.Action) string {
	info := keys.Of(a)
	switch {
	case !info.Mutating:
		return ""
	case m.frame.Playback != nil:
		return info.Short + ": " + engine.ErrRecorded.Error()
	case m.o.ReadOnly:
		return info.Short + ": not with --read-only"
	case m.frame.ReadOnly:
		return info.Short + ": not with a token that may only look"
	case m.connecting():
		return info.Short + ": not before the engine has answered"
	case m.frame.Link != nil && m.frame.Link.Lost:
		return info.Short + ": not while the link is lost"
	case !m.frame.Stale.IsZero():
		return info.Short + ": not while the engine does not answer"
	}
	return ""
}

// off says why an action is not possible now, for the palette.
func (m *model) off(a keys.Action) string {
	if why := m.forbidden(a); why != "" {
		_, why, _ = strings.Cut(why, ": ")
		return why
	}
	switch a {
	case keys.Quit, keys.Suspend, keys.Help, keys.Palette, keys.Theme, keys.Mouse, keys.Redraw, keys.UTC,
		keys.Pause, keys.Follow, keys.Back, keys.DrainAll:
		return ""
	case keys.Retry, keys.Details:
		switch {
		case m.remote.linked == nil:
			return "the engine is in this process"
		case a == keys.Retry && !m.remote.link.Lost:
			return "the link is not lost"
		}
		return ""
	case keys.Acknowledge:
		if len(m.notes.faults) == 0 {
			return "no errors"
		}
		return ""
	case keys.Filter:
		if _, ok := m.top().(pane.Filtered); ok {
			return ""
		}
	}
	if screenOf(a) >= 0 {
		return ""
	}
	info := keys.Of(a)
	if !info.In(keys.Everywhere) && !slices.ContainsFunc(m.contexts(), info.In) {
		return "not on this screen"
	}
	switch a {
	case keys.CaptureClient, keys.CapturePath:
		return m.offCapture(a)
	case keys.CaptureContent, keys.CaptureHeads, keys.CaptureOff:
		return ""
	}
	if info.In(keys.Play) && !info.In(keys.Everywhere) {
		return ""
	}
	return m.top().Off(a, &m.frame)
}

// back leaves one thing: a filter, what the screen has (marks), what was opened.
func (m *model) back() tea.Cmd {
	f := &m.frame
	if s, ok := m.top().(pane.Filtered); ok && s.Filter() != "" {
		s.SetFilter("")
		return nil
	}
	if effect, handled := m.top().Do(keys.Back, f); handled {
		return m.effect(effect)
	}
	if !m.up() && f.Paused {
		m.pause(false)
	}
	return nil
}

// pause makes the screen stand still, or go on.
func (m *model) pause(on bool) {
	f := &m.frame
	if on == f.Paused {
		return
	}
	f.Paused, f.Until, f.EventsUntil = on, 0, 0
	if on {
		f.Until = m.newest
		if s, ok := m.top().(pane.Listing); ok {
			f.Until = max(f.Until, s.Newest())
		}
		f.EventsUntil = f.Events.Next()
		f.Meter = m.meter.Copy()
		m.rows.Update(f.Snapshot, f.Meter) // histories are summed of the meter that stands still
		return
	}
	m.show()
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}
