package tui

import (
	"adit/keys"
	"adit/themes"
	"adit/tui/configuration"
	"adit/tui/connections"
	"adit/tui/events"
	"adit/tui/overview"
	"adit/tui/pane"
	"adit/tui/requests"
)

// screenCount is how many screens have a number.
const screenCount = 5

// screenActions are the actions that show them, in order.
func screenActions() [screenCount]keys.Action {
	return [screenCount]keys.Action{keys.ScreenOverview, keys.ScreenConnections, keys.ScreenRequests,
		keys.ScreenEvents, keys.ScreenConfig}
}

// screenOf returns the number of the screen that an action shows, -1 if it shows
// none.
func screenOf(a keys.Action) int {
	for i, s := range screenActions() {
		if s == a {
			return i
		}
	}
	return -1
}

// newScreens returns the screens that have a number.
func newScreens(o Options, t themes.Terminal) [screenCount]pane.Screen {
	return [screenCount]pane.Screen{
		overview.New(),
		connections.New(),
		requests.New(),
		events.New(),
		configuration.New(configuration.Terminal{LookupEnv: o.LookupEnv, Set: o.KeySet, KeysFile: o.KeysFile,
			FPS: o.FPS, Inline: o.Inline, NoSync: o.NoSync, Profile: t.Profile().String()}),
	}
}

// maxLevels bounds how deep a screen goes: what lies between is forgotten.
const maxLevels = 16

// A level is a screen, or what was opened from one.
type level struct {
	screen pane.Screen
	kind   levelKind
}

type levelKind uint8

const (
	levelScreen levelKind = iota
	levelConnection
	levelRequest
	levelComparison
)

// top is what is shown.
func (m *model) top() pane.Screen { return m.topLevel().screen }

func (m *model) topLevel() level {
	l := m.levels[m.shown]
	return l[len(l)-1]
}

// goTo shows a screen as it was left; one that is shown, at its bottom.
func (m *model) goTo(n int) {
	if n == m.shown {
		m.levels[n] = m.levels[n][:1]
	}
	m.shown = n
	m.changed()
}

// open shows something of the screen that is shown. It takes the place of
// another of its kind: the next connection is not below the last one.
func (m *model) open(l level) {
	levels := m.levels[m.shown]
	switch {
	case m.topLevel().kind == l.kind:
		levels = levels[:len(levels)-1]
	case len(levels) == maxLevels:
		levels = append(levels[:1], levels[2:]...)
	}
	m.levels[m.shown] = append(levels, l)
	m.changed()
}

// up leaves what was opened and reports whether there was something.
func (m *model) up() bool {
	levels := m.levels[m.shown]
	if len(levels) == 1 {
		return false
	}
	levels[len(levels)-1] = level{}
	m.levels[m.shown] = levels[:len(levels)-1]
	m.changed()
	return true
}
