package connections

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/filter"
	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/golden"
	"adit/tui/pane"
	"adit/tui/scene"
)

func picture(s *Screen, f *pane.Frame) *canvas.Canvas {
	c := canvas.New()
	c.Resize(f.Width, f.Height-3)
	for range 2 {
		c.Clear()
		s.Draw(c.Area(), f)
	}
	return c
}

func sized(w, h int, glyphs *themes.Glyphs) *pane.Frame {
	f := scene.New(scene.Options{}).Frame(w, h)
	f.Glyphs, f.Now = glyphs, f.Snapshot.Time
	return f
}

// atClient makes f that of a client of two servers.
func atClient(f *pane.Frame) {
	s := f.Snapshot
	s.Role, s.Name = engine.RoleClient, "my-box"
	s.Connections = s.Connections[:6]
	for i := range s.Connections {
		s.Connections[i].Client = "my-box"
		s.Connections[i].Server = "wss://edge-1.example.com/register"
	}
	s.Servers = []engine.Server{
		{URL: "wss://edge-1.example.com/register", Name: "edge-1", Connected: 6, Wanted: 8},
		{URL: "wss://edge-2.example.com/register", Wanted: 8, RetryAt: f.Now.Add(3 * time.Second), LastError: "dial tcp: connection refused"},
	}
	s.Expose = []engine.Expose{{Host: "shop", URL: "https://shop.example.com"}, {TCP: 5432, URL: "tcp://edge-1.example.com:5432"}}
	f.Meter.Add(s)
	f.Rows.Update(s, f.Meter)
}

func TestPicture(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 36}, {200, 60}, {60, 15}} {
		for _, glyphs := range []*themes.Glyphs{themes.Unicode(), themes.ASCII()} {
			name := strconv.Itoa(size[0]) + "x" + strconv.Itoa(size[1]) + "-" + glyphs.Name
			t.Run(name, func(t *testing.T) {
				f := sized(size[0], size[1], glyphs)
				golden.Equal(t, name, picture(New(), f))
				atClient(f)
				golden.Equal(t, "client-"+name, picture(New(), f))
			})
		}
	}
}

func TestPreviewThatStays(t *testing.T) {
	s, f := New(), sized(120, 36, themes.Unicode())
	if text := picture(s, f).Plain(); !strings.Contains(text, "Selected: edge-iad-01") {
		t.Fatalf("no preview:\n%s", text)
	}
	s.Do(keys.PanePreview, f)
	if text := picture(s, f).Plain(); strings.Contains(text, "Selected") {
		t.Error("the preview stays")
	}
	if text := picture(New(), f).Plain(); strings.Contains(text, "Selected") {
		t.Error("it is not remembered that there is none")
	}
}

func TestRawGreetingOfTheSelected(t *testing.T) {
	s, f := New(), sized(120, 36, themes.Unicode())
	picture(s, f)
	s.Do(keys.RawGreeting, f)
	if text := picture(s, f).Plain(); !strings.Contains(text, `"id": "edge-iad-01"`) {
		t.Errorf("raw shows\n%s", text)
	}
	s.Do(keys.PanePreview, f)
	picture(s, f)
	if effect, _ := s.Do(keys.RawGreeting, f); effect == nil {
		t.Error("nothing is shown, and nothing said")
	}
}

func TestKeysOfTheScreen(t *testing.T) {
	s, f := New(), sized(120, 36, themes.Unicode())
	picture(s, f)
	if s.Subject() != filter.Connections {
		t.Error("it filters something else")
	}
	s.Do(keys.ItemNext, f)
	effect, _ := s.Do(keys.Open, f)
	if open, ok := effect.(pane.OpenConnection); !ok || open.From == nil {
		t.Fatalf("open gives %v", effect)
	}
	s.Do(keys.PaneZoom, f)
	if text := picture(s, f).Plain(); strings.Contains(text, "Selected") {
		t.Error("zoomed, the preview is still there")
	}
	if _, handled := s.Do(keys.Back, f); !handled {
		t.Error("back leaves the zoom")
	}
	if _, handled := s.Do(keys.Back, f); handled {
		t.Error("back stays where there is nothing to clear")
	}
	if _, handled := s.Do(keys.Pause, f); handled {
		t.Error("it takes keys of others")
	}
	effect, _ = s.Do(keys.Columns, f)
	choose, ok := effect.(pane.ChooseColumns)
	if !ok {
		t.Fatalf("columns give %v", effect)
	}
	for i := range choose.Columns {
		choose.Columns[i].Shown = choose.Columns[i].Name == "state" || choose.Columns[i].Name == "credential"
	}
	choose.Apply(choose.Columns)
	if text := picture(s, f).Plain(); !strings.Contains(text, "SECRET") || strings.Contains(text, "IN/S") || !strings.Contains(text, "CLIENT / CONN") {
		t.Errorf("chosen columns:\n%s", text)
	}
	if text := picture(New(), f).Plain(); !strings.Contains(text, "SECRET") {
		t.Error("chosen columns are not remembered")
	}
}

func TestValuesForCompletion(t *testing.T) {
	s, f := New(), sized(120, 36, themes.Unicode())
	picture(s, f)
	s.Do(keys.Filter, f)
	values := s.Values("client")
	if len(values) != 6 || values[0] != (pane.Value{Text: "edge-iad-01", Count: 12}) {
		t.Errorf("clients are %v", values)
	}
	if values = s.Values("label.region"); len(values) == 0 {
		t.Error("no label was seen")
	}
	if values = s.Values("nonsense"); len(values) != 0 {
		t.Errorf("nonsense is %v", values)
	}
}

func TestHostileNames(t *testing.T) {
	s, f := New(), sized(200, 60, themes.Unicode())
	evil := "\x1b[2J\x9b31m\u202e\u200d" + strings.Repeat("漢", 90)
	for i := range f.Snapshot.Connections {
		x := &f.Snapshot.Connections[i]
		x.Client, x.Peer, x.Credential = evil, evil, evil
		x.Greeting = &engine.Greeting{ID: evil, Raw: evil, Labels: map[string]string{evil: evil}}
	}
	f.Rows.Update(f.Snapshot, f.Meter)
	for range 2 {
		for _, row := range strings.Split(strings.TrimSuffix(picture(s, f).Plain(), "\n"), "\n") {
			if canvas.Width(row) != 200 || strings.ContainsAny(row, "\x1b\u009b\u202e\u200d") {
				t.Fatalf("a row of %d cells: %q", canvas.Width(row), row)
			}
		}
		s.Do(keys.Tree, f)
	}
}

// Every size there is, so that no division of it goes below zero.
func TestSizeThatPanics(t *testing.T) {
	f := sized(120, 36, themes.Unicode())
	for w := 1; w < 210; w += 13 {
		for h := 4; h < 70; h += 5 {
			f.Width, f.Height, f.Class = w, h, pane.ClassOf(w, h)
			picture(New(), f)
		}
	}
}
