package config

import "errors"

// Dashboard is how a run meets the terminal. It holds for every command that
// opens the dashboard.
type Dashboard struct {
	TUI        bool // open it whatever stdin and stdout are
	Plain      bool // line mode
	Inline     bool // without the alternate screen
	FPS        int  // of the renderer
	NoSync     bool // without synchronised output
	NoMouse    bool
	Color      string // auto, always, never
	Theme      string // a name, or auto
	Glyphs     string // auto, unicode, block, ascii
	Keys       string // name of a set of keys
	ReadOnly   bool   // no action on the engine
	KeepEngine bool   // a terminal that goes away does not end the run
}

// DashboardSettings defines the settings of the dashboard; each sets its field
// of d.
func DashboardSettings(d *Dashboard) []Setting {
	return []Setting{
		switchSetting(&d.TUI, "tui", "open the dashboard even if stdin or stdout is no terminal"),
		switchSetting(&d.Plain, "plain", "line mode: one line for each event, commands from stdin"),
		switchSetting(&d.Inline, "inline", "draw the dashboard below the prompt, not on a screen of its own"),
		numberSetting(&d.FPS, "fps", "30", "frames a second that the dashboard may draw; 15 costs least", 1, 120),
		switchSetting(&d.NoSync, "no-sync", "draw without synchronised output, for terminals that it confuses"),
		switchSetting(&d.NoMouse, "no-mouse", "leave the mouse to the terminal"),
		choiceSetting(&d.Color, "color", "auto", "colours of the dashboard; NO_COLOR is never", "auto", "always", "never"),
		textSetting(&d.Theme, "theme", "NAME", "auto", "theme of the dashboard; auto fits the terminal's background", notEmpty),
		choiceSetting(&d.Glyphs, "glyphs", "auto", "characters that the dashboard draws with", "auto", "unicode", "block", "ascii"),
		choiceSetting(&d.Keys, "keys", "vim+arrows", "set of keys; keys.yaml changes single ones", "vim+arrows", "emacs", "basic"),
		switchSetting(&d.ReadOnly, "read-only", "a dashboard that can only look"),
		switchSetting(&d.KeepEngine, "keep-engine", "go on headless when the dashboard's terminal goes away"),
	}
}

// Check reports what contradicts itself.
func (d *Dashboard) Check(headless bool) error {
	switch {
	case headless && d.TUI:
		return errors.New("--headless and --tui contradict each other; leave one out")
	case headless && d.Plain:
		return errors.New("--headless and --plain contradict each other; leave one out")
	case d.TUI && d.Plain:
		return errors.New("--tui and --plain contradict each other; leave one out")
	}
	return nil
}
