package tui

import (
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"adit/tui/scene"
)

// What the footer shows can be clicked: without it there was no way to kill, to
// follow or to leave by mouse alone.
func TestFooterCanBeClicked(t *testing.T) {
	s := pictured(t, Options{}, scene.New(scene.Options{}), 100).at(120, 36)
	s.draw()
	lines := strings.Split(s.canvas.Plain(), "\n")
	foot := lines[35]
	for _, test := range []struct{ text, shows string }{{"kill", "Kill "}, {"help", "Help"}} {
		at := len([]rune(foot[:strings.Index(foot, test.text)]))
		s.mouseEvent(tea.MouseClickMsg{X: at, Y: 35, Button: tea.MouseLeft})
		s.next()
		s.draw()
		if text := s.canvas.Plain(); !strings.Contains(text, "━ "+test.shows) {
			t.Fatalf("a click on %q shows no %q:\n%s", test.text, test.shows, text)
		}
		s.press("esc")
	}
	if _, ok := s.footAt(119, 35); ok {
		t.Error("an action where the footer is blank")
	}
	if _, ok := s.footAt(3, 34); ok {
		t.Error("an action above the footer")
	}
}
