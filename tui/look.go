package tui

import (
	"adit/themes"
)

// terminal is what is known of the terminal now.
func (m *model) terminal() themes.Terminal {
	return themes.Terminal{LookupEnv: m.o.LookupEnv, Color: m.o.Color, Background: m.background}
}

// wantedTheme is the name of the theme that was asked for, for this run or for
// good.
func (m *model) wantedTheme() string {
	if m.o.Theme != "" && m.o.Theme != themes.Auto {
		return m.o.Theme
	}
	return m.memory.Get("theme")
}

// useTheme shows the theme of that name, "" the one for the terminal, and
// reports whether there is such a theme.
func (m *model) useTheme(name string) bool {
	t := m.terminal()
	theme, ok := m.themes.ByName(t.Theme(name))
	if !ok {
		theme, _ = m.themes.ByName(t.Theme(themes.Auto))
	}
	if theme = theme.For(t.Profile()); theme != m.frame.Theme {
		m.frame.Theme = theme
		m.dirty = true
	}
	return ok
}
