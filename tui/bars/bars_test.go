package bars

import (
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/observe"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/golden"
	"adit/tui/pane"
	"adit/tui/scene"
)

func names() []string { return []string{"Overview", "Connections", "Requests", "Events", "Config"} }

func hints() []pane.Hint {
	return []pane.Hint{{Key: "↵", Text: "open"}, {Key: "space", Text: "mark"}, {Key: "x", Text: "kill"}, {Key: "X", Text: "drain"},
		{Key: "/", Text: "filter"}, {Key: "s", Text: "sort"}, {Key: "t", Text: "tree"}, {Key: "f", Text: "follow"},
		{Key: "tab", Text: "pane"}, {Key: ":", Text: "cmd"}, {Key: "?", Text: "help"}}
}

func rows(f *pane.Frame, tabs Tabs) string {
	c := canvas.New()
	c.SetASCII(f.Glyphs.ASCII)
	c.Resize(f.Width, 3)
	a := c.Area()
	Identity(a.Sub(0, 0, f.Width, 1), f)
	tabs.Draw(a.Sub(0, 1, f.Width, 1), f)
	Foot(a.Sub(0, 2, f.Width, 1), hints())
	return c.Plain()
}

func frameOf(s *engine.Snapshot, w, h int) *pane.Frame {
	f := &pane.Frame{Now: scene.Clock(), Class: pane.ClassOf(w, h), Width: w, Height: h, Glyphs: themes.Unicode(), UTC: true,
		Snapshot: s, Meter: observe.NewMeter(), Rows: new(pane.Rows)}
	f.Meter.Add(s)
	f.Rows.Update(s, f.Meter)
	return f
}

func TestBarsAsPictured(t *testing.T) {
	sizes := []struct {
		name string
		w, h int
	}{{"80x24", 80, 24}, {"120x36", 120, 36}, {"200x60", 200, 60}, {"60x15", 60, 15}}
	for _, size := range sizes {
		f := scene.New(scene.Options{}).Frame(size.w, size.h)
		golden.EqualText(t, size.name, rows(f, Tabs{Names: names(), Status: "LIVE"}))
		golden.EqualText(t, size.name+"-deep", rows(f, Tabs{Names: names(), Shown: 1, Status: "⏸ PAUSED +2,311",
			Crumbs: []string{"edge-sin-01", "c-31", "▶ busy  age 3m28s"}}))
		f.Glyphs = themes.ASCII()
		f.Snapshot.Draining = true
		golden.EqualText(t, size.name+"-ascii", rows(f, Tabs{Names: names(), Shown: 4, Status: "LIVE"}))
	}
}

func TestBarsOfAClient(t *testing.T) {
	s := &engine.Snapshot{Time: scene.Clock(), Role: engine.RoleClient, Name: "my-box", Servers: []engine.Server{
		{URL: "wss://edge-1/register", Connected: 3, Wanted: 4}, {URL: "wss://edge-2/register", Wanted: 4, RetryAt: scene.Clock()}},
		Connections: []engine.Connection{{ID: 1, Server: "wss://edge-1/register", State: engine.StateBusy}, {ID: 2, Server: "wss://edge-1/register"}}}
	golden.EqualText(t, "client-120", rows(frameOf(s, 120, 36), Tabs{Names: names(), Status: "LIVE"}))
	golden.EqualText(t, "client-80", rows(frameOf(s, 80, 24), Tabs{Names: names(), Status: "LIVE"}))
}

func TestNumbersOfAnEngineThatJustStarted(t *testing.T) {
	s := &engine.Snapshot{Time: scene.Clock(), Role: engine.RoleServer, Name: "edge-1", Listen: []string{"127.0.0.1:8080"}}
	got, _, _ := strings.Cut(rows(frameOf(s, 120, 36), Tabs{Names: names()}), "\n")
	if want := " adit ● server edge-1 127.0.0.1:8080  0 clients  0 conns"; !strings.HasPrefix(got, want) || strings.Contains(got, "rq/s") {
		t.Errorf("%q", got)
	}
}

func TestNameThatIsHostile(t *testing.T) {
	for w := range 130 {
		s := &engine.Snapshot{Time: scene.Clock(), Role: engine.RoleServer, Name: "\x1b[2J日本\u202e" + strings.Repeat("x", 300), Listen: []string{strings.Repeat("9", 200)}}
		f := frameOf(s, w, 30)
		for line := range strings.Lines(rows(f, Tabs{Names: names(), Status: "LIVE", Crumbs: []string{s.Name, s.Name}})) {
			if n := canvas.Width(strings.TrimSuffix(line, "\n")); n != w {
				t.Fatalf("%d wide, want %d: %q", n, w, line)
			}
		}
		if title := string(Title(nil, f)); strings.ContainsAny(title, "\x1b\u202e") {
			t.Fatalf("title %q", title)
		}
	}
}

func TestTabThatIsClicked(t *testing.T) {
	f := scene.New(scene.Options{}).Frame(120, 36)
	tabs := Tabs{Names: names(), Shown: 2}
	line := []rune(strings.Split(rows(f, tabs), "\n")[1])
	for i, name := range names() {
		x := len([]rune(string(line)[:strings.Index(string(line), name)]))
		if got := tabs.At(x, f); got != i {
			t.Errorf("%s at %d is tab %d", name, x, got)
		}
	}
	if tabs.At(0, f) != -1 || tabs.At(119, f) != -1 {
		t.Error("a tab where there is none")
	}
}

func TestHelpIsKept(t *testing.T) {
	c := canvas.New()
	for w := 8; w < 120; w++ {
		c.Resize(w, 1)
		Foot(c.Area(), hints())
		if got := c.Plain(); !strings.Contains(got, "? help") {
			t.Fatalf("%d wide: %q", w, got)
		}
	}
}

func TestNotes(t *testing.T) {
	f := scene.New(scene.Options{}).Frame(80, 24)
	c := canvas.New()
	for _, test := range []struct {
		note Note
		want string
	}{
		{Note{Text: "wrote requests.har"}, " wrote requests.har"},
		{Note{Text: "kill c-31: already closed 2 s ago", Bad: true, More: 2, Key: "!"},
			" ! kill c-31: already closed 2 s ago                     +2 more  ! acknowledge"},
		{Note{Text: strings.Repeat("long ", 30), Bad: true, Key: "!"},
			" ! long long long long long long long long long long long long …  ! acknowledge"},
	} {
		c.Resize(80, 1)
		test.note.Draw(c.Area(), f)
		if got := strings.TrimRight(c.Plain(), " \n"); got != test.want {
			t.Errorf("got  %q\nwant %q", got, test.want)
		}
	}
}

func TestBarsThatAllocate(t *testing.T) {
	f := scene.New(scene.Options{}).Frame(120, 36)
	f.Now = f.Now.Add(time.Second)
	c := canvas.New()
	c.Resize(120, 3)
	tabs := Tabs{Names: names(), Status: "LIVE", Crumbs: []string{"edge-sin-01"}}
	all := hints()
	if n := testing.AllocsPerRun(20, func() {
		Identity(c.Area(), f)
		tabs.Draw(c.Area(), f)
		Foot(c.Area(), all)
	}); n > 0 {
		t.Errorf("%v allocations a frame", n)
	}
}
