package inspector_test

import (
	"context"
	"errors"
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

// A record is a log of one or two requests.
type record struct {
	kept map[engine.RequestID]engine.Request
	err  error
	got  int
}

func (r *record) Requests(context.Context, engine.RequestQuery, *engine.RequestPage) error {
	return errors.New("not asked for")
}

func (r *record) Request(_ context.Context, id engine.RequestID) (engine.Request, error) {
	r.got++
	if r.err != nil {
		return engine.Request{}, r.err
	}
	if x, ok := r.kept[id]; ok {
		return x, nil
	}
	return engine.Request{}, fmt.Errorf("record %v: %w", id, engine.ErrNotFound)
}

// A row is a list of consecutive requests.
type row struct{ first, last engine.RequestID }

func (r row) Wants(*pane.Frame) []pane.Want { return nil }
func (r row) Step(id engine.RequestID, by int) (engine.RequestID, bool) {
	id = engine.RequestID(int(id) + by)
	return id, id >= r.first && id <= r.last
}
func (r row) Marked(id engine.RequestID) bool { return id == r.first }

type theatre struct {
	t      *testing.T
	log    record
	screen *inspector.Screen
	frame  *pane.Frame
	canvas *canvas.Canvas
}

// upload is the request of the picture, at the moment of it.
func upload() engine.Request {
	return engine.Request{ID: 98204, Connection: 17, Client: "edge-sin-01", Caller: "198.51.100.7:51422", Way: engine.WayHost,
		Protocol: engine.ProtocolNative, Method: "POST", Target: "/api/upload", Status: 502, RequestBytes: 4 << 20, ResponseBytes: 31,
		Arrived: scene.Clock().Add(-796 * time.Millisecond), Queued: 400 * time.Microsecond, Sent: 1500 * time.Microsecond, Connect: -1,
		FirstByte: 4999800 * time.Microsecond, LastByte: 5 * time.Second, Outcome: engine.OutcomeOriginFailed, Reason: "origin did not answer in 5s",
		Heads: &engine.Heads{
			Request: "host: shop.example.com\ncontent-type: application/json\ncontent-length: 4194304\nauthorization: Bearer eyJhbGciOiJIUzI1NiJ9\n" +
				"user-agent: okhttp/4.12\nx-request-id: 0190f0c2-7e1a-7c2e\nx-forwarded-for: 198.51.100.7\naccept: */*\nvia: 1.1 edge\n",
			Response: "content-type: text/plain\ncontent-length: 31\nset-cookie: sid=31337\ndate: Sun, 22 Nov 2026\n"}}
}

func frame(w, h int) *pane.Frame {
	f := &pane.Frame{Now: scene.Clock(), Class: pane.ClassOf(w, h), Width: w, Height: h, Glyphs: themes.Unicode(), UTC: true}
	f.Keys, _, _ = keys.Load("", "")
	return f
}

func newTheatre(t *testing.T, w, h int, r engine.Request) *theatre {
	th := &theatre{t: t, frame: frame(w, h), canvas: canvas.New(), screen: inspector.New(r.ID, row{r.ID, r.ID + 2})}
	th.log.kept = map[engine.RequestID]engine.Request{r.ID: r}
	th.frame.Events = pane.NewEventLog(100)
	at := func(d time.Duration) time.Time { return r.Arrived.Add(d) }
	th.frame.Events.Add(engine.Batch{Events: []engine.Event{
		{Seq: 1, Time: at(-time.Hour), Kind: engine.KindNotice, Connection: 17, Reason: "long before"},
		{Seq: 2, Time: at(time.Millisecond), Kind: engine.KindNotice, Connection: 17, Client: "edge-sin-01", Reason: "pong late 3.1s (limit 60s)"},
		{Seq: 3, Time: at(time.Millisecond), Kind: engine.KindNotice, Connection: 18, Reason: "of another connection"},
		{Seq: 4, Time: at(time.Second), Kind: engine.KindOperatorAction, Action: engine.ActionCancel, Operator: "ops", Target: r.ID.String(), Reason: "stuck"},
	}})
	th.canvas.Resize(w, h-3)
	th.step(100 * time.Millisecond)
	return th
}

func (th *theatre) step(d time.Duration) string {
	th.frame.Now = th.frame.Now.Add(d)
	for _, w := range th.screen.Wants(th.frame) {
		w.Fetch(context.Background(), pane.Source{Log: &th.log})
		w.Deliver(th.frame)
	}
	return th.draw()
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
	}
	th.draw()
	return e
}

func running() engine.Request {
	r := upload()
	r.Outcome, r.Reason, r.Status, r.Heads, r.FirstByte, r.LastByte = 0, "", 0, nil, -1, -1
	return r
}

func TestInspectorAsPictured(t *testing.T) {
	raw := upload()
	raw.Way, raw.Method, raw.Target, raw.Status, raw.Heads = engine.WayTCP, "", "tcp:2222", 0, nil
	raw.Outcome, raw.Reason = engine.OutcomeCompleted, ""
	for name, r := range map[string]engine.Request{"upload": upload(), "running": running(), "tcp": raw} {
		for _, size := range [][2]int{{60, 15}, {80, 24}, {120, 36}, {200, 60}} {
			for _, ascii := range []bool{false, true} {
				file := fmt.Sprintf("%s-%dx%d", name, size[0], size[1])
				th := newTheatre(t, size[0], size[1], r)
				if ascii {
					file += "-ascii"
					th.frame.Glyphs = themes.ASCII()
					th.canvas.SetASCII(true)
					th.draw()
				}
				golden.Equal(t, file, th.canvas)
			}
		}
	}
}

func TestCompactHasAllPartsInTabs(t *testing.T) {
	th := newTheatre(t, 80, 24, upload())
	for _, want := range []string{"┤Request├", "┤Response├", "┤Timing├", "┤Events├", "┤Request├"} {
		if got := th.draw(); !strings.Contains(got, want) {
			t.Fatalf("%s is not shown:\n%s", want, got)
		}
		th.do(keys.PaneNext)
	}
	th.do(keys.PanePrevious, keys.PanePrevious)
	if got := th.draw(); !strings.Contains(got, "┤Events├") || !strings.Contains(got, "CANCEL") || strings.Contains(got, "another") || strings.Contains(got, "long before") {
		t.Errorf("events:\n%s", got)
	}
	th.screen.Mouse(pane.Mouse{X: 23, Y: 3, Kind: pane.Click}, th.frame)
	if got := th.draw(); !strings.Contains(got, "┤Timing├") {
		t.Errorf("a click on a tab:\n%s", got)
	}
}

func TestSecretsAreMaskedUntilAskedForAndNeverLonger(t *testing.T) {
	th := newTheatre(t, 120, 36, upload())
	other := upload()
	other.ID++
	th.log.kept[other.ID] = other
	secret := func() bool {
		got := th.draw()
		return strings.Contains(got, "eyJhbGciOiJIUzI1NiJ9") || strings.Contains(got, "31337")
	}
	if secret() {
		t.Fatal("shown at once")
	}
	th.do(keys.Reveal)
	if !secret() {
		t.Fatal("not revealed")
	}
	if e := th.do(keys.CopyCurl).(pane.CopyText); !strings.Contains(e.Choices[0].Text, "eyJ") {
		t.Errorf("curl of what is revealed: %s", e.Choices[0].Text)
	}
	th.do(keys.ItemNext)
	th.step(time.Second)
	if secret() {
		t.Error("revealed for the next one too")
	}
	th.do(keys.ItemPrevious)
	th.step(time.Second)
	if secret() {
		t.Error("revealed when one comes back")
	}
	if e := th.do(keys.CopyCurl).(pane.CopyText); strings.Contains(e.Choices[0].Text, "eyJ") {
		t.Errorf("curl of what is masked: %s", e.Choices[0].Text)
	}
}

func TestStepsThroughTheListItCameFrom(t *testing.T) {
	th := newTheatre(t, 120, 36, upload())
	if !strings.Contains(th.draw(), "marked") {
		t.Error("the mark is not shown")
	}
	th.do(keys.ItemNext)
	if th.screen.ID() != 98205 || strings.Contains(th.draw(), "okhttp") {
		t.Errorf("r-%d, with the facts of the last one:\n%s", th.screen.ID(), th.draw())
	}
	if got := th.step(time.Second); !strings.Contains(got, "r-98205 is not in the log") || th.screen.Status(th.frame) != "not in the log" {
		t.Errorf("a record that is gone:\n%s", got)
	}
	th.do(keys.ItemNext)
	if say, ok := th.do(keys.ItemNext).(pane.Say); !ok || th.screen.ID() != 98206 {
		t.Errorf("beyond the last: %#v, r-%d", say, th.screen.ID())
	}
	alone := inspector.New(5, nil)
	if why := alone.Off(keys.ItemNext, th.frame); why == "" {
		t.Error("next of nothing")
	}
	if _, ok := alone.Do(keys.ItemNext, th.frame); !ok {
		t.Error("next of nothing has no answer")
	}
}

func TestRunningIsLiveAndFreezesAtItsEnd(t *testing.T) {
	th := newTheatre(t, 120, 36, running())
	if got := th.screen.Status(th.frame); got != "in flight" {
		t.Errorf("status %q", got)
	}
	first := th.draw()
	if second := th.step(100 * time.Millisecond); first == second {
		t.Error("it does not grow")
	}
	ask, ok := th.do(keys.Cancel).(pane.Ask)
	if !ok || len(ask.Requests) != 1 || ask.Requests[0] != 98204 {
		t.Errorf("cancel: %#v", ask)
	}
	th.log.kept[98204] = upload()
	th.step(100 * time.Millisecond)
	if got := th.screen.Status(th.frame); got != "frozen" || th.screen.Off(keys.Cancel, th.frame) == "" {
		t.Errorf("status %q", got)
	}
	if _, ok := th.do(keys.Cancel).(pane.Say); !ok {
		t.Error("cancel of what is over does not say so")
	}
	before, got := th.draw(), th.log.got
	for range 20 {
		th.step(100 * time.Millisecond)
	}
	if th.draw() != before || th.log.got > got+2 {
		t.Errorf("frozen, it changes, or was fetched %d times in 2 s", th.log.got-got)
	}
}

func TestWhatTheLogDropsStaysOnTheScreen(t *testing.T) {
	th := newTheatre(t, 120, 36, upload())
	bare := upload()
	bare.Heads = nil
	th.log.kept[98204] = bare
	if got := th.step(2 * time.Second); !strings.Contains(got, "okhttp") {
		t.Errorf("heads that were seen are gone:\n%s", got)
	}
	delete(th.log.kept, 98204)
	got := th.step(2 * time.Second)
	if !strings.Contains(got, "okhttp") || !strings.Contains(got, "not in the log any more") {
		t.Errorf("a record that left the log:\n%s", got)
	}
	late := newTheatre(t, 120, 36, bare)
	if got := late.draw(); !strings.Contains(got, "not kept any more") {
		t.Errorf("heads that were never seen:\n%s", got)
	}
}

func TestErrorOfTheLogIsShownUntilItIsOver(t *testing.T) {
	th := newTheatre(t, 120, 36, upload())
	th.screen = inspector.New(98204, nil)
	th.log.err = errors.New("read log: disk is full")
	if got := th.step(time.Second); !strings.Contains(got, "disk is full") {
		t.Errorf("not shown:\n%s", got)
	}
	th.log.err = nil
	if got := th.step(time.Second); strings.Contains(got, "disk is full") || !strings.Contains(got, "okhttp") {
		t.Errorf("shown for ever:\n%s", got)
	}
}

func TestLongHeadsScroll(t *testing.T) {
	r := upload()
	for i := range 90 {
		r.Heads.Request += fmt.Sprintf("x-field-%d: v\n", i)
	}
	th := newTheatre(t, 120, 36, r)
	th.do(keys.MoveLast)
	if got := th.draw(); !strings.Contains(got, "98204") || strings.Contains(got, "x-field-1 ") || !strings.Contains(got, "/1") {
		t.Errorf("the last lines:\n%s", got)
	}
	th.do(keys.MovePageUp, keys.MoveUp, keys.MoveDown)
	if got := th.draw(); !strings.Contains(got, "x-field-80") {
		t.Errorf("half a page up:\n%s", got)
	}
	th.do(keys.MoveFirst)
	th.screen.Mouse(pane.Mouse{X: 5, Y: 8, Kind: pane.Wheel, Amount: 12}, th.frame)
	if got := th.draw(); strings.Contains(got, "okhttp") || !strings.Contains(got, "x-field-5 ") {
		t.Errorf("the wheel:\n%s", got)
	}
	th.screen.Mouse(pane.Mouse{X: 100, Y: 8, Kind: pane.Click}, th.frame)
	if got := th.draw(); !strings.Contains(got, "┏━ Response") {
		t.Errorf("a click gives no focus:\n%s", got)
	}
}

func TestEnterGoesToTheConnection(t *testing.T) {
	th := newTheatre(t, 120, 36, upload())
	if e := th.do(keys.Open); e != (pane.OpenConnection{ID: 17}) {
		t.Errorf("%#v", e)
	}
	if e := th.do(keys.Copy).(pane.CopyText); len(e.Choices) < 5 {
		t.Errorf("%#v", e)
	}
	if got := strings.Join(th.screen.Crumbs(th.frame), " "); got != "req r-98204 POST /api/upload" {
		t.Errorf("crumbs %q", got)
	}
}

func TestHostileRecordStaysInItsPanes(t *testing.T) {
	hostile := "\x1b[2J\x1b]0;x\x07\u202e\u200b\r\n\t漢字\xff\xfe" + strings.Repeat("á", 200)
	r := upload()
	r.Method, r.Target, r.Client, r.Caller, r.Reason = hostile, hostile, hostile, hostile, hostile
	r.Heads = &engine.Heads{Request: hostile + ":" + hostile, Response: strings.Repeat("\n", 500)}
	r.Queued, r.FirstByte, r.RequestBytes = 1<<62, -1<<60, -1
	for _, size := range [][2]int{{60, 15}, {80, 24}, {120, 36}, {200, 60}} {
		th := newTheatre(t, size[0], size[1], r)
		th.do(keys.Reveal)
		for range 4 {
			for y, line := range strings.Split(strings.TrimSuffix(th.draw(), "\n"), "\n") {
				if strings.ContainsAny(line, "\x1b\x07\r\t\u202e\u200b") || canvas.Width(line) != size[0] {
					t.Errorf("%v line %d: %q", size, y, line)
				}
			}
			th.do(keys.PaneNext)
		}
	}
}

// Content implements [engine.RequestLog].
func (*record) Content(context.Context, engine.RequestID, *engine.Content) error {
	return engine.ErrNotFound
}

// Events implements [engine.RequestLog].
func (*record) Events(_ context.Context, _ engine.EventQuery, into *engine.EventPage) error {
	*into = engine.EventPage{Events: into.Events[:0], Keys: into.Keys[:0]}
	return nil
}
