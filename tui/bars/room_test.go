package bars

import (
	"strings"
	"testing"

	"adit/tui/canvas"
	"adit/tui/scene"
)

// A long name or a long address pushed the share of failed requests off the row:
// the numbers are what an operator looks at.
func TestNumbersStandBeforeTheWordsAroundThem(t *testing.T) {
	for _, test := range []struct {
		name, listen string
		w, h         int
	}{
		{"edge-1", ":8080", 100, 30},
		{"edge-1", ":8080", 120, 36},
		{"ip-10-0-3-117.eu-central-1.compute.internal", "127.0.0.1:18080", 100, 30},
		{"ip-10-0-3-117.eu-central-1.compute.internal", "127.0.0.1:18080", 120, 36},
		{"ip-10-0-3-117.eu-central-1.compute.internal", "127.0.0.1:18080", 80, 24},
	} {
		f := scene.New(scene.Options{}).Frame(test.w, test.h)
		f.Snapshot.Name, f.Snapshot.Listen = test.name, []string{test.listen}
		row, _, _ := strings.Cut(rows(f, Tabs{Names: names()}), "\n")
		for _, word := range []string{" conns", "↓", "↑", " rq/s", "5xx ", "%", "15:04:12"} {
			if !strings.Contains(row, word) {
				t.Errorf("%dx%d lacks %q: %s", test.w, test.h, word, row)
			}
		}
	}
}

// The palette leads to everything that the footer has no room for.
func TestFooterKeepsHelpAndPalette(t *testing.T) {
	for w := range 130 {
		c := canvas.New()
		c.Resize(w, 1)
		Foot(c.Area(), hints())
		row := c.Plain()
		if w >= 8 && !strings.Contains(row, "? help") {
			t.Errorf("%d: %q", w, row)
		}
		if w >= paletteFrom && !strings.Contains(row, ": cmd  ? help") {
			t.Errorf("%d: %q", w, row)
		}
	}
}
