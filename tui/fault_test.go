package tui

import (
	"strings"
	"testing"

	"adit/tui/pane"
	"adit/tui/scene"
)

// A note is cut to the width of the footer; what was cut of it could be read
// nowhere.
func TestFaultIsInEventsInFull(t *testing.T) {
	s := pictured(t, Options{}, scene.New(scene.Options{}), 100).at(80, 24)
	text := "write /home/operator/.local/state/adit/dashboard.yaml: no space left on device"
	s.say(pane.Say{Text: text, Bad: true})
	s.say(pane.Say{Text: text, Bad: true}) // shown already
	s.say(pane.Say{Text: "copied"})
	found := 0
	for at := s.frame.Events.First(); at < s.frame.Events.Next(); at++ {
		if row := s.frame.Events.At(at); row.Source == "dashboard" && row.Text == text {
			found++
		}
	}
	if found != 1 {
		t.Errorf("it is in the events %d times", found)
	}
	s.press("4")
	s.draw()
	if screen := s.canvas.Plain(); !strings.Contains(screen, "ERR dashboard") {
		t.Errorf("%s", screen)
	}
}
