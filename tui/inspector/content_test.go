package inspector_test

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
	"adit/tui/golden"
	"adit/tui/inspector"
	"adit/tui/pane"
	"adit/tui/scene"
)

// newStage shows a request of the scene with its content.
func newStage(t testing.TB, w, h int, pick func(*scene.Scene) engine.RequestID) *stage {
	s := scene.New(scene.Options{})
	st := &stage{t: t, log: s.Log(), frame: s.Frame(w, h), canvas: canvas.New(), screen: inspector.New(pick(s), nil)}
	st.frame.Snapshot.Capture = engine.CaptureState{Capture: engine.Capture{Mode: engine.CaptureContent}, Sampling: 1}
	st.canvas.Resize(w, h-3)
	for range 3 {
		st.step(100 * time.Millisecond)
	}
	return st
}

type stage struct {
	t      testing.TB
	log    engine.RequestLog
	screen *inspector.Screen
	frame  *pane.Frame
	canvas *canvas.Canvas
}

func (st *stage) step(d time.Duration) string {
	st.frame.Now = st.frame.Now.Add(d)
	for _, w := range st.screen.Wants(st.frame) {
		w.Fetch(context.Background(), pane.Source{Log: st.log})
		w.Deliver(st.frame)
	}
	return st.draw()
}

func (st *stage) draw() string {
	st.canvas.Clear()
	st.screen.Draw(st.canvas.Area(), st.frame)
	return st.canvas.Plain()
}

func (st *stage) do(actions ...keys.Action) (e pane.Effect) {
	st.t.Helper()
	for _, a := range actions {
		var handled bool
		if e, handled = st.screen.Do(a, st.frame); !handled {
			st.t.Fatalf("%s was not handled", a)
		}
	}
	for range 2 {
		st.step(100 * time.Millisecond)
	}
	return e
}

func TestContentAsPictured(t *testing.T) {
	picks := map[string]func(*scene.Scene) engine.RequestID{
		"big": (*scene.Scene).Upload, "call": (*scene.Scene).Call, "chat": (*scene.Scene).Chat, "stream": (*scene.Scene).Stream,
	}
	for name, pick := range picks {
		for _, size := range [][2]int{{80, 24}, {120, 36}, {200, 60}} {
			for _, ascii := range []bool{false, true} {
				st := newStage(t, size[0], size[1], pick)
				file := fmt.Sprintf("content-%s-%dx%d", name, size[0], size[1])
				if ascii {
					file += "-ascii"
					st.frame.Glyphs = themes.ASCII()
					st.canvas.SetASCII(true)
				}
				if name == "chat" || name == "stream" {
					st.do(keys.PaneNext, keys.PaneNext)
				}
				st.draw()
				golden.Equal(t, file, st.canvas)
			}
		}
	}
}

func TestContentIsReadInTheWayThatWasChosen(t *testing.T) {
	st := newStage(t, 120, 60, (*scene.Scene).Call)
	st.do(keys.PaneNext)
	want := func(what string, there, gone []string) {
		t.Helper()
		got := st.draw()
		for _, s := range there {
			if !strings.Contains(got, s) {
				t.Errorf("%s: no %q in\n%s", what, s, got)
			}
		}
		for _, s := range gone {
			if strings.Contains(got, s) {
				t.Errorf("%s: %q in\n%s", what, s, got)
			}
		}
	}
	want("pretty", []string{"json, gzip undone", `"title": "tuning fork"`, `"api_key": "***"`, "masked"}, []string{"k-31337"})
	st.do(keys.Reveal)
	want("revealed", []string{`"api_key": "k-31337"`}, nil)
	st.do(keys.Pretty)
	want("as it came", []string{`{"took":3,"total":2`}, []string{`"title": "tuning`})
	st.do(keys.Hex)
	want("hex", []string{"00000000  1f 8b 08", "hex"}, nil)
	st.do(keys.Hex, keys.Pretty, keys.Reveal)
	want("back", []string{`"title": "tuning fork"`}, []string{"k-31337", "1f 8b"})
}

func TestSearchGoesFromMatchToMatch(t *testing.T) {
	st := newStage(t, 120, 36, (*scene.Scene).Call)
	st.do(keys.PaneNext)
	ask, ok := st.do(keys.Filter).(pane.AskText)
	if !ok {
		t.Fatal("/ asks for nothing")
	}
	if e := ask.Then("TITLE"); e != nil {
		t.Fatalf("%#v", e)
	}
	first := st.draw()
	if !strings.Contains(first, `"title": "tunnel boring`) {
		t.Errorf("the first match is not shown:\n%s", first)
	}
	underlined := ""
	for y, line := range strings.Split(first, "\n") {
		for x, r := range []rune(line) {
			if st.canvas.StyleAt(x, y)&canvas.Underline != 0 {
				underlined += string(r)
			}
		}
	}
	if !strings.HasPrefix(underlined, "title") {
		t.Errorf("underlined is %q", underlined)
	}
	st.do(keys.MatchNext)
	if got := st.draw(); !strings.Contains(got, "tuning fork") {
		t.Errorf("the second match is not shown:\n%s", got)
	}
	if e, ok := ask.Then("eyJ").(pane.Say); !ok {
		t.Errorf("what is masked was found: %#v", e)
	}
	if e, ok := ask.Then("set-cookie").(pane.Say); ok {
		t.Errorf("a name of a field was not found: %#v", e)
	}
	if e, ok := ask.Then("31337").(pane.Say); !ok {
		t.Errorf("what is masked was found: %#v", e)
	}
	if _, handled := st.screen.Do(keys.Back, st.frame); !handled {
		t.Error("esc does not leave the search")
	}
}

// A growing is a log of one exchange that goes on.
type growing struct {
	record
	content engine.Content
	asked   int
}

func (g *growing) Content(_ context.Context, _ engine.RequestID, into *engine.Content) error {
	g.asked++
	into.Messages = append([]engine.Message(nil), g.content.Messages...)
	into.Request, into.Response, into.MessagesLost = g.content.Request, g.content.Response, g.content.MessagesLost
	return nil
}

func (g *growing) say(text string, caller bool) {
	g.content.Messages = append(g.content.Messages, engine.Message{Time: scene.Clock(), FromCaller: caller, Kind: engine.MessageText, Data: []byte(text), Size: int64(len(text))})
	r := g.kept[7]
	r.ResponseBytes += int64(len(text))
	g.kept[7] = r
}

func TestMessagesAreFollowedUntilTheOperatorLooksBack(t *testing.T) {
	g := &growing{record: record{kept: map[engine.RequestID]engine.Request{7: {ID: 7, Upgraded: true, Method: "GET", Target: "/ws", Status: 101, LastByte: -1,
		Queued: -1, Sent: -1, Connect: -1, FirstByte: -1, Arrived: scene.Clock(), Heads: &engine.Heads{}}}}}
	st := newStage(t, 120, 36, (*scene.Scene).Chat)
	st.log, st.screen = g, inspector.New(7, nil)
	for i := range 40 {
		g.say(fmt.Sprintf("message number %d.", i), i%2 == 0)
	}
	st.step(time.Second)
	st.do(keys.PaneNext, keys.PaneNext)
	if got := st.draw(); !strings.Contains(got, "number 39.") || strings.Contains(got, "number 2.") || !strings.Contains(got, "following") {
		t.Errorf("the newest is not followed:\n%s", got)
	}
	asked := g.asked
	st.step(100 * time.Millisecond)
	st.step(100 * time.Millisecond)
	if g.asked != asked {
		t.Errorf("the content was asked for %d times though nothing moved", g.asked-asked)
	}
	g.say("message number 40.", true)
	if got := st.step(100 * time.Millisecond); !strings.Contains(got, "number 40.") {
		t.Errorf("a new one is not there:\n%s", got)
	}
	st.do(keys.MoveUp, keys.MoveUp)
	for i := range 30 {
		g.say(fmt.Sprintf("message number %d.", 41+i), false)
	}
	if got := st.step(100 * time.Millisecond); strings.Contains(got, "number 70.") || !strings.Contains(got, "number 38.") {
		t.Errorf("looking back, it moves:\n%s", got)
	}
	st.do(keys.Open)
	if got := st.draw(); !strings.Contains(got, "message 39 from the caller") || !strings.Contains(got, "text message, text") {
		t.Errorf("one message:\n%s", got)
	}
	// Older ones go to make room: the one that is shown stays what it is.
	g.content.Messages, g.content.MessagesLost = g.content.Messages[10:], 10
	g.say("x", false)
	if got := st.step(100 * time.Millisecond); !strings.Contains(got, "message number 38.") {
		t.Errorf("it became another one:\n%s", got)
	}
	st.do(keys.Back)
	for y, line := range strings.Split(st.draw(), "\n") {
		if strings.Contains(line, "number 30.") {
			st.screen.Mouse(pane.Mouse{X: 60, Y: y, Kind: pane.Click}, st.frame)
			st.screen.Mouse(pane.Mouse{X: 60, Y: y, Kind: pane.Click}, st.frame)
		}
	}
	if got := st.step(100 * time.Millisecond); !strings.Contains(got, "message 31 from the caller") {
		t.Errorf("clicked twice:\n%s", got)
	}
	st.do(keys.Back, keys.Follow)
	if got := st.draw(); !strings.Contains(got, "10 earlier ones are not kept") || !strings.Contains(got, "following") {
		t.Errorf("following again:\n%s", got)
	}
}

func TestWhyThereIsNoContentStandsInWords(t *testing.T) {
	for want, change := range map[string]func(*pane.Frame){
		"Press C to capture this path's from now on": func(f *pane.Frame) { f.Snapshot.Capture.Mode = engine.CaptureHeads },
		"that of 1 in 8 is":                          func(f *pane.Frame) { f.Snapshot.Capture.Sampling = 8 },
		"it went to make room for newer content":     func(*pane.Frame) {},
	} {
		st := newStage(t, 400, 60, func(s *scene.Scene) engine.RequestID { return s.Upload() + 1 })
		change(st.frame)
		if got := st.step(100 * time.Millisecond); !strings.Contains(got, want) {
			t.Errorf("no %q:\n%s", want, got)
		}
	}
}

func TestHostileContentStaysInItsPanes(t *testing.T) {
	hostile := "\x1b[2J\x1b]52;c;x\x07\u202eabc\u2066\u200b\x00\r" + strings.Repeat("漢字á\u0301", 400) + strings.Repeat("x", 4000)
	for _, media := range []string{"text/plain", "application/json", "text/event-stream", "application/x-www-form-urlencoded", "image/png"} {
		g := &growing{record: record{kept: map[engine.RequestID]engine.Request{7: {ID: 7, Method: "GET", Target: "/", Status: 200, Outcome: engine.OutcomeCompleted,
			ResponseBytes: 9, Arrived: scene.Clock(), Heads: &engine.Heads{Response: "Content-Type: " + media + "\n", Request: "Content-Type: " + media + "\n"}}}}}
		part := engine.Part{Data: []byte(hostile), Size: int64(len(hostile)), Over: true}
		g.content = engine.Content{Request: part, Response: part, MessagesLost: 1 << 62}
		for kind := engine.MessageText; kind <= engine.MessageBytes; kind++ {
			g.content.Messages = append(g.content.Messages, engine.Message{Kind: kind, Compressed: kind%2 == 0, Data: part.Data, Size: -5})
		}
		for _, size := range [][2]int{{60, 15}, {80, 24}, {120, 36}, {200, 60}} {
			st := newStage(t, size[0], size[1], (*scene.Scene).Chat)
			st.log, st.screen = g, inspector.New(7, nil)
			st.step(time.Second)
			for _, a := range []keys.Action{keys.Reveal, keys.PaneNext, keys.Pretty, keys.PaneNext, keys.Open, keys.Hex, keys.MoveLast, keys.PaneZoom, keys.Back} {
				st.do(a)
				for y, line := range strings.Split(strings.TrimSuffix(st.draw(), "\n"), "\n") {
					if strings.ContainsAny(line, "\x1b\x07\r\t\x00\u202e\u2066\u200b") || canvas.Width(line) != size[0] {
						t.Fatalf("%s at %v after %s, line %d: %q", media, size, a, y, line)
					}
				}
			}
		}
	}
}

func TestSavingAndCopying(t *testing.T) {
	st := newStage(t, 120, 36, (*scene.Scene).Call)
	menu := st.do(keys.SaveContent).(pane.Choose)
	titles := ""
	for _, o := range menu.Options {
		titles += o.Title + "\n"
	}
	if titles != "response content, gzip undone\nresponse content, as it came in gzip\nrequest content\n" {
		t.Errorf("%s", titles)
	}
	if w := menu.Options[0].Effect.(pane.WriteFile); !strings.HasSuffix(w.Name, "-response.json") || !strings.HasPrefix(string(w.Content()), `{"took":3`) {
		t.Errorf("%q", w.Name)
	}
	if w := menu.Options[1].Effect.(pane.WriteFile); !strings.HasSuffix(w.Name, "-response.gzip.json") || string(w.Content()[:2]) != "\x1f\x8b" {
		t.Errorf("%q", w.Name)
	}
	curl := st.do(keys.CopyCurl).(pane.CopyText).Choices[0].Text
	if !strings.Contains(curl, `--data-binary '{"q":"tun"`) || strings.Contains(curl, "eyJ") {
		t.Errorf("%s", curl)
	}
	if w := st.do(keys.Write).(pane.WriteFile); !strings.Contains(string(w.Content()), "\"q\": \"tun\"") {
		t.Errorf("%q %s", w.Name, w.Content())
	}
	har := st.do(keys.HAR).(pane.Choose)
	for i, secret := range []bool{false, true} {
		b, err := har.Options[i].Effect.(pane.WriteFile).Fetch(t.Context(), pane.Source{Log: st.log})
		if err != nil || strings.Contains(string(b), "k-31337") != secret || !strings.Contains(string(b), `"compression"`) {
			t.Errorf("%v: %s", err, b)
		}
	}
	chat := newStage(t, 120, 36, (*scene.Scene).Chat)
	if menu := chat.do(keys.SaveContent).(pane.Choose); len(menu.Options) != 1 || menu.Options[0].Title != "8 messages, a line each" {
		t.Errorf("%+v", menu)
	}
}
