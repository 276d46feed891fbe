package tui

import (
	"slices"

	"adit/tui/help"
	"adit/tui/palette"
	"adit/tui/pane"
	"adit/tui/prompt"
	"adit/tui/themepicker"
)

// titles are the names of the screens.
func titles() [screenCount]string {
	return [screenCount]string{"Overview", "Connections", "Requests", "Events", "Config"}
}

func (m *model) help() pane.Overlay {
	return help.New(titles()[m.shown], m.contexts()...)
}

func (m *model) palette() pane.Overlay {
	marks := 0
	if s, ok := m.top().(interface{ Marks() int }); ok {
		marks = s.Marks()
	}
	return palette.New(&m.frame, palette.Options{
		Marks:    marks,
		Contexts: slices.Clone(m.contexts()),
		Off:      m.off,
		Saved:    prompt.AllSaved(m.memory),
		Themes:   m.themes.Names(),
	})
}

func (m *model) pickTheme() pane.Overlay {
	return themepicker.New(m.wantedTheme(), m.themes.Themes())
}
