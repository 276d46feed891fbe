package keys

import (
	"slices"
	"strings"
	"unicode/utf8"

	"adit/keys/userfile"
)

// modifiers in the order in which Bubble Tea names them.
var modifiers = []string{"ctrl", "alt", "shift", "meta", "hyper", "super"}

// named are the keys with more than a character, as Bubble Tea names them.
var named = []string{"enter", "tab", "backspace", "esc", "space", "up", "down", "left", "right",
	"insert", "delete", "pgup", "pgdown", "home", "end", "begin", "pause", "menu", "printscreen",
	"f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "f9", "f10", "f11", "f12",
	"f13", "f14", "f15", "f16", "f17", "f18", "f19", "f20"}

// aliases are what people write for a name.
var aliases = map[string]string{"return": "enter", "escape": "esc", "pagedown": "pgdown", "pgdn": "pgdown",
	"pageup": "pgup", "del": "delete", "ins": "insert", "spacebar": "space", "bs": "backspace",
	"control": "ctrl", "option": "alt", "opt": "alt", "cmd": "super", "win": "super", "backtab": "shift+tab"}

// refused are keys that never arrive as themselves, with the reason.
var refused = map[string]string{
	"ctrl+h": "terminals send it for backspace",
	"ctrl+i": "terminals send it for tab",
	"ctrl+m": "terminals send it for enter",
	"ctrl+[": "terminals send it for esc",
	"ctrl+?": "terminals send it for backspace",
}

// taken are keys that work in some terminals only, with the reason.
var taken = map[string]string{
	"ctrl+s":    "flow control of some terminals takes it",
	"ctrl+q":    "flow control of some terminals takes it",
	"alt+enter": "some terminals take it for full screen",
	"ctrl+b":    "tmux takes it for itself",
	"ctrl+a":    "screen takes it for itself",
}

// normal returns the name that Bubble Tea has for a key as a person writes it:
// "Ctrl+P" is "ctrl+p", "shift+a" is "A", "pgdn" is "pgdown". nearest is a name
// that may be meant when there is none.
func normal(s string) (key, nearest string, ok bool) {
	if s == " " {
		return "space", "", true
	}
	s = strings.TrimSpace(s)
	if alias, ok := aliases[strings.ToLower(s)]; ok {
		s = alias
	}
	parts := strings.Split(s, "+")
	last := parts[len(parts)-1]
	if last == "" && strings.HasSuffix(s, "+") { // "+" or "ctrl++"
		last = "+"
		parts = strings.Split(strings.TrimSuffix(strings.TrimSuffix(s, "+"), "+"), "+")
		parts = append(parts, last)
		if parts[0] == "" {
			parts = parts[1:]
		}
	}
	var held [6]bool
	for _, m := range parts[:len(parts)-1] {
		m = strings.ToLower(m)
		if alias, ok := aliases[m]; ok {
			m = alias
		}
		i := slices.Index(modifiers, m)
		if i < 0 {
			return "", userfile.Nearest(m, modifiers) + "+" + last, false
		}
		held[i] = true
	}
	base := last
	if utf8.RuneCountInString(base) != 1 {
		base = strings.ToLower(base)
		if alias, ok := aliases[base]; ok {
			base = alias
		}
		if !slices.Contains(named, base) {
			return "", userfile.Nearest(base, named), false
		}
	} else if base == " " || !printable(base) {
		return "", "space", false
	}
	shift := slices.Index(modifiers, "shift")
	if len(base) == 1 && base[0] >= 'a' && base[0] <= 'z' && held[shift] && held == onlyShift() {
		return strings.ToUpper(base), "", true
	}
	if held != [6]bool{} && utf8.RuneCountInString(base) == 1 {
		base = strings.ToLower(base)
	}
	var b strings.Builder
	for i, m := range modifiers {
		if held[i] {
			b.WriteString(m + "+")
		}
	}
	return b.String() + base, "", true
}

func onlyShift() [6]bool { return [6]bool{2: true} }

func printable(s string) bool { return s == userfile.Printable(s) && utf8.ValidString(s) }

// label returns a key as people read it.
func label(key string, ascii bool) string {
	if key == "pgdown" {
		return "pgdn"
	}
	if ascii {
		return key
	}
	switch key {
	case "up":
		return "↑"
	case "down":
		return "↓"
	case "left":
		return "←"
	case "right":
		return "→"
	case "enter":
		return "↵"
	case "shift+tab":
		return "⇧tab"
	}
	return key
}
