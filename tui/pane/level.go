package pane

import (
	"adit/engine/observe"
	"adit/themes"
	"adit/tui/canvas"
)

// LevelWord returns the three letters of a level.
func LevelWord(l observe.Level) string {
	switch l {
	case observe.LevelDebug:
		return "DBG"
	case observe.LevelInfo:
		return "INF"
	case observe.LevelWarn:
		return "WRN"
	}
	return "ERR"
}

// LevelStyle returns the style of a level's word.
func LevelStyle(l observe.Level) canvas.Style {
	switch l {
	case observe.LevelDebug:
		return canvas.Of(themes.Muted)
	case observe.LevelInfo:
		return canvas.Of(themes.Info)
	case observe.LevelWarn:
		return canvas.Of(themes.Warn)
	}
	return canvas.Of(themes.Err)
}
