package overlay_test

import (
	"fmt"
	"testing"

	"adit/keys"
	"adit/themes"
	"adit/tui/help"
	"adit/tui/palette"
	"adit/tui/pane"
)

func BenchmarkHelp(b *testing.B) {
	f := frame(b, 120, 36, themes.Unicode(), "")
	o, c := help.New("Requests", keys.Requests, keys.List), newCanvas(f)
	b.ReportAllocs()
	for b.Loop() {
		o.Draw(c.Area(), f)
	}
}

// BenchmarkPalette opens it over many clients, types a letter and draws.
func BenchmarkPalette(b *testing.B) {
	f := frame(b, 120, 36, themes.Unicode(), "")
	for i := range 10_000 {
		f.Rows.Clients = append(f.Rows.Clients, pane.Client{Name: fmt.Sprintf("edge-%05d", i)})
	}
	c := newCanvas(f)
	b.ReportAllocs()
	for b.Loop() {
		o := palette.New(f, palette.Options{Contexts: []keys.Context{keys.Connections, keys.List}})
		o.Update(key("k"), f)
		o.Draw(c.Area(), f)
	}
}
