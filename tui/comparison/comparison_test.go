package comparison_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/comparison"
	"adit/tui/golden"
	"adit/tui/pane"
	"adit/tui/scene"
)

// A log of an original and its replay.
type log struct {
	requests map[engine.RequestID]engine.Request
	contents map[engine.RequestID]string
	asked    int
}

func (l *log) Requests(context.Context, engine.RequestQuery, *engine.RequestPage) error { return nil }

func (l *log) Events(context.Context, engine.EventQuery, *engine.EventPage) error { return nil }

func (l *log) Request(_ context.Context, id engine.RequestID) (engine.Request, error) {
	l.asked++
	if r, ok := l.requests[id]; ok {
		return r, nil
	}
	return engine.Request{}, engine.ErrNotFound
}

func (l *log) Content(_ context.Context, id engine.RequestID, into *engine.Content) error {
	c, ok := l.contents[id]
	if !ok {
		return engine.ErrNotFound
	}
	*into = engine.Content{Response: engine.Part{Data: []byte(c), Size: int64(len(c)), Over: true}}
	return nil
}

// both returns a log in which a replay was answered in another way.
func both() *log {
	at := scene.Clock()
	original := engine.Request{ID: 98204, Connection: 17, Client: "edge-sin-01", Method: "POST", Target: "http://shop.example.com/api/orders", Status: 502,
		Arrived: at.Add(-time.Minute), ResponseBytes: 61, Queued: -1, Sent: -1, Connect: -1, FirstByte: 4 * time.Second, LastByte: 5 * time.Second,
		Outcome: engine.OutcomeOriginFailed, Reason: "connection refused",
		Heads: &engine.Heads{Request: "Host: shop\n", Response: "Content-Type: application/json\nDate: Sun, 22 Nov 2026 15:03:12 GMT\nSet-Cookie: a=31337\nX-Cache: miss\n"}}
	replay := original
	replay.ID, replay.Client, replay.Status, replay.Arrived, replay.Replay = 98299, "edge-iad-01", 200, at.Add(-66*time.Millisecond), true
	replay.FirstByte, replay.LastByte, replay.Outcome, replay.Reason, replay.ResponseBytes = 60*time.Millisecond, 66*time.Millisecond, engine.OutcomeCompleted, "", 77
	replay.Heads = &engine.Heads{Request: "Host: shop\n", Response: "Content-Type: application/json\nDate: Sun, 22 Nov 2026 15:04:12 GMT\nSet-Cookie: a=31338\nETag: \"x\"\n"}
	return &log{requests: map[engine.RequestID]engine.Request{original.ID: original, replay.ID: replay},
		contents: map[engine.RequestID]string{
			original.ID: `{"order":8812,"state":"failed","error":"no stock","items":[1,2,3]}`,
			replay.ID:   `{"order":8812,"state":"paid","items":[1,2,3],"api_key":"k-31337"}`}}
}

type stage struct {
	t      *testing.T
	log    *log
	screen *comparison.Screen
	frame  *pane.Frame
	canvas *canvas.Canvas
}

func newStage(t *testing.T, w, h int, l *log) *stage {
	st := &stage{t: t, log: l, screen: comparison.New(98204, 98299), canvas: canvas.New()}
	st.frame = &pane.Frame{Now: scene.Clock(), Class: pane.ClassOf(w, h), Width: w, Height: h, Glyphs: themes.Unicode(), UTC: true}
	st.frame.Keys, _, _ = keys.Load("", "")
	st.canvas.Resize(w, h-3)
	st.step(0)
	return st
}

func (st *stage) step(d time.Duration) string {
	st.frame.Now = st.frame.Now.Add(d)
	for _, w := range st.screen.Wants(st.frame) {
		w.Fetch(context.Background(), pane.Source{Log: st.log})
		w.Deliver(st.frame)
	}
	st.canvas.Clear()
	st.screen.Draw(st.canvas.Area(), st.frame)
	return st.canvas.Plain()
}

func TestComparisonAsPictured(t *testing.T) {
	for _, size := range [][2]int{{60, 15}, {80, 24}, {120, 36}, {200, 60}} {
		for _, ascii := range []bool{false, true} {
			st := newStage(t, size[0], size[1], both())
			file := fmt.Sprintf("answers-%dx%d", size[0], size[1])
			if ascii {
				file += "-ascii"
				st.frame.Glyphs = themes.ASCII()
				st.canvas.SetASCII(true)
				st.step(0)
			}
			golden.Equal(t, file, st.canvas)
		}
	}
}

func TestAnswerThatIsWaitedFor(t *testing.T) {
	l := both()
	done := l.requests[98299]
	running := done
	running.Status, running.Outcome, running.LastByte, running.FirstByte = 0, 0, -1, -1
	delete(l.requests, 98299)
	st := newStage(t, 120, 36, l)
	if got := st.step(time.Second); !strings.Contains(got, "not in the log") || !strings.Contains(got, "Waiting for the answer") {
		t.Errorf("before it is in the log:\n%s", got)
	}
	l.requests[98299] = running
	if got := st.step(time.Second); !strings.Contains(got, "in flight") || st.screen.Off(keys.Cancel, st.frame) != "" {
		t.Errorf("while it runs:\n%s", got)
	}
	if e, ok := do(t, st, keys.Cancel).(pane.Ask); !ok || e.Requests[0] != 98299 {
		t.Errorf("%#v", e)
	}
	l.requests[98299] = done
	got := st.step(time.Second)
	if !strings.Contains(got, `"state": "paid"`) || st.screen.Status(st.frame) == "in flight" || strings.Contains(got, "31337") || strings.Contains(got, "31338") {
		t.Errorf("at its end:\n%s", got)
	}
	asked := l.asked
	for range 20 {
		st.step(time.Second)
	}
	if l.asked != asked {
		t.Errorf("asked for %d times after the end", l.asked-asked)
	}
	do(t, st, keys.Reveal)
	if got := st.step(time.Second); !strings.Contains(got, "a=31338") {
		t.Errorf("revealed:\n%s", got)
	}
}

func TestReplayThatNeverComes(t *testing.T) {
	l := both()
	delete(l.requests, 98299)
	st := newStage(t, 120, 36, l)
	for range 8 {
		st.step(time.Second)
	}
	if got := st.step(time.Second); !strings.Contains(got, "was not recorded") || len(st.screen.Wants(st.frame)) != 0 {
		t.Errorf("it is waited for for ever:\n%s", got)
	}
}

func do(t *testing.T, st *stage, a keys.Action) pane.Effect {
	t.Helper()
	e, handled := st.screen.Do(a, st.frame)
	if !handled {
		t.Fatalf("%s was not handled", a)
	}
	return e
}

func TestDifferencesAreGoneThrough(t *testing.T) {
	l := both()
	var long, other strings.Builder
	for i := range 200 {
		fmt.Fprintf(&long, "line %d\n", i)
		if i == 50 || i == 150 {
			fmt.Fprintf(&other, "another %d\n", i)
		} else {
			fmt.Fprintf(&other, "line %d\n", i)
		}
	}
	l.contents[98204], l.contents[98299] = long.String(), other.String()
	for id, r := range l.requests {
		r.Heads = &engine.Heads{Request: "Host: a\n", Response: "Content-Type: text/plain\n"}
		l.requests[id] = r
	}
	st := newStage(t, 80, 24, l)
	do(t, st, keys.MoveLast)
	if got := st.step(0); !strings.Contains(got, "line 199") {
		t.Errorf("%s", got)
	}
	do(t, st, keys.MatchPrevious)
	if got := st.step(0); !strings.Contains(got, "another 150") {
		t.Errorf("%s", got)
	}
	do(t, st, keys.MatchPrevious)
	if got := st.step(0); !strings.Contains(got, "another 50") || !strings.Contains(got, "!") {
		t.Errorf("%s", got)
	}
	do(t, st, keys.MoveLast)
	if e, ok := do(t, st, keys.MatchNext).(pane.Say); !ok {
		t.Errorf("%#v", e)
	}
	if e := do(t, st, keys.Open); e != (pane.OpenRequest{ID: 98299}) {
		t.Errorf("%#v", e)
	}
}

func TestHostileAnswersStayInTheirColumns(t *testing.T) {
	hostile := "\x1b[2J\x07\u202e\u200b\r\t漢字\xff" + strings.Repeat("á", 300)
	l := both()
	for id, r := range l.requests {
		r.Method, r.Target, r.Client, r.Reason = hostile, hostile, hostile, hostile
		r.Heads = &engine.Heads{Response: hostile + ": " + hostile + "\n"}
		l.requests[id] = r
		l.contents[id] = hostile + id.String()
	}
	for _, size := range [][2]int{{60, 15}, {80, 24}, {120, 36}, {200, 60}, {20, 6}} {
		st := newStage(t, size[0], size[1], l)
		do(t, st, keys.Reveal)
		for y, line := range strings.Split(strings.TrimSuffix(st.step(time.Second), "\n"), "\n") {
			if strings.ContainsAny(line, "\x1b\x07\r\t\u202e\u200b") || canvas.Width(line) != size[0] {
				t.Errorf("%v line %d: %q", size, y, line)
			}
		}
	}
}
