package tui

import (
	"time"

	tea "charm.land/bubbletea/v2"

	"adit/themes"
	"adit/tui/pane"
)

// themesEvery is how often the operator's themes are looked at for changes.
const themesEvery = 2 * time.Second

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

// themesMsg: the operator's themes were looked at.
type themesMsg struct {
	themes   *themes.Set
	problems []themes.Problem
	changed  bool
}

// watchThemes looks at the operator's themes off the loop, after a while; nil
// where there are none.
func (m *model) watchThemes() tea.Cmd {
	if m.o.ThemesDir == "" {
		return nil
	}
	set := m.themes
	return tea.Tick(themesEvery, func(time.Time) tea.Msg {
		next, problems, changed := set.Reload()
		return themesMsg{next, problems, changed}
	})
}

// reloaded takes what has changed of the themes.
func (m *model) reloaded(msg themesMsg) tea.Cmd {
	if msg.changed {
		m.themes = msg.themes
		for _, p := range msg.problems {
			m.say(pane.Say{Text: p.String(), Bad: !p.Warning})
		}
		m.useTheme(m.wantedTheme())
	}
	return m.watchThemes()
}
