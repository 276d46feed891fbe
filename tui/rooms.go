package tui

import (
	"adit/engine"
	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/configuration"
	"adit/tui/events"
	"adit/tui/inspector"
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

// rooms make what the dashboard is composed of.
type rooms struct {
	screens    [screenCount]pane.Screen
	connection func(engine.ConnectionID) pane.Screen
	request    func(engine.RequestID, pane.Sequence) pane.Screen
}

func newRooms(o Options, t themes.Terminal) rooms {
	var r rooms
	for i, name := range []string{"Overview", "Connections", "Requests", "Events", "Config"} {
		r.screens[i] = &bare{title: name}
	}
	r.screens[2] = requests.New()
	r.screens[3] = events.New()
	r.screens[4] = configuration.New(configuration.Terminal{LookupEnv: o.LookupEnv, Set: o.KeySet, KeysFile: o.KeysFile,
		FPS: o.FPS, Inline: o.Inline, NoSync: o.NoSync, Profile: t.Profile().String()})
	r.connection = func(id engine.ConnectionID) pane.Screen { return &bare{title: id.String()} }
	r.request = func(id engine.RequestID, from pane.Sequence) pane.Screen { return inspector.New(id, from) }
	return r
}

// bare is a screen without anything on it.
type bare struct{ title string }

func (b *bare) Contexts(*pane.Frame) []keys.Context { return nil }
func (b *bare) Crumbs(*pane.Frame) []string         { return nil }
func (b *bare) Status(*pane.Frame) string           { return "" }
func (b *bare) Hints(*pane.Frame) []keys.Action     { return nil }
func (b *bare) Wants(*pane.Frame) []pane.Want       { return nil }
func (b *bare) Draw(a canvas.Area, f *pane.Frame) {
	a.Box(canvas.Box{Title: b.title, Focused: true, Glyphs: f.Glyphs})
}
func (b *bare) Do(keys.Action, *pane.Frame) (pane.Effect, bool) { return nil, false }
func (b *bare) Off(keys.Action, *pane.Frame) string             { return "not here" }
func (b *bare) Mouse(pane.Mouse, *pane.Frame) pane.Effect       { return nil }

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
