package tui

import (
	_ "charm.land/bubbles/v2/textinput" // pins what the screens use
	_ "github.com/charmbracelet/x/vt"
)
