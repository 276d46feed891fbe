package themes

import (
	"strconv"
	"strings"

	"github.com/charmbracelet/colorprofile"
)

// A Background is what is known of the terminal's background.
type Background uint8

// Backgrounds.
const (
	Unknown Background = iota
	Dark
	Light
)

// Values of the setting color.
const (
	ColorAuto   = "auto"
	ColorAlways = "always"
	ColorNever  = "never"
)

// A Terminal is what is known of the terminal before the first frame.
type Terminal struct {
	LookupEnv  func(name string) (string, bool)
	Color      string // the setting: ColorAuto ("" too), ColorAlways, ColorNever
	Background Background
}

// Profile returns how many colours may be shown: ColorNever wins, then
// ColorAlways, then a NO_COLOR that is not empty, whatever it says, then what the
// environment says of the terminal.
func (t Terminal) Profile() colorprofile.Profile {
	env := colorprofile.Env(t.environ())
	switch {
	case t.Color == ColorNever:
		return colorprofile.ASCII
	case t.Color == ColorAlways:
		return max(env, colorprofile.ANSI)
	case t.get("NO_COLOR") != "":
		return min(env, colorprofile.ASCII)
	}
	return env
}

// Theme returns the name of the theme for the name that is wanted: itself, or
// for "" and "auto" the one for the terminal's background and colours.
func (t Terminal) Theme(wanted string) string {
	p := t.Profile()
	switch {
	case p <= colorprofile.ASCII:
		return Mono
	case wanted != "" && wanted != Auto:
		return wanted
	case p == colorprofile.ANSI:
		return ANSI
	}
	background := t.Background
	if background == Unknown {
		background = t.environBackground()
	}
	if background == Light {
		return Daylight
	}
	return Midnight
}

// For returns what the theme looks like in a terminal with those colours: mono
// without any, with 16 what its file says of them, or else the terminal's own.
func (t *Theme) For(p colorprofile.Profile) *Theme {
	var other *Theme
	switch {
	case p == colorprofile.Unknown || p > colorprofile.ANSI || t.Mono || t.Name == ANSI:
		return t
	case p <= colorprofile.ASCII:
		other = mono()
	case t.few != nil:
		return t.few
	default:
		other = terminal()
	}
	other.Name, other.Light = t.Name, t.Light
	return other
}

// environBackground reads COLORFGBG ("15;0"), which some terminals set.
func (t Terminal) environBackground() Background {
	fields := strings.Split(t.get("COLORFGBG"), ";")
	if len(fields) < 2 {
		return Unknown
	}
	n, err := strconv.Atoi(fields[len(fields)-1])
	switch {
	case err != nil || n < 0 || n > 15:
		return Unknown
	case n == 7 || n > 8:
		return Light
	}
	return Dark
}

func (t Terminal) get(name string) string {
	if t.LookupEnv == nil {
		return ""
	}
	value, _ := t.LookupEnv(name)
	return value
}

// environ is the part of the environment that tells colours. NO_COLOR is not: the
// library takes only what strconv.ParseBool does.
func (t Terminal) environ() []string {
	var list []string
	for _, name := range []string{"TERM", "COLORTERM", "CLICOLOR", "CLICOLOR_FORCE", "TMUX", "STY",
		"WT_SESSION", "GOOGLE_CLOUD_SHELL", "ConEmuANSI", "TERM_PROGRAM"} {
		if t.LookupEnv == nil {
			break
		}
		if value, ok := t.LookupEnv(name); ok {
			list = append(list, name+"="+value)
		}
	}
	return list
}
