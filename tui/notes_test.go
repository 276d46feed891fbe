package tui

import (
	"testing"
	"time"

	"adit/tui/pane"
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
