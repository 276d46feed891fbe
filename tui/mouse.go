package tui

import (
	"time"

	tea "charm.land/bubbletea/v2"

	"adit/keys"
	"adit/tui/bars"
	"adit/tui/canvas"
	"adit/tui/pane"
)

const (
	doubleWithin = 400 * time.Millisecond
	mouseEvery   = 16 * time.Millisecond
)

// A mouse is what is remembered of it between its events.
type mouse struct {
	pressed bool // the left button, on the screen
	sliding bool // the left button, on the slider of a recording
	x, y    int  // of the last click
	clicked time.Time
	passed  time.Time // when a wheel or a motion was last let through
	wheel   int       // rows that were not let through; down is positive
	at      tea.Mouse // where the wheel was turned last
}

// filter merges the events of wheel and motion to one in 16 ms, so that keys do
// not queue behind them. It is for [tea.WithFilter] and runs on the loop.
func filter(of tea.Model, msg tea.Msg) tea.Msg {
	m, ok := of.(*model)
	if !ok {
		return msg
	}
	switch msg := msg.(type) {
	case tea.MouseWheelMsg:
		m.mouse.wheel += rows(msg)
		m.mouse.at = tea.Mouse(msg)
	case tea.MouseMotionMsg:
	default:
		return msg
	}
	now := m.now()
	if since := now.Sub(m.mouse.passed); since >= 0 && since < mouseEvery {
		return nil
	}
	m.mouse.passed = now
	return msg
}

// rows is what one event of a wheel scrolls.
func rows(msg tea.MouseWheelMsg) int {
	switch msg.Button {
	case tea.MouseWheelDown:
		return 3
	case tea.MouseWheelUp:
		return -3
	}
	return 0
}

// mouseEvent gives an event of the mouse to the overlay, the tabs or the screen.
func (m *model) mouseEvent(msg tea.MouseMsg) tea.Cmd {
	if m.noMouse {
		return nil
	}
	if len(m.overlays) > 0 {
		m.mouse.wheel, m.mouse.pressed, m.mouse.sliding = 0, false, false
		return m.overlay(msg)
	}
	at := msg.Mouse()
	switch msg.(type) {
	case tea.MouseClickMsg:
		if at.Button != tea.MouseLeft {
			return nil
		}
		if n := m.tabAt(at.X, at.Y); n >= 0 {
			m.goTo(n)
			return nil
		}
		if a, ok := m.footAt(at.X, at.Y); ok {
			return m.do(a)
		}
		if m.remote.player != nil && m.area != (canvas.Rect{}) && m.slider.Contains(at.X, at.Y) {
			m.mouse.sliding = true
			m.seekTo(at.X)
			return nil
		}
		double := at.X == m.mouse.x && at.Y == m.mouse.y && m.frame.Clock.Sub(m.mouse.clicked) <= doubleWithin
		m.mouse.x, m.mouse.y, m.mouse.clicked = at.X, at.Y, m.frame.Clock
		if !m.area.Contains(at.X, at.Y) {
			return nil
		}
		m.mouse.pressed = true
		kind := pane.Click
		if double {
			kind = pane.DoubleClick
			m.mouse.clicked = time.Time{} // a third click is the first again
		}
		return m.pointed(pane.Mouse{X: at.X, Y: at.Y, Kind: kind})
	case tea.MouseMotionMsg:
		if m.mouse.sliding {
			m.seekTo(at.X)
			return nil
		}
		if m.mouse.pressed {
			return m.pointed(pane.Mouse{X: at.X, Y: at.Y, Kind: pane.Drag})
		}
	case tea.MouseReleaseMsg:
		m.mouse.sliding = false
		if m.mouse.pressed {
			m.mouse.pressed = false
			return m.pointed(pane.Mouse{X: at.X, Y: at.Y, Kind: pane.Release})
		}
	case tea.MouseWheelMsg:
		return m.scrolled(at)
	}
	return nil
}

// scrolled has the screen scroll by what the wheel was turned since the last
// time.
func (m *model) scrolled(at tea.Mouse) tea.Cmd {
	amount := m.mouse.wheel
	m.mouse.wheel = 0
	if amount == 0 || len(m.overlays) > 0 || !m.area.Contains(at.X, at.Y) {
		return nil
	}
	return m.pointed(pane.Mouse{X: at.X, Y: at.Y, Kind: pane.Wheel, Amount: amount})
}

// footAt returns the action whose key the footer shows at a cell.
func (m *model) footAt(x, y int) (a keys.Action, ok bool) {
	f := &m.frame
	text, _, _ := m.notes.line()
	if y != f.Height-1 || text != "" || m.area == (canvas.Rect{}) || f.Class == pane.Tiny {
		return "", false
	}
	i := bars.FootAt(m.footWidth(), x, m.footHints())
	if i < 0 || i >= len(m.footing.does) {
		return "", false
	}
	return m.footing.does[i], true
}

func (m *model) pointed(at pane.Mouse) tea.Cmd {
	m.changed()
	return m.effect(m.top().Mouse(at, &m.frame))
}
