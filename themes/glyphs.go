package themes

import (
	"fmt"
	"runtime"
	"strings"
)

// Glyphs are the characters that are more than text.
type Glyphs struct {
	Name  string // "unicode", "block" (no braille) or "ascii"
	ASCII bool

	Idle, Busy, Draining, Closed, Connecting string // one cell each
	Selected, Marked, Failed                 string // one cell each
	Descending, Ascending, Cut               string // one cell each
	Paused, Following, Lost                  string // one cell each
	In, Out                                  string // arrows, one cell each
	Opened, Folded                           string // of a tree, one cell each
	Enter, ShiftTab, Arrow, Dot, Crumb       string // "↵", "⇧tab", "→", "·", "›"
	Ellipsis                                 string // after a command that asks: "…", "..."
	Times                                    string // "×", one cell
	Masked                                   string // "••••••••••"
	Cursor                                   string // of an input in a picture, one cell
	Normal, Focused                          Frame
	Bars                                     []string // one cell, from least to full; the first is for nearly nothing
	Axis                                     Axis     // of graphs
	Block                                    string   // a full cell
	Braille                                  bool     // graphs of 2x4 dots a cell
}

// A Frame is the lines around a pane, one cell each.
type Frame struct {
	TopLeft, Top, TopRight, Left, Right, BottomLeft, Bottom, BottomRight string
}

// An Axis is the lines of a graph, one cell each.
type Axis struct{ Vertical, Tick, Corner, Horizontal, Mark string }

// Unicode returns the glyphs for a terminal that can show all of them.
func Unicode() *Glyphs {
	return &Glyphs{
		Name: "unicode",
		Idle: "●", Busy: "▶", Draining: "‖", Closed: "×", Connecting: "◌",
		Selected: "▌", Marked: "✓", Failed: "!",
		Descending: "▼", Ascending: "▲", Cut: "…",
		Paused: "⏸", Following: "●", Lost: "⚠",
		In: "↓", Out: "↑",
		Opened: "▾", Folded: "▸",
		Enter: "↵", ShiftTab: "⇧tab", Arrow: "→", Dot: "·", Crumb: "›",
		Ellipsis: "…", Times: "×",
		Masked: "••••••••••", Cursor: "▏",
		Normal:  Frame{"╭", "─", "╮", "│", "│", "╰", "─", "╯"},
		Focused: Frame{"┏", "━", "┓", "┃", "┃", "┗", "━", "┛"},
		Bars:    []string{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"},
		Axis:    Axis{"│", "┤", "└", "─", "┴"},
		Block:   "█",
		Braille: true,
	}
}

// Block returns the glyphs for a font without braille.
func Block() *Glyphs {
	g := Unicode()
	g.Name, g.Braille = "block", false
	return g
}

// ASCII returns glyphs that every terminal has.
func ASCII() *Glyphs {
	return &Glyphs{
		Name: "ascii", ASCII: true,
		Idle: ".", Busy: ">", Draining: "=", Closed: "x", Connecting: "~",
		Selected: ">", Marked: "*", Failed: "!",
		Descending: "v", Ascending: "^", Cut: "~",
		Paused: "|", Following: "*", Lost: "!",
		In: "v", Out: "^",
		Opened: "-", Folded: "+",
		Enter: "enter", ShiftTab: "shift+tab", Arrow: "->", Dot: "-", Crumb: ">",
		Ellipsis: "...", Times: "x",
		Masked: "**********", Cursor: "_",
		Normal:  Frame{"+", "-", "+", "|", "|", "+", "-", "+"},
		Focused: Frame{"#", "=", "#", "#", "#", "#", "=", "#"},
		Bars:    []string{"_", ".", ":", "-", "=", "+", "*", "#"},
		Axis:    Axis{"|", "|", "+", "-", "+"},
		Block:   "#",
	}
}

// GlyphSets are the names of the sets.
func GlyphSets() []string { return []string{"unicode", "block", "ascii"} }

// GlyphsFor returns the set of that name; "" or "auto": unicode if the locale is
// UTF-8 and the terminal is neither the console of Linux nor dumb, ascii else.
func GlyphsFor(name string, lookupEnv func(string) (string, bool)) (*Glyphs, error) {
	switch name {
	case "unicode":
		return Unicode(), nil
	case "block":
		return Block(), nil
	case "ascii":
		return ASCII(), nil
	case "", Auto:
		if shows(lookupEnv) {
			return Unicode(), nil
		}
		return ASCII(), nil
	}
	return nil, fmt.Errorf("no glyphs %q; there are %s and auto", name, strings.Join(GlyphSets(), ", "))
}

// shows reports whether the terminal shows more than ASCII.
func shows(lookupEnv func(string) (string, bool)) bool {
	get := func(name string) string {
		if lookupEnv == nil {
			return ""
		}
		value, _ := lookupEnv(name)
		return value
	}
	if term := get("TERM"); term == "linux" || term == "dumb" {
		return false
	}
	if runtime.GOOS == "windows" {
		return true // its console has no locale in the environment
	}
	// The first that is set decides, as for setlocale(3).
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := get(name); value != "" {
			value = strings.ToLower(value)
			return strings.Contains(value, "utf-8") || strings.Contains(value, "utf8")
		}
	}
	return false
}
