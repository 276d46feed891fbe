package events_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/events"
	"adit/tui/golden"
	"adit/tui/pane"
	"adit/tui/scene"
)

type theatre struct {
	t      testing.TB
	screen *events.Screen
	frame  *pane.Frame
	canvas *canvas.Canvas
	seq    uint64
}

func frame(w, h int) *pane.Frame {
	f := &pane.Frame{Now: scene.Clock(), Class: pane.ClassOf(w, h), Width: w, Height: h, Glyphs: themes.Unicode(), UTC: true}
	f.Keys, _, _ = keys.Load("", "")
	return f
}

// newTheatre has n rows, notices and now and then something that went wrong.
func newTheatre(t testing.TB, w, h, n int) *theatre {
	th := &theatre{t: t, screen: events.New(), canvas: canvas.New(), frame: frame(w, h)}
	th.frame.Events = pane.NewEventLog(10_000)
	th.canvas.Resize(w, h-3)
	th.add(n)
	th.draw()
	return th
}

func (th *theatre) add(n int) {
	var b engine.Batch
	for range n {
		th.seq++
		e := engine.Event{Seq: th.seq, Time: scene.Clock().Add(time.Duration(th.seq) * 13 * time.Millisecond)}
		switch th.seq % 5 {
		case 0:
			e.Kind, e.Peer, e.Code, e.Reason = engine.KindAdmissionRefused, "203.0.113.200", 401, "bad secret"
		case 1:
			e.Kind, e.Connection, e.Client, e.Code, e.Reason = engine.KindConnectionClosed, engine.ConnectionID(th.seq), "edge-fra-02", 1001, "going away"
		case 2:
			e.Kind, e.Action, e.Operator, e.Target, e.Reason = engine.KindOperatorAction, engine.ActionKill, "ops@laptop", "c-5", "stuck upload"
		case 3:
			e.Kind, e.Reason = engine.KindNotice, fmt.Sprintf("pool scaled to %d", th.seq)
		case 4:
			e.Kind, e.Client = engine.KindGreetingReceived, "lab-rpi4"
			e.Greeting = &engine.Greeting{ID: "lab-rpi4", PoolSize: 2, Version: "0.9.3", Size: 312}
		}
		b.Events = append(b.Events, e)
	}
	th.frame.Events.Add(b)
}

func (th *theatre) draw() string {
	th.canvas.Clear()
	th.screen.Draw(th.canvas.Area(), th.frame)
	return th.canvas.Plain()
}

func (th *theatre) do(actions ...keys.Action) (e pane.Effect) {
	th.t.Helper()
	for _, a := range actions {
		var handled bool
		if e, handled = th.screen.Do(a, th.frame); !handled {
			th.t.Fatalf("%s was not handled", a)
		}
		th.draw()
	}
	return e
}

// cursor returns the line of the cursor and its text.
func (th *theatre) cursor() (int, string) {
	for y, line := range strings.Split(th.draw(), "\n") {
		if strings.Contains(line, "▌") {
			return y, line
		}
	}
	return -1, ""
}

func TestEventsAsPictured(t *testing.T) {
	for _, size := range [][2]int{{60, 15}, {80, 24}, {120, 36}, {200, 60}} {
		for _, ascii := range []bool{false, true} {
			th := newTheatre(t, size[0], size[1], 300)
			th.frame.Events.Add(engine.Batch{Dropped: 1820})
			th.add(3)
			name := fmt.Sprintf("events-%dx%d", size[0], size[1])
			if ascii {
				name += "-ascii"
				th.frame.Glyphs = themes.ASCII()
				th.canvas.SetASCII(true)
			}
			th.do(keys.MoveDown, keys.Bookmark, keys.MoveDown, keys.MoveDown)
			golden.Equal(t, name, th.canvas)
		}
	}
}

func TestCursorStaysOnItsEvent(t *testing.T) {
	th := newTheatre(t, 120, 36, 500)
	if y, line := th.cursor(); y != 5 || !strings.Contains(line, "handshake") && !strings.Contains(line, "bad secret") {
		t.Fatalf("line %d: %s", y, line)
	}
	th.add(3)
	if _, line := th.cursor(); !strings.Contains(line, "pool scaled to 503") {
		t.Errorf("following, the newest is not under the cursor: %s", line)
	}
	th.do(keys.MoveDown, keys.MoveDown, keys.MoveDown)
	y, line := th.cursor()
	for range 40 {
		th.add(7)
		if y2, line2 := th.cursor(); y2 != y || line2 != line {
			t.Fatalf("line %d: %s\nnot %d: %s", y2, line2, y, line)
		}
	}
	th.do(keys.Follow)
	if y, line := th.cursor(); y != 5 || line == "" || !strings.Contains(th.draw(), "following") {
		t.Errorf("follow: line %d: %s", y, line)
	}
}

func TestRowsThatLeaveTheRingTakeTheCursorAlong(t *testing.T) {
	th := newTheatre(t, 120, 36, 100)
	th.do(keys.MoveLast, keys.Bookmark)
	if _, line := th.cursor(); !strings.Contains(line, "c-1 ") || !strings.Contains(line, "✓") {
		t.Fatalf("the oldest: %s", line)
	}
	th.add(10_050)
	got := th.draw()
	if _, line := th.cursor(); line == "" || !strings.Contains(got, "10,000 of 10,000") || strings.Contains(got, "bookmarked") {
		t.Errorf("after it is gone:\n%s", got)
	}
}

func TestLevelAndFilterNarrow(t *testing.T) {
	th := newTheatre(t, 120, 36, 500)
	counts := map[string]bool{}
	for _, level := range []string{"info", "warn", "error", "debug"} {
		th.do(keys.Level)
		got := th.draw()
		if !strings.Contains(got, "level:>="+level) {
			t.Errorf("%s is not shown:\n%s", level, got)
		}
		matched := th.screen.Matches().Matched
		counts[fmt.Sprint(matched)] = true
	}
	if len(counts) < 2 {
		t.Errorf("levels select the same: %v", counts)
	}
	th.screen.SetFilter("bad secret")
	th.draw()
	if n := th.screen.Matches().Matched; n != 100 {
		t.Errorf("%d of 100", n)
	}
	th.add(10)
	th.draw()
	if n := th.screen.Matches().Matched; n != 102 {
		t.Errorf("%d of 102, with what came since", n)
	}
	th.screen.SetFilter("level:>>")
	if th.screen.Filter() != "bad secret" {
		t.Errorf("a filter that does not parse became %q", th.screen.Filter())
	}
	th.screen.SetFilter("nothing at all")
	if got := th.draw(); !strings.Contains(got, "0 of 510 match") {
		t.Errorf("empty:\n%s", got)
	}
	th.do(keys.Level, keys.Back)
	if th.screen.Filter() != "" {
		t.Error("esc keeps the filter")
	}
	th.do(keys.Back)
	if _, handled := th.screen.Do(keys.Back, th.frame); handled || !strings.Contains(th.draw(), "level:>=debug") {
		t.Error("esc does not clear the level, or clears it twice")
	}
}

func TestGapIsShownWhateverTheFilter(t *testing.T) {
	th := newTheatre(t, 120, 36, 5)
	th.frame.Events.Add(engine.Batch{Dropped: 18220})
	th.add(2)
	th.screen.SetFilter("nobody says this")
	if got := th.draw(); !strings.Contains(got, "18220 events not shown") || !strings.Contains(got, "18,220 not shown") {
		t.Errorf("the gap is hidden:\n%s", got)
	}
}

func TestPausedEventsStandStill(t *testing.T) {
	th := newTheatre(t, 120, 36, 50)
	th.frame.Paused, th.frame.EventsUntil = true, th.frame.Events.Next()
	before := strings.Split(th.draw(), "\n")[3:]
	th.add(30)
	if after := strings.Split(th.draw(), "\n")[3:]; strings.Join(after, "\n") != strings.Join(before, "\n") {
		t.Errorf("it moved:\n%s", strings.Join(after, "\n"))
	}
	th.do(keys.MoveLast, keys.MoveFirst)
	if _, line := th.cursor(); !strings.Contains(line, "bad secret") {
		t.Errorf("first of what is shown: %s", line)
	}
	th.frame.Paused = false
	if got := th.draw(); !strings.Contains(got, "80 of 80") {
		t.Errorf("going on:\n%s", got)
	}
}

func TestMatchGoesToBookmarksElseToWarnings(t *testing.T) {
	th := newTheatre(t, 120, 36, 100)
	th.do(keys.MatchNext)
	y, line := th.cursor()
	if !strings.Contains(line, "ERR") && !strings.Contains(line, "WRN") || y == 5 {
		t.Fatalf("line %d: %s", y, line)
	}
	th.do(keys.MoveDown, keys.Bookmark)
	_, marked := th.cursor()
	th.do(keys.MoveDown, keys.MoveDown, keys.MoveDown, keys.MatchPrevious)
	if _, line := th.cursor(); line != marked {
		t.Errorf("%s\nis not the bookmark\n%s", line, marked)
	}
	if say, ok := th.do(keys.MatchNext).(pane.Say); !ok || !strings.Contains(say.Text, "bookmark") {
		t.Errorf("after the last: %#v", say)
	}
	th.do(keys.Bookmark)
	if strings.Contains(th.draw(), "bookmarked") {
		t.Error("a bookmark can't be taken back")
	}
}

func TestEnterGoesToTheSubject(t *testing.T) {
	hostile := `a "b" \ c:d`
	for _, c := range []struct {
		event engine.Event
		want  pane.Effect
	}{
		{engine.Event{Kind: engine.KindConnectionClosed, Connection: 17, Client: "x"}, pane.OpenConnection{ID: 17}},
		{engine.Event{Kind: engine.KindRequestFinished, Request: &engine.Request{ID: 4711}}, pane.OpenRequest{ID: 4711}},
		{engine.Event{Kind: engine.KindOperatorAction, Action: engine.ActionCancel, Target: "r-8"}, pane.OpenRequest{ID: 8}},
		{engine.Event{Kind: engine.KindOperatorAction, Action: engine.ActionKill, Target: "c-9"}, pane.OpenConnection{ID: 9}},
		{engine.Event{Kind: engine.KindOperatorAction, Action: engine.ActionBan, Target: "edge"}, pane.GoTo{Screen: keys.ScreenConnections, Filter: "client:=edge"}},
		{engine.Event{Kind: engine.KindGreetingRejected, Client: hostile}, pane.GoTo{Screen: keys.ScreenConnections, Filter: `client:="a \"b\" \\ c:d"`}},
	} {
		th := newTheatre(t, 120, 36, 0)
		th.frame.Events.Add(engine.Batch{Events: []engine.Event{c.event}})
		if got := th.do(keys.Open); got != c.want {
			t.Errorf("%v: %#v, want %#v", c.event.Kind, got, c.want)
		}
	}
	th := newTheatre(t, 120, 36, 3)
	if e, ok := th.do(keys.Open).(pane.Say); !ok {
		t.Errorf("an event about nothing: %#v", e)
	}
}

func TestWritesAndCopiesJSON(t *testing.T) {
	th := newTheatre(t, 120, 36, 20)
	th.frame.Events.Add(engine.Batch{Dropped: 3})
	th.add(1)
	th.screen.SetFilter("kind:notice")
	th.draw()
	file := th.do(keys.Write).(pane.WriteFile)
	th.add(20)
	th.draw()
	lines := strings.Split(strings.TrimSpace(string(file.Content())), "\n")
	if len(lines) != 4 || !strings.Contains(lines[0], `"seq":3,`) || !strings.Contains(lines[3], `"seq":18,`) {
		t.Errorf("%d lines:\n%s", len(lines), strings.Join(lines, "\n"))
	}
	e := th.do(keys.Copy).(pane.CopyText)
	if len(e.Choices) != 1 || !strings.Contains(e.Choices[0].Text, `"kind":"notice"`) {
		t.Errorf("%#v", e)
	}
}

func TestMouseInEvents(t *testing.T) {
	th := newTheatre(t, 120, 36, 200)
	th.screen.Mouse(pane.Mouse{X: 5, Y: 9, Kind: pane.Click}, th.frame)
	if y, _ := th.cursor(); y != 9 {
		t.Errorf("a click selects line %d", y)
	}
	th.screen.Mouse(pane.Mouse{X: 5, Y: 9, Kind: pane.Wheel, Amount: 3}, th.frame)
	if y, _ := th.cursor(); y != 6 {
		t.Errorf("the wheel puts it into line %d", y)
	}
	for range 100 {
		th.screen.Mouse(pane.Mouse{X: 5, Y: 9, Kind: pane.Wheel, Amount: 3}, th.frame)
	}
	if got := th.draw(); !strings.Contains(got, "c-1 ") {
		t.Errorf("the oldest is not in sight:\n%s", got)
	}
	for range 100 {
		th.screen.Mouse(pane.Mouse{X: 5, Y: 9, Kind: pane.Wheel, Amount: -3}, th.frame)
	}
	e := th.screen.Mouse(pane.Mouse{X: 5, Y: 9, Kind: pane.DoubleClick}, th.frame)
	if e != (pane.OpenConnection{ID: 196}) {
		t.Errorf("a double click on the fifth row: %#v", e)
	}
	if e := th.screen.Mouse(pane.Mouse{X: 5, Y: 1, Kind: pane.Click}, th.frame); e != (pane.EditFilter{}) {
		t.Errorf("a click on the filter: %#v", e)
	}
}

func TestNothingHappenedYet(t *testing.T) {
	th := newTheatre(t, 80, 24, 0)
	if got := th.draw(); !strings.Contains(got, "Nothing has happened yet") {
		t.Errorf("%s", got)
	}
	for _, info := range keys.Actions() {
		th.screen.Do(info.Action, th.frame)
		th.screen.Off(info.Action, th.frame)
	}
	th.frame.Events = nil
	th.draw()
}

func TestHostileEventsStayInTheirRows(t *testing.T) {
	hostile := "\x1b[2J\x1b]0;x\x07\u202e\u200b\r\n\t漢字\xff\xfe" + strings.Repeat("á", 200)
	for _, size := range [][2]int{{60, 15}, {120, 36}, {200, 60}} {
		th := newTheatre(t, size[0], size[1], 0)
		for k := engine.KindReady; k <= engine.KindStopped; k++ {
			th.frame.Events.Add(engine.Batch{Events: []engine.Event{{Kind: k, Client: hostile, Peer: hostile, Reason: hostile, Server: hostile,
				Operator: hostile, Action: engine.Action(hostile), Target: hostile, Greeting: &engine.Greeting{ID: hostile, Version: hostile}}}})
		}
		for range 12 {
			for y, line := range strings.Split(strings.TrimSuffix(th.draw(), "\n"), "\n") {
				if strings.ContainsAny(line, "\x1b\x07\r\t\u202e\u200b") || canvas.Width(line) != size[0] {
					t.Errorf("%v line %d: %q", size, y, line)
				}
			}
			th.do(keys.MoveDown, keys.MoveRight)
		}
	}
}

func BenchmarkDrawEvents(b *testing.B) {
	th := newTheatre(b, 120, 36, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		th.canvas.Clear()
		th.screen.Draw(th.canvas.Area(), th.frame)
	}
}
