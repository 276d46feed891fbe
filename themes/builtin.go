package themes

import (
	"image/color"
	"slices"

	"charm.land/lipgloss/v2"
)

// Names of built-in themes that are chosen for a terminal.
const (
	Auto     = "auto" // midnight or daylight by the background
	Midnight = "midnight"
	Daylight = "daylight"
	ANSI     = "terminal" // the 16 colours of the terminal's palette
	Mono     = "mono"     // no colour at all
)

// A palette is the colours of a theme, as hex numbers; "" takes the one that it
// is made from.
type palette struct {
	name                              string
	light, paints                     bool
	bg, fg, muted, border             string
	accent, ok, warn, err, info       string
	sel                               string
	focus, selFg, mark, in, out, over string
}

func palettes() []palette {
	return []palette{
		{name: Midnight, bg: "#0f1420", fg: "#d7dce8", muted: "#8b95ab", border: "#5f6b85", accent: "#6cb6ff", ok: "#5fd38d", warn: "#f0b429", err: "#ff7b86", info: "#7dcfff", sel: "#24304a", selFg: "#ffffff", over: "#0b0f18"},
		{name: Daylight, light: true, bg: "#ffffff", fg: "#1c2330", muted: "#5a6475", border: "#7b8596", accent: "#0550ae", ok: "#116b35", warn: "#7a4b00", err: "#b3162c", info: "#0b6083", sel: "#dbe7f7", over: "#f6f8fb"},
		{name: "contrast-dark", paints: true, bg: "#000000", fg: "#ffffff", muted: "#c8c8c8", border: "#ffffff", accent: "#6ff2ff", ok: "#5cff8f", warn: "#ffd84d", err: "#ff9aa2", info: "#9ad7ff", sel: "#1f3a66", over: "#000000"},
		{name: "contrast-light", light: true, paints: true, bg: "#ffffff", fg: "#000000", muted: "#404040", border: "#000000", accent: "#00358a", ok: "#00501e", warn: "#5c3900", err: "#8c0018", info: "#003f5c", sel: "#c9dcff", over: "#ffffff"},
		{name: "cvd", bg: "#101418", fg: "#e6e6e6", muted: "#9aa4ad", border: "#68737d", accent: "#56b4e9", ok: "#56b4e9", warn: "#f0e442", err: "#e69f00", info: "#cc79a7", sel: "#26323c", selFg: "#ffffff", over: "#0b0e11", in: "#f0e442", out: "#56b4e9"},
		{name: "nord", bg: "#2e3440", fg: "#eceff4", muted: "#a3adbf", border: "#7b88a1", accent: "#88c0d0", ok: "#a3be8c", warn: "#ebcb8b", err: "#e08e96", info: "#81a1c1", sel: "#434c5e", over: "#292e39"},
		{name: "gruvbox-dark", bg: "#282828", fg: "#ebdbb2", muted: "#a89984", border: "#8a7d70", accent: "#83a598", ok: "#b8bb26", warn: "#fabd2f", err: "#fb6a56", info: "#8ec07c", sel: "#3c3836", over: "#1d2021"},
		{name: "solarized-light", light: true, bg: "#fdf6e3", fg: "#3b4f56", muted: "#586e75", border: "#7d8f94", accent: "#1a6aa6", ok: "#5c6b00", warn: "#8a6500", err: "#b8231f", info: "#14655f", sel: "#eee8d5", selFg: "#1c2b31", over: "#fffaee"},
		{name: "dracula", bg: "#282a36", fg: "#f8f8f2", muted: "#a4abc8", border: "#7b84aa", accent: "#bd93f9", ok: "#50fa7b", warn: "#f1fa8c", err: "#ff8080", info: "#8be9fd", sel: "#44475a", over: "#21222c"},
	}
}

// Builtin returns the built-in themes, the default first.
func Builtin() []*Theme {
	list := palettes()
	all := make([]*Theme, 0, len(list)+2)
	for _, p := range list {
		all = append(all, p.theme())
	}
	return append(all, terminal(), mono())
}

// ByName returns a built-in theme.
func ByName(name string) (*Theme, bool) {
	all := Builtin()
	i := slices.IndexFunc(all, func(t *Theme) bool { return t.Name == name })
	if i < 0 {
		return nil, false
	}
	return all[i], true
}

func (p palette) theme() *Theme {
	or := func(s, other string) color.Color {
		if s == "" {
			s = other
		}
		return lipgloss.Color(s)
	}
	t := &Theme{Name: p.name, Light: p.light, Paints: p.paints, Nominal: lipgloss.Color(p.bg)}
	t.looks = [Roles]Look{
		Fg:          {Color: or(p.fg, "")},
		Muted:       {Color: or(p.muted, "")},
		Border:      {Color: or(p.border, "")},
		BorderFocus: {Color: or(p.focus, p.accent)},
		Accent:      {Color: or(p.accent, "")},
		OK:          {Color: or(p.ok, "")},
		Warn:        {Color: or(p.warn, "")},
		Err:         {Color: or(p.err, "")},
		Info:        {Color: or(p.info, "")},
		SelBg:       {Color: or(p.sel, "")},
		SelFg:       {Color: or(p.selFg, p.fg)},
		Mark:        {Color: or(p.mark, p.warn), Bold: true},
		GraphIn:     {Color: or(p.in, p.info)},
		GraphOut:    {Color: or(p.out, p.ok)},
		Title:       {Color: or(p.fg, ""), Bold: true},
		OverlayBg:   {Color: or(p.over, "")},
	}
	return t
}

// terminal takes the palette of the terminal, whatever its background is: the
// colours that are readable on both, and reverse for what is selected.
func terminal() *Theme {
	at := func(i string) color.Color { return lipgloss.Color(i) }
	t := &Theme{Name: ANSI}
	t.looks = [Roles]Look{
		Muted:       {Faint: true},
		Border:      {Faint: true},
		BorderFocus: {Color: at("6")},
		Accent:      {Color: at("6")},
		OK:          {Color: at("2")},
		Warn:        {Color: at("3")},
		Err:         {Color: at("1"), Bold: true},
		Info:        {Color: at("4"), Bold: true},
		SelBg:       {Reverse: true},
		Mark:        {Color: at("5"), Bold: true},
		GraphIn:     {Color: at("6")},
		GraphOut:    {Color: at("2")},
		Title:       {Bold: true},
	}
	return t
}

// mono has no colours: what matters is bold, what does not is faint.
func mono() *Theme {
	t := &Theme{Name: Mono, Mono: true}
	t.looks = [Roles]Look{
		Muted:       {Faint: true},
		Border:      {Faint: true},
		BorderFocus: {Bold: true},
		Accent:      {Bold: true},
		Warn:        {Underline: true},
		Err:         {Bold: true, Underline: true},
		SelBg:       {Reverse: true},
		Mark:        {Bold: true},
		GraphIn:     {Faint: true},
		Title:       {Bold: true},
	}
	return t
}
