package tui

import (
	"encoding/xml"
	"errors"
	"fmt"
	"image/color"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/scene"
)

const (
	filmPath    = "../testdata/dashboard.svg"
	filmColumns = 100
	filmRows    = 30
	filmKept    = 2000 // requests in the log when it begins
	maxFilm     = 300 << 10
)

// A shot is one frame of the film, with what the operator does in it.
type shot struct {
	keys, words string
	long        time.Duration
	screen      [][]glyph
	cursor      [2]int // column and row of the terminal's cursor in an overlay; -1 none
}

// A film is taken of a dashboard whose engine goes on: what is on the screen is
// what the model draws at that moment of the scene.
type film struct {
	*still
	scene    *scene.Scene
	since    time.Duration // since the moment of the pictures
	requests int           // published
	events   int           // that the dashboard has to have
	killed   engine.ConnectionID
	opened   time.Duration // when its client connected again; 0 not yet
	shots    []shot
}

// goes has the engine and the clock go on for so long, frame by frame.
func (f *film) goes(long time.Duration) {
	f.t.Helper()
	const rate = 1204 // of the scene
	for end := f.since + long; f.since < end; {
		f.since += framesEvery
		var now engine.Snapshot
		f.scene.At(f.since, &now)
		f.fake.Set(f.without(now))
		newest := filmNewest + engine.RequestID(f.since.Seconds()*rate)
		for id := filmNewest + engine.RequestID(f.requests-filmKept) + 1; id <= newest; id++ {
			r := f.scene.Request(id, true)
			f.fake.Publish(engine.Event{Kind: engine.KindRequestFinished, Time: r.Arrived, Connection: r.Connection, Client: r.Client, Request: &r})
			f.requests++
		}
		f.awaits()
	}
	f.rests()
}

// without is a snapshot of the scene without what was killed, and with the
// connection that its client opened instead.
func (f *film) without(now engine.Snapshot) engine.Snapshot {
	for i := range now.Connections {
		c := &now.Connections[i]
		switch {
		case c.ID != f.killed:
		case f.opened == 0:
			now.Connections = slices.Delete(now.Connections, i, i+1)
			return now
		default:
			at := scene.Clock().Add(f.opened)
			*c = engine.Connection{ID: filmReopened, Client: c.Client, Peer: c.Peer, Protocol: c.Protocol, State: engine.StateIdle, Opened: at,
				Greeting: c.Greeting, GreetingReady: at.Add(4 * time.Millisecond), PingEvery: c.PingEvery, PingNext: at.Add(c.PingEvery), Credential: c.Credential}
		}
	}
	return now
}

// filmReopened is the id of that connection.
const filmReopened engine.ConnectionID = 304

// filmNewest is the newest request of the scene at the moment of the pictures.
const filmNewest engine.RequestID = 98_204

// awaits waits until the log has what was published, and only then has the
// dashboard look: what it shows follows from when it looked at what.
func (f *film) awaits() {
	f.t.Helper()
	keeps(f.t, f.log, f.requests)
	f.clock = scene.Clock().Add(f.since)
	f.hears(f.events)
	f.draw()
}

// rests draws until nothing changes any more: screens ask the log for what they
// have drawn.
func (f *film) rests() {
	f.t.Helper()
	last := ""
	for same, n := 0, 0; same < 5; n++ {
		if n == 500 {
			f.t.Fatalf("the screen does not come to rest:\n%s", f.canvas.Plain())
		}
		f.next()
		f.draw()
		if f.view.Content == last {
			same++
		} else {
			same, last = 0, f.view.Content
		}
	}
}

// types gives keys one by one and carries out what they ask for; a name of more
// than one character is one key.
func (f *film) types(keys ...string) {
	for _, k := range keys {
		if cmd := f.update(key(k)); cmd != nil {
			f.update(cmd())
		}
		f.rests()
	}
}

func (f *film) letters(text string) { f.types(strings.Split(text, "")...) }

// shoot takes a frame.
func (f *film) shoot(long time.Duration, keys, words string) {
	f.t.Helper()
	s := shot{keys: keys, words: words, long: long, screen: glyphsOf(f.t, f.view.Content), cursor: [2]int{-1, -1}}
	if len(s.screen) != filmRows {
		f.t.Fatalf("%q: %d rows", words, len(s.screen))
	}
	if len(f.overlays) > 0 && f.view.Cursor != nil {
		s.cursor = [2]int{f.view.Cursor.X, f.view.Cursor.Y}
	}
	f.shots = append(f.shots, s)
}

// sees holds the screen to what a shot is about.
func (f *film) sees(texts ...string) {
	f.t.Helper()
	for _, text := range texts {
		if screen := f.canvas.Plain(); !strings.Contains(screen, text) {
			f.t.Fatalf("the film lacks %q:\n%s", text, screen)
		}
	}
}

// cursorRow is the row of the list that the cursor is on.
func (f *film) cursorRow() string {
	for row := range strings.Lines(f.canvas.Plain()) {
		if strings.Contains(row, "▌") {
			return row
		}
	}
	return ""
}

// dies has the engine lose a connection as it does when it is killed.
func (f *film) dies(id engine.ConnectionID, client, reason string) {
	f.killed = id
	f.fake.Publish(engine.Event{Time: f.clock, Kind: engine.KindOperatorAction, Action: engine.ActionKill, Operator: "local",
		Target: id.String(), Reason: reason},
		engine.Event{Time: f.clock, Kind: engine.KindConnectionClosed, Connection: id, Client: client,
			Code: uint16(engine.CloseKilled), Reason: reason, Duration: 13*time.Minute + 14*time.Second,
			Closed: &engine.Traffic{BytesIn: 386 << 20, BytesOut: 3 << 30}})
	f.events += 2
}

// reconnects has the client of a connection that was killed open another one.
func (f *film) reconnects(client string) {
	f.opened = f.since + framesEvery
	at := scene.Clock().Add(f.opened)
	about := engine.Event{Time: at, Kind: engine.KindConnectionOpened, Connection: filmReopened, Client: client,
		Peer: "198.51.100.20:40304", Protocol: engine.ProtocolNative}
	greeted := about
	greeted.Time, greeted.Kind = at.Add(4*time.Millisecond), engine.KindGreetingReceived
	for _, c := range f.latest.Connections {
		if c.Client == client {
			greeted.Greeting = c.Greeting
		}
	}
	f.fake.Publish(about, greeted)
	f.events += 2
}

// journey is a few minutes of an operator.
func journey(t testing.TB) *film {
	sc := scene.New(scene.Options{})
	trueColor := func(name string) (string, bool) {
		value, ok := map[string]string{"TERM": "xterm-256color", "COLORTERM": "truecolor"}[name]
		return value, ok
	}
	f := &film{still: pictured(t, Options{Theme: themes.Midnight, LookupEnv: trueColor}, sc, filmKept), scene: sc, requests: filmKept}
	f.events = f.frame.Events.Len()
	f.at(filmColumns, filmRows)
	f.rests()
	f.shoot(1600*time.Millisecond, "", "every client, every WebSocket, what they carry")
	for range 3 {
		f.goes(time.Second)
		f.shoot(700*time.Millisecond, "", "every client, every WebSocket, what they carry")
	}
	f.goes(time.Second)
	const busy = "▌   c-38             ▶ busy"
	for n := 0; n < 8 && !strings.Contains(f.canvas.Plain(), busy); n++ {
		f.types("j")
	}
	f.sees(busy)
	f.shoot(1200*time.Millisecond, "j", "down to a connection that is busy")
	f.types("x")
	f.sees("Kill 1 connection?", "edge-iad-01 / c-38")
	f.goes(time.Second)
	f.shoot(1800*time.Millisecond, "x", "asks, and says what would break")
	f.types("r")
	f.letters("stuck upload")
	f.shoot(1200*time.Millisecond, "r", "a reason for the record")
	f.types("enter", "y")
	f.dies(38, "edge-iad-01", "stuck upload")
	f.goes(time.Second)
	f.sees("killed c-38", "41 conns")
	f.shoot(1600*time.Millisecond, "y", "it goes: only y means yes")
	f.reconnects("edge-iad-01")
	f.types("4")
	f.goes(time.Second)
	f.sees("KILL c-38 by local", "42 conns")
	f.shoot(2*time.Second, "4", "who ended what, and why; its client is back")
	f.types("3")
	f.goes(time.Second)
	f.shoot(time.Second, "3", "every request, as it ends")
	f.types("/")
	f.letters("status:>=500")
	f.goes(1200 * time.Millisecond)
	f.shoot(1200*time.Millisecond, "/", "those that failed…")
	f.letters(" dur:>200ms")
	f.goes(time.Second)
	f.sees("status:>=500 dur:>200ms")
	f.shoot(1600*time.Millisecond, "/", "…and took long: it counts while you type")
	f.types("enter")
	const failed = " 502 "
	for n := 0; n < 12 && !strings.Contains(f.cursorRow(), failed); n++ {
		f.types("j")
	}
	f.types("enter")
	f.sees("502 Bad Gateway", "Timing", "(V reveal)")
	f.shoot(2400*time.Millisecond, "enter", "where its time went; credentials stay masked")
	f.types("esc", "esc", "1", ":")
	f.goes(time.Second)
	f.letters("dr")
	f.shoot(1500*time.Millisecond, ":", "anything else by its name")
	f.types("esc", "?")
	f.shoot(2*time.Second, "?", "and every key there is")
	return f
}

// captioned returns the words under a shot, as glyphs.
func (s *shot) captioned(n, of int) []glyph {
	var row []glyph
	write := func(text string, i ink) {
		for _, r := range text {
			row = append(row, glyph{r, i})
		}
	}
	midnight := themes.Builtin()[0]
	role := func(r themes.Role) string { return hex(midnight.Look(r).Color) }
	write(fmt.Sprintf("%*d/%d  ", len(fmt.Sprint(of)), n, of), ink{fg: role(themes.Muted)})
	if s.keys != "" {
		write(s.keys, ink{fg: role(themes.Accent), bold: true})
		write("  ", ink{})
	}
	write(s.words, ink{fg: role(themes.Fg)})
	return row
}

// hex writes a colour as style sheets do.
func hex(c color.Color) string {
	r, g, b, _ := c.RGBA()
	return fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, b>>8)
}

// svg draws the film: a picture that moves by style sheet alone, and stands still
// on its first frame where that is not possible or not wanted.
func (f *film) svg() string {
	const margin, below = 12, 40
	const w, h = filmColumns * cellW, filmRows * cellH
	midnight := themes.Builtin()[0]
	d := &drawing{fg: hex(midnight.Look(themes.Fg).Color), bg: hex(midnight.Nominal), rows: map[string]int{}}
	total := time.Duration(0)
	for _, s := range f.shots {
		total += s.long
	}
	var frames, motion, told strings.Builder
	var from time.Duration
	for i := range f.shots {
		s := &f.shots[i]
		percent := func(d time.Duration) string {
			return fmt.Sprintf("%.2f%%", 100*d.Seconds()/total.Seconds())
		}
		if i == 0 {
			fmt.Fprintf(&motion, "@keyframes k0{0%%{visibility:visible}%s{visibility:hidden}to{visibility:hidden}}\n", percent(s.long))
		} else {
			fmt.Fprintf(&motion, "@keyframes k%d{0%%{visibility:hidden}%s{visibility:visible}%s{visibility:hidden}to{visibility:hidden}}\n",
				i, percent(from), percent(from+s.long))
		}
		fmt.Fprintf(&motion, "#f%d{animation-name:k%d}\n", i, i)
		from += s.long
		fmt.Fprintf(&frames, "<g id=\"f%d\" class=\"P\">%s", i, d.frame(s.screen))
		if s.cursor[0] >= 0 {
			fmt.Fprintf(&frames, `<path class="%s" d="M%d %dh2v16h-2z"/>`, d.class(d.fg), s.cursor[0]*cellW, s.cursor[1]*cellH+2)
		}
		fmt.Fprintf(&frames, "<g transform=\"translate(%d %d)\">%s</g></g>\n", cellW, h+margin+(below-cellH)/2-margin/2+2, d.row(s.captioned(i+1, len(f.shots))))
		if i == 0 || s.words != f.shots[i-1].words {
			fmt.Fprintf(&told, " %s %s.", s.keys, s.words)
		}
	}
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%d" role="img" aria-labelledby="title desc">`+"\n",
		w+2*margin, h+margin+below)
	fmt.Fprintf(&out, "<title id=\"title\">adit's dashboard</title>\n<desc id=\"desc\">A terminal of %d by %d cells, step by step:%s</desc>\n",
		filmColumns, filmRows, escaped(strings.ReplaceAll(told.String(), "  ", " ")))
	fmt.Fprintf(&out, "<style>\ntext{font:%spx %s;white-space:pre;stroke:none}\n", fontSize, fonts)
	out.WriteString("path{stroke:none}.L{fill:none;stroke:inherit;stroke-width:1.4}.H{stroke-width:2.5}.O{stroke-width:3;stroke-dasharray:3 2}\n")
	out.WriteString(".B{font-weight:bold}.F{opacity:.6}.U{text-decoration:underline}\n")
	for _, color := range d.classes {
		fmt.Fprintf(&out, ".%s{fill:%s;stroke:%s}", d.class(color), color, color)
	}
	fmt.Fprintf(&out, "\n.P{visibility:hidden;animation:%.1fs step-end infinite}#f0{visibility:visible}\n%s", total.Seconds(), motion.String())
	out.WriteString("@media(prefers-reduced-motion:reduce){.P{animation:none!important}}\n</style>\n")
	fmt.Fprintf(&out, "<defs>\n%s</defs>\n", d.defs.String())
	fmt.Fprintf(&out, `<rect width="%d" height="%d" rx="10" fill="%s"/>`+"\n", w+2*margin, h+margin+below, hex(midnight.Look(themes.OverlayBg).Color))
	fmt.Fprintf(&out, `<rect x="4" y="4" width="%d" height="%d" rx="7" fill="%s"/>`+"\n", w+2*margin-8, h+2*margin-8, d.bg)
	fmt.Fprintf(&out, "<g transform=\"translate(%d %d)\">\n%s</g>\n</svg>\n", margin, margin, frames.String())
	return out.String()
}

// The film in the README is one of the dashboard as it is: what it shows comes
// from the model, and whoever changes that takes a new one.
func TestFilmInTheReadme(t *testing.T) {
	got := journey(t).svg()
	if len(got) > maxFilm {
		t.Errorf("the film has %d bytes, most %d", len(got), maxFilm)
	}
	harmless(t, got)
	if os.Getenv("UPDATE_GOLDEN") == "1" {
		if err := os.WriteFile(filmPath, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	text, err := os.ReadFile(filmPath)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(string(text), "\r\n", "\n")
	if got == want {
		return
	}
	now, kept := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(now), len(kept)) {
		if now[i] != kept[i] {
			t.Fatalf("%s is not what the dashboard draws now (UPDATE_GOLDEN=1 takes it again); line %d is\n%.400s\nnot\n%.400s", filmPath, i+1, now[i], kept[i])
		}
	}
	t.Fatalf("%s has %d lines, now %d", filmPath, len(kept), len(now))
}

// harmless fails for what is not a picture on its own: markup that does not
// parse, scripts, and whatever is loaded from elsewhere.
func harmless(t *testing.T, svg string) {
	t.Helper()
	known := map[string]bool{}
	var used []string
	for in := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := in.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if !slices.Contains([]string{"svg", "title", "desc", "style", "defs", "g", "use", "path", "rect", "text"}, e.Name.Local) {
			t.Errorf("an element <%s>", e.Name.Local)
		}
		for _, a := range e.Attr {
			switch {
			case a.Name.Local == "id":
				known["#"+a.Value] = true
			case a.Name.Local == "href":
				used = append(used, a.Value)
			case strings.HasPrefix(a.Name.Local, "on"):
				t.Errorf("a script in %s", a.Name.Local)
			}
		}
	}
	for _, href := range used {
		if !known[href] {
			t.Errorf("a reference to %q, which is not in the picture", href)
		}
	}
	if strings.Contains(svg, "url(") || strings.Contains(svg, "@import") {
		t.Error("the style sheet loads something")
	}
}

// The cells of the film are those that a terminal would show: the text in it,
// put at the columns that it has in the picture, is the screen's.
func TestTextOfAFilmThatIsElsewhere(t *testing.T) {
	const line = "a  b\x1b[38;2;1;2;3mcd e\x1b[0;1;4mf\x1b[m ─│⣿▌ü x"
	row := glyphsOf(t, line)[0]
	d := &drawing{fg: "#ffffff", bg: "#000000", rows: map[string]int{}}
	var got []string
	for in := xml.NewDecoder(strings.NewReader("<g>" + d.row(row) + "</g>")); ; {
		token, err := in.Token()
		if err != nil {
			break
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "text" {
			text, _ := in.Token()
			at := map[string]string{}
			for _, a := range e.Attr {
				at[a.Name.Local] = a.Value
			}
			words := string(text.(xml.CharData))
			if at["textLength"] != fmt.Sprint(canvas.Width(words)*cellW) {
				t.Errorf("%q is %s long", words, at["textLength"])
			}
			got = append(got, at["x"]+" "+words+" "+at["class"])
		}
	}
	slices.Sort(got)
	want := []string{"0 a ", "140 ü ", "160 x ", "30 b ", "40 cd e ", "80 f B U"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
