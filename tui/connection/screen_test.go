package connection

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/filter"
	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/golden"
	"adit/tui/pane"
	"adit/tui/scene"
)

// A log has a few requests of one connection, three of them in flight.
type log struct{ all []engine.Request }

func logOf(id engine.ConnectionID) log {
	var l log
	for n := range 42 {
		r := engine.Request{ID: engine.RequestID(8000 + n), Connection: id, Client: "edge-sin-01", Method: "GET", Target: "http://shop.example.com/api/orders/" + strconv.Itoa(n),
			Status: 200, ResponseBytes: 1229, LastByte: 31 * time.Millisecond, Outcome: engine.OutcomeCompleted,
			Arrived: scene.Clock().Add(time.Duration(n-42) * 100 * time.Millisecond), Queued: 1, Sent: 1, FirstByte: 30 * time.Millisecond}
		if n >= 39 {
			r.Method, r.Target, r.Status, r.Outcome, r.LastByte = "POST", "http://shop.example.com/api/upload/"+strconv.Itoa(n), 0, engine.OutcomeNone, 0
			r.Live = new(engine.Live)
			r.Live.RequestBytes.Store(93 << 10)
			r.Live.ResponseBytes.Store(int64(n) << 10)
			if n == 40 {
				r.Live.Status.Store(200)
			}
		}
		l.all = append(l.all, r)
	}
	return l
}

func (l log) Requests(_ context.Context, q engine.RequestQuery, into *engine.RequestPage) error {
	f, err := filter.Parse(filter.Requests, q.Filter)
	if err != nil {
		return err
	}
	*into = engine.RequestPage{Requests: into.Requests[:0], Kept: len(l.all)}
	for i := range l.all {
		r := l.all[len(l.all)-1-i]
		if q.Ascending {
			r = l.all[i]
		}
		if f.Request(&r, &filter.Context{}) {
			into.Matched++
			if len(into.Requests) < q.Count {
				into.Requests = append(into.Requests, r)
			}
		}
	}
	return nil
}

func (l log) Request(context.Context, engine.RequestID) (engine.Request, error) {
	return engine.Request{}, engine.ErrNotFound
}

// A stage is the detail of a connection of the scene, with what it wants fetched.
type stage struct {
	*Screen
	frame *pane.Frame
	fake  *enginetest.Fake
	log   log
	c     *canvas.Canvas
	t     testing.TB
}

func staged(t testing.TB, w, h int, glyphs *themes.Glyphs) *stage {
	f := scene.New(scene.Options{}).Frame(w, h)
	f.Glyphs, f.Now = glyphs, f.Snapshot.Time
	id := f.Snapshot.Connections[3].ID
	for i := range f.Snapshot.Connections {
		if x := &f.Snapshot.Connections[i]; x.Client == "edge-sin-01" {
			id = x.ID
			x.State, x.InFlight = engine.StateBusy, 3
			break
		}
	}
	fake := enginetest.NewFake(*f.Snapshot)
	fake.Tape([]engine.FrameRecord{
		{Time: scene.Clock().Add(-30 * time.Millisecond), Opcode: 10, Fin: true, Length: 7},
		{Time: scene.Clock().Add(-20 * time.Millisecond), Out: true, Opcode: 2, Length: 16384, Note: "HEAD x17"},
		{Time: scene.Clock().Add(-10 * time.Millisecond), Out: true, Opcode: 0, Fin: true, Length: 4102, Note: "DATA x17"},
	})
	t.Cleanup(fake.End)
	s := &stage{Screen: New(id, nil), frame: f, fake: fake, log: logOf(id), c: canvas.New(), t: t}
	s.draw()
	return s
}

func (s *stage) draw() string {
	s.c.Resize(s.frame.Width, s.frame.Height-3)
	for range 3 {
		for _, w := range s.Wants(s.frame) {
			w.Fetch(context.Background(), pane.Source{Engine: s.fake, Log: s.log})
			w.Deliver(s.frame)
		}
		s.c.Clear()
		s.Draw(s.c.Area(), s.frame)
	}
	return s.c.Plain()
}

func (s *stage) do(actions ...keys.Action) pane.Effect {
	s.t.Helper()
	var effect pane.Effect
	for _, a := range actions {
		var handled bool
		if effect, handled = s.Do(a, s.frame); !handled {
			s.t.Fatalf("%s is not handled", a)
		}
		s.draw()
	}
	return effect
}

// gone takes the connection away and tells how it ended.
func (s *stage) gone(by string) {
	snap := s.frame.Snapshot
	i := snap.Index(s.id)
	x := snap.Connections[i]
	snap.Connections = append(snap.Connections[:i:i], snap.Connections[i+1:]...)
	s.frame.Meter.Add(snap)
	s.frame.Rows.Update(snap, s.frame.Meter)
	events := []engine.Event{}
	if by != "" {
		events = append(events, engine.Event{Kind: engine.KindOperatorAction, Action: engine.ActionKill, Operator: by, Target: s.id.String(), Reason: "stuck", Time: s.frame.Now})
	}
	events = append(events, engine.Event{Kind: engine.KindConnectionClosed, Connection: s.id, Client: x.Client, Code: 1001,
		Reason: "going away", Time: s.frame.Now, Duration: time.Minute, Closed: &x.Traffic})
	s.frame.Events.Add(engine.Batch{Events: events})
	s.frame.Now = s.frame.Now.Add(12 * time.Second)
}

func (s *stage) focus(n int) {
	s.panes.SetFocus(n)
	s.draw()
}

func TestPicture(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 36}, {200, 60}, {60, 15}} {
		for _, glyphs := range []*themes.Glyphs{themes.Unicode(), themes.ASCII()} {
			name := strconv.Itoa(size[0]) + "x" + strconv.Itoa(size[1]) + "-" + glyphs.Name
			t.Run(name, func(t *testing.T) {
				s := staged(t, size[0], size[1], glyphs)
				golden.Equal(t, name, s.c)
			})
		}
	}
}

func TestPictureOfWhatIsGone(t *testing.T) {
	s := staged(t, 120, 36, themes.Unicode())
	s.gone("ops")
	s.draw()
	golden.Equal(t, "gone-120x36", s.c)
	crumbs := strings.Join(s.Crumbs(s.frame), " ")
	if !strings.Contains(crumbs, "closed 1001 going away, 12s ago") {
		t.Errorf("crumbs are %q", crumbs)
	}
	if s.Status(s.frame) != "frozen" {
		t.Errorf("status is %q", s.Status(s.frame))
	}
	for _, a := range []keys.Action{keys.Kill, keys.Drain} {
		if say, ok := s.do(a).(pane.Say); !ok || !strings.Contains(say.Text, "already closed 12s ago") {
			t.Errorf("%s of what is gone: %v", a, say)
		}
	}
	s.focus(paneStreams)
	if _, ok := s.do(keys.Cancel).(pane.Ask); ok {
		t.Error("what is gone has streams to cancel")
	}
}

// A connection that ended before anybody looked is known from its events only.
func TestConnectionKnownFromEventsOnly(t *testing.T) {
	s := staged(t, 120, 36, themes.Unicode())
	id := s.id
	s.gone("")
	s.Screen = New(id, nil)
	text := s.draw()
	for _, want := range []string{"edge-sin-01", "close: 1001 going away"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not shown:\n%s", want, text)
		}
	}
	s.Screen = New(99_999, nil)
	if text := s.draw(); strings.Contains(text, "closed 1001") || strings.Join(s.Crumbs(s.frame), "") == "" {
		t.Errorf("a connection that nobody knows:\n%s", text)
	}
}

func TestStreamThatCantBeCancelled(t *testing.T) {
	s := staged(t, 120, 36, themes.Unicode())
	s.focus(paneStreams)
	s.do(keys.MoveDown)
	ask, ok := s.do(keys.Cancel).(pane.Ask)
	if !ok || ask.Action != keys.Cancel || len(ask.Requests) != 1 || ask.Requests[0] != 8040 {
		t.Fatalf("cancel gives %+v", ask)
	}
	if open, ok := s.do(keys.Open).(pane.OpenRequest); !ok || open.ID != 8040 {
		t.Errorf("open gives %v", open)
	}
	// The first one ends: the cursor stays on its stream.
	s.log.all = append(s.log.all[:39:39], s.log.all[40:]...)
	s.draw()
	if ask = s.do(keys.Cancel).(pane.Ask); ask.Requests[0] != 8040 {
		t.Errorf("the cursor went to %v", ask.Requests)
	}
	s.log.all = s.log.all[:39]
	s.draw()
	if _, ok := s.do(keys.Cancel).(pane.Say); !ok {
		t.Error("nothing is in flight, and something is cancelled")
	}
}

func TestKeysOfAConnection(t *testing.T) {
	s := staged(t, 120, 36, themes.Unicode())
	if ask := s.do(keys.Kill).(pane.Ask); len(ask.Connections) != 1 || ask.Connections[0] != s.id {
		t.Errorf("kill asks for %+v", ask)
	}
	if ask := s.do(keys.Drain).(pane.Ask); ask.Action != keys.Drain {
		t.Errorf("drain asks for %+v", ask)
	}
	if ask := s.do(keys.Ban).(pane.Ask); len(ask.Clients) != 1 || ask.Clients[0] != "edge-sin-01" {
		t.Errorf("ban asks for %+v", ask)
	}
	s.do(keys.RawGreeting)
	if text := s.c.Plain(); !strings.Contains(text, `"id": "edge-sin-01"`) {
		t.Errorf("raw shows\n%s", text)
	}
	s.do(keys.RawGreeting)
	s.do(keys.ResetCounters)
	if text := s.c.Plain(); !strings.Contains(text, "since 15:04:12") || !strings.Contains(text, "binary        0") {
		t.Errorf("reset shows\n%s", text)
	}
	first := s.id
	s.do(keys.ItemNext)
	if s.id == first {
		t.Error("next is the same")
	}
	if text := s.c.Plain(); strings.Contains(text, "since 15:04:12") {
		t.Error("the counters of the next connection are reset too")
	}
	s.do(keys.ItemPrevious)
	if s.id != first {
		t.Errorf("next and previous lead from %v to %v", first, s.id)
	}
	s.focus(paneGreeting)
	if c, ok := s.do(keys.Copy).(pane.CopyText); !ok || c.Choices[0].Text != s.id.String() {
		t.Errorf("copy gives %v", c)
	}
	if _, handled := s.Do(keys.Back, s.frame); handled {
		t.Error("back stays")
	}
}

func TestTapeThatIsArmedUnseen(t *testing.T) {
	wants := func(s *stage) bool {
		for _, w := range s.Wants(s.frame) {
			if w == pane.Want(&s.tape) {
				return true
			}
		}
		return false
	}
	if s := staged(t, 120, 36, themes.Unicode()); wants(s) {
		t.Error("a tape that is not shown is asked for")
	}
	s := staged(t, 200, 60, themes.Unicode())
	if !wants(s) || !strings.Contains(s.draw(), "HEAD x17") {
		t.Error("a tape that is shown is not asked for")
	}
	s.frame.Paused = true
	if wants(s) {
		t.Error("a screen that stands still asks for the tape")
	}
	s.frame.Paused = false
	s.gone("")
	s.draw()
	if wants(s) {
		t.Error("the tape of what is gone is asked for")
	}
}

func TestTLSOfAConnection(t *testing.T) {
	s := staged(t, 160, 50, themes.Unicode())
	if text := s.draw(); strings.Contains(text, "TLS_") {
		t.Errorf("a connection in clear:\n%s", text)
	}
	i := s.frame.Snapshot.Index(s.id)
	s.frame.Snapshot.Connections[i].TLS = engine.TLS{Version: "1.3", Cipher: "TLS_AES_128_GCM_SHA256", Peer: "edge.example"}
	if text := s.draw(); !strings.Contains(text, "1.3  TLS_AES_128_GCM_SHA256") || !strings.Contains(text, "edge.example") {
		t.Errorf("not shown:\n%s", text)
	}
}

func TestHostileGreeting(t *testing.T) {
	s := staged(t, 200, 60, themes.Unicode())
	i := s.frame.Snapshot.Index(s.id)
	evil := "\x1b[2J\x07\u202e" + strings.Repeat("W", 300)
	s.frame.Snapshot.Connections[i].Client = evil
	s.frame.Snapshot.Connections[i].Greeting = &engine.Greeting{ID: evil, Version: evil, OS: evil, Hostname: evil,
		Labels: map[string]string{evil: evil, "api_token": "hunter2", "region": "sin"},
		Raw:    `{"id":"x","labels":{"api_token":"hunter2","secret":{"a":"hunter2"}},"expose":[]}`, Size: 70}
	s.frame.Snapshot.Connections[i].TLS = engine.TLS{Version: "1.3", Cipher: "TLS_AES_128_GCM_SHA256", Peer: evil}
	s.frame.Rows.Update(s.frame.Snapshot, s.frame.Meter)
	for range 2 {
		text := s.draw()
		if strings.ContainsAny(text, "\x1b\x07\u202e") {
			t.Error("control characters reach the screen")
		}
		if strings.Contains(text, "hunter2") {
			t.Errorf("a secret label is shown:\n%s", text)
		}
		for _, row := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
			if canvas.Width(row) != 200 {
				t.Errorf("a row of %d cells: %q", canvas.Width(row), row)
			}
		}
		s.do(keys.RawGreeting)
	}
}

func TestRawThatWasCutAtASecret(t *testing.T) {
	for raw, want := range map[string]string{
		`{"id":"x","token":"hunter2","more":"`:  `{"id":"x","token ***`,
		`{"id":"x","labels":{"region":"sin"`:    `{"id":"x","labels":{"region":"sin"`,
		`edge-1_4`:                              `edge-1_4`,
		`{"TOKEN":"İhunter2`:                    `***`,
		`{"a":1,"secret":["hunter2","x"],"b":2`: `{"a":1,"secret ***`,
		`{"x\": y token":"hunter2"}`:            "{\n  \"x\\\": y token\": \"***\"\n}",
		`{"\u0074oken":"hunter2"}`:              "{\n  \"\\u0074oken\": \"***\"\n}",
	} {
		if got := strings.Join(rawLines(raw, "***"), "\n"); got != want {
			t.Errorf("%s is shown as %q, want %q", raw, got, want)
		}
	}
	if got := strings.Join(rawLines(`{"a":1,"secret":["hunter2","x"],"b":2}`, "***"), "\n"); strings.Contains(got, "hunter2") || !strings.Contains(got, `"b": 2`) {
		t.Errorf("shown is %s", got)
	}
}

func TestPingThatIsCountedAsLostTooSoon(t *testing.T) {
	x := &engine.Connection{}
	for _, c := range []struct{ sent, answered, want uint64 }{{0, 0, 0}, {1, 0, 0}, {5, 5, 0}, {5, 4, 0}, {5, 3, 1}, {9, 0, 8}, {1, 7, 0}} {
		x.FramesOut.Ping, x.FramesIn.Pong = c.sent, c.answered
		if got, _ := lost(x); got != c.want {
			t.Errorf("%d of %d answered: %d lost, want %d", c.answered, c.sent, got, c.want)
		}
	}
}

func TestSpread(t *testing.T) {
	s, _ := spreadOf([]float32{5, 1, 2, 3, 4}, nil)
	if s != (spread{4, 1, 3, 5, 5}) {
		t.Errorf("%+v", s)
	}
	if s, _ = spreadOf(nil, nil); s.last >= 0 {
		t.Error("a spread of nothing")
	}
}

func TestMouseOnAConnection(t *testing.T) {
	s := staged(t, 120, 36, themes.Unicode())
	s.Mouse(pane.Mouse{X: 80, Y: 16, Kind: pane.Click}, s.frame)
	if s.panes.Focus() != paneStreams || s.stream() != 8040 {
		t.Errorf("a click gives the focus to %d, on %v", s.panes.Focus(), s.stream())
	}
	if open, ok := s.Mouse(pane.Mouse{X: 80, Y: 15, Kind: pane.DoubleClick}, s.frame).(pane.OpenRequest); !ok || open.ID != 8039 {
		t.Errorf("a double click opens %v", open)
	}
	s.Mouse(pane.Mouse{X: 5, Y: 5, Kind: pane.Wheel, Amount: 3}, s.frame)
	s.draw()
	if s.scroll != 1 {
		t.Errorf("twelve lines in eleven are scrolled by %d", s.scroll)
	}
	if open, ok := s.Mouse(pane.Mouse{X: 20, Y: 25, Kind: pane.DoubleClick}, s.frame).(pane.OpenRequest); !ok || open.From == nil {
		t.Errorf("a double click on a request gives %v", open)
	}
}

// Content implements [engine.RequestLog].
func (log) Content(context.Context, engine.RequestID, *engine.Content) error {
	return engine.ErrNotFound
}

// Events implements [engine.RequestLog].
func (log) Events(_ context.Context, _ engine.EventQuery, into *engine.EventPage) error {
	*into = engine.EventPage{Events: into.Events[:0], Keys: into.Keys[:0]}
	return nil
}
