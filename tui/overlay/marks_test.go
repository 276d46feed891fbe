package overlay_test

import (
	"strings"
	"testing"

	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/palette"
)

// The palette offered to kill without saying that marks decide whom.
func TestPaletteSaysHowManyAreMarked(t *testing.T) {
	f := frame(t, 120, 36, themes.Unicode(), "")
	o := palette.New(f, palette.Options{Contexts: []keys.Context{keys.Connections, keys.List}, Marks: 2})
	for _, name := range []string{"k", "i", "l", "l"} {
		o.Update(key(name), f)
	}
	c := canvas.New()
	c.Resize(120, 36)
	o.Draw(c.Area(), f)
	for line := range strings.Lines(c.Plain()) {
		if strings.Contains(line, "kill… (asks)") && strings.Contains(line, " x ") {
			if !strings.Contains(line, "2 marked") {
				t.Errorf("%s", line)
			}
			return
		}
	}
	t.Errorf("no line for kill:\n%s", c.Plain())
}
