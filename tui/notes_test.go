package tui

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/tui/pane"
	"adit/tui/scene"
)

// A disk that is full fails every write with the same words.
func TestFaultThatComesAgainIsShownOnce(t *testing.T) {
	var n notes
	for range 5 {
		n.add(pane.Say{Text: "no space left", Bad: true}, time.Time{})
	}
	if text, bad, more := n.line(); text != "no space left" || !bad || more != 0 {
		t.Errorf("%q, bad %t, %d more", text, bad, more)
	}
}

// What came at the same moment was not seen: that the link is back, what another
// operator did, and the answer to a key.
func TestNewsWaitForOneAnother(t *testing.T) {
	var n notes
	now := time.Unix(0, 0)
	n.tell("back")
	n.tell("ana: kill c-1")
	n.add(pane.Say{Text: "copied"}, now)
	var seen []string
	for range 100 {
		n.expire(now)
		if text, _, _ := n.line(); len(seen) == 0 || seen[len(seen)-1] != text {
			seen = append(seen, text)
		}
		now = now.Add(100 * time.Millisecond)
	}
	if want := []string{"copied", "back", "ana: kill c-1", ""}; !slices.Equal(seen, want) {
		t.Errorf("%q, want %q", seen, want)
	}
	for i := range 3 * keptNews {
		n.tell(strconv.Itoa(i))
	}
	if len(n.news) != keptNews || n.news[0] != "0" || n.news[keptNews-1] != strconv.Itoa(3*keptNews-1) {
		t.Errorf("%q", n.news)
	}
}

// A flood of events that are not shown hides nothing else.
func TestLostEventsComeLast(t *testing.T) {
	var n notes
	now := time.Unix(100, 0)
	n.add(pane.Say{Text: "copied"}, now)
	n.lost(5, now)
	if text, _, _ := n.line(); text != "copied" {
		t.Errorf("%q", text)
	}
	now = now.Add(noteStays)
	n.expire(now)
	n.lost(2, now)
	if text, _, _ := n.line(); !strings.HasPrefix(text, "7 events not shown") {
		t.Errorf("%q", text)
	}
}

// Something is captured, whatever else there is to say.
func TestNoteBesideWhatIsCaptured(t *testing.T) {
	s := pictured(t, Options{}, scene.New(scene.Options{}), 100)
	s.fake.Update(func(x *engine.Snapshot) { x.Capture.Mode = engine.CaptureContent })
	s.at(120, 36)
	s.next()
	s.say(pane.Say{Text: "copied url, 17 B"})
	s.draw()
	if got := s.canvas.Plain(); !strings.Contains(got, "copied url") || !strings.Contains(got, "capturing") {
		t.Errorf("%s", got)
	}
}
