package tui

import (
	"time"

	tea "charm.land/bubbletea/v2"

	"adit/keys"
	"adit/themes"
	"adit/tui/format"
	"adit/tui/pane"
)

// looksEvery is how often the operator's themes and keys are looked at for changes.
const looksEvery = 2 * time.Second

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

// looksMsg: the operator's files were looked at.
type looksMsg struct {
	themes        *themes.Set
	keys          *keys.Map
	themeProblems []themes.Problem
	keyProblems   []keys.Problem
	themesChanged bool
	keysChanged   bool
}

// watchLooks looks at the operator's themes and keys off the loop, after a
// while; nil where there are none.
func (m *model) watchLooks() tea.Cmd {
	if m.o.ThemesDir == "" && m.o.KeysFile == "" {
		return nil
	}
	ctx, set, keymap := m.ctx, m.themes, m.frame.Keys
	return func() tea.Msg {
		later := time.NewTimer(looksEvery)
		defer later.Stop()
		select {
		case <-later.C:
		case <-ctx.Done():
			return nil
		}
		var msg looksMsg
		msg.themes, msg.themeProblems, msg.themesChanged = set.Reload()
		msg.keys, msg.keyProblems, msg.keysChanged = keymap.Reload()
		return msg
	}
}

// reloaded takes what has changed of themes and keys.
func (m *model) reloaded(msg looksMsg) tea.Cmd {
	if msg.themesChanged {
		m.themes = msg.themes
		for _, p := range msg.themeProblems {
			m.say(pane.Say{Text: p.String(), Bad: !p.Warning})
		}
		m.useTheme(m.wantedTheme())
	}
	if msg.keysChanged {
		m.frame.Keys, m.frame.Problems = msg.keys, msg.keyProblems
		m.say(keysSay(msg.keyProblems))
	}
	return m.watchLooks()
}

// keysSay says that the keys were read, and where what is wrong with them is
// shown.
func keysSay(problems []keys.Problem) pane.Say {
	if len(problems) == 0 {
		return pane.Say{Text: "keys: read again"}
	}
	return pane.Say{Text: format.Plural(len(problems), "problem") + " in the keys: ? shows them", Bad: true}
}
