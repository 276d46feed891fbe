package vitals

import (
	"strings"
	"testing"

	"adit/engine"
	"adit/engine/observe"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/golden"
	"adit/tui/pane"
	"adit/tui/scene"
)

func hints() []pane.Hint { return []pane.Hint{{Key: "q", Text: "quit"}, {Key: "?", Text: "help"}} }

func TestCardAsPictured(t *testing.T) {
	f := scene.New(scene.Options{}).Frame(34, 9)
	c, card := canvas.New(), new(Card)
	draw := func(name string, w, h int, status, note string) {
		c.SetASCII(f.Glyphs.ASCII)
		c.Resize(w, h)
		card.Draw(c.Area(), f, status, note, hints())
		golden.Equal(t, name, c)
	}
	draw("34x9", 34, 9, "LIVE", "")
	draw("34x9-paused", 34, 9, "⏸ PAUSED +2,311", "kill c-31: already closed")
	draw("59x14", 59, 14, "LIVE", "")
	draw("20x4", 20, 4, "STALE 17s", "")
	f.Glyphs = themes.ASCII()
	draw("34x9-ascii", 34, 9, "LIVE", "")
}

func TestSizeThatPanics(t *testing.T) {
	full := scene.New(scene.Options{}).Frame(1, 1)
	empty := &pane.Frame{Glyphs: themes.Unicode(), Snapshot: new(engine.Snapshot), Meter: observe.NewMeter(), Rows: new(pane.Rows)}
	c, card := canvas.New(), new(Card)
	for _, f := range []*pane.Frame{full, empty} {
		for w := range 62 {
			for h := range 17 {
				c.Resize(w, h)
				card.Draw(c.Area(), f, "STALE 17s", "", hints())
				for line := range strings.Lines(c.Plain()) {
					if n := canvas.Width(strings.TrimSuffix(line, "\n")); n != w {
						t.Fatalf("%dx%d: row of %d", w, h, n)
					}
				}
			}
		}
	}
}

func TestUnknownRoundTripThatIsInvented(t *testing.T) {
	f := &pane.Frame{Glyphs: themes.Unicode(), Snapshot: new(engine.Snapshot), Meter: observe.NewMeter(), Rows: new(pane.Rows)}
	c := canvas.New()
	c.Resize(34, 9)
	new(Card).Draw(c.Area(), f, "LIVE", "", hints())
	if got := c.Plain(); !strings.Contains(got, "rtt p95 unknown") || strings.Contains(got, "req") {
		t.Errorf("got\n%s", got)
	}
}
