package requests_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/observe"
	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/golden"
	"adit/tui/pane"
	"adit/tui/requests"
	"adit/tui/scene"
)

// A theatre draws frames of the whole screen from an invented engine.
type theatre struct {
	t      testing.TB
	log    engine.RequestLog
	plain  *plainLog
	screen *requests.Screen
	frame  *pane.Frame
	canvas *canvas.Canvas
}

func newTheatre(t testing.TB, w, h int, ascii bool) *theatre {
	s := scene.New(scene.Options{})
	th := &theatre{t: t, plain: &plainLog{}, screen: requests.New(), canvas: canvas.New()}
	th.frame = &pane.Frame{Now: scene.Clock(), Class: pane.ClassOf(w, h), Width: w, Height: h, Glyphs: themes.Unicode(), UTC: true,
		Snapshot: scene.Snapshot(), Meter: observe.NewMeter(), Memory: memory{}}
	th.frame.Keys, _, _ = keys.Load("", "")
	th.log = th.plain
	th.plain.records = s.Requests(1500)
	upload := &th.plain.records[700]
	id, at := upload.ID, upload.Arrived
	*upload = s.Request(s.Upload(), true)
	upload.ID, upload.Arrived = id, at
	if ascii {
		th.frame.Glyphs = themes.ASCII()
		th.canvas.SetASCII(true)
	}
	// The graph is not what these tests are about: it shows a simple ramp, the
	// first third of which is not known.
	gauge := th.frame.Meter.Total()
	for i := range gauge.Rate.Values {
		gauge.Rate.Values[i] = float32(i * 20)
		if i < 20 {
			gauge.Rate.Values[i] = -1
		}
	}
	gauge.Statuses = [6]float64{2, 0, 961, 19, 12, 8}
	th.canvas.Resize(w, h-3)
	th.draw()
	th.step()
	th.step()
	return th
}

func (th *theatre) step() {
	th.frame.Now = th.frame.Now.Add(300 * time.Millisecond)
	for _, w := range th.screen.Wants(th.frame) {
		w.Fetch(context.Background(), pane.Source{Log: th.log})
		w.Deliver(th.frame)
	}
	th.draw()
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
	return e
}

func TestRequestsAsPictured(t *testing.T) {
	for _, size := range [][2]int{{60, 15}, {80, 24}, {120, 36}, {200, 60}} {
		for _, ascii := range []bool{false, true} {
			name := fmt.Sprintf("%dx%d", size[0], size[1])
			if ascii {
				name += "-ascii"
			}
			t.Run(name, func(t *testing.T) {
				th := newTheatre(t, size[0], size[1], ascii)
				golden.Equal(t, "following-"+name, th.canvas)
				th.screen.SetFilter("status:>=500 dur:>200ms client:edge-*")
				th.step()
				for range 2 {
					th.do(keys.MoveDown)
				}
				for range 3 {
					th.do(keys.Mark)
				}
				for range 3 {
					th.do(keys.MoveUp)
				}
				th.frame.Paused, th.frame.Until = true, th.plain.records[len(th.plain.records)-1].ID
				th.plain.lost = 12
				th.step()
				th.step()
				golden.Equal(t, "paused-"+name, th.canvas)
				th.screen.SetFilter("status:5xx path:/nowhere")
				th.step()
				th.step()
				golden.Equal(t, "nothing-"+name, th.canvas)
			})
		}
	}
}

func TestPreviewShowsHeadsMaskedUntilAskedFor(t *testing.T) {
	th := newTheatre(t, 200, 60, false)
	th.screen.SetFilter("path:/api/upload dur:5s status:502")
	th.step()
	th.step()
	if got := th.draw(); strings.Contains(got, "eyJ") || !strings.Contains(got, "••••••••••") {
		t.Fatalf("not masked:\n%s", got)
	}
	th.do(keys.Reveal)
	if got := th.draw(); !strings.Contains(got, "eyJhbGciOiJIUzI1NiJ9") {
		t.Fatalf("not revealed:\n%s", got)
	}
	// Another row, and back: what was revealed once is masked again.
	th.screen.SetFilter("")
	th.step()
	th.do(keys.MoveDown)
	th.step()
	th.screen.SetFilter("path:/api/upload dur:5s status:502")
	th.step()
	th.step()
	if got := th.draw(); strings.Contains(got, "eyJ") {
		t.Errorf("revealed for ever:\n%s", got)
	}
}

func TestEscClearsTheFilterThenTheMarks(t *testing.T) {
	th := newTheatre(t, 120, 36, false)
	th.screen.SetFilter("status:5xx")
	th.step()
	th.do(keys.Mark)
	th.do(keys.Back)
	if th.screen.Filter() != "" || !strings.Contains(th.draw(), "1 marked") {
		t.Fatalf("filter %q", th.screen.Filter())
	}
	th.do(keys.Back)
	if strings.Contains(th.draw(), "marked") {
		t.Error("the mark is still there")
	}
	if _, handled := th.screen.Do(keys.Back, th.frame); handled {
		t.Error("esc with nothing to clear was handled")
	}
	th.do(keys.Undo)
	if !strings.Contains(th.draw(), "1 marked") {
		t.Error("undo does not bring the mark back")
	}
	th.do(keys.Undo)
	if th.screen.Filter() != "status:5xx" {
		t.Errorf("undo does not bring the filter back: %q", th.screen.Filter())
	}
}

func TestMatchGoesThroughWhatTheLastFilterSelected(t *testing.T) {
	th := newTheatre(t, 120, 36, false)
	th.screen.SetFilter("status:>=500")
	th.step()
	var want []engine.RequestID
	for _, r := range th.screen.List().Page().Requests[:5] {
		want = append(want, r.ID)
	}
	th.do(keys.Back)
	th.step()
	for i, id := range want {
		th.do(keys.MatchNext)
		th.step()
		th.step()
		if r := th.screen.List().Selected(); r == nil || r.ID != id {
			t.Fatalf("match %d is not r-%d", i, id)
		}
	}
	th.do(keys.MatchPrevious)
	th.step()
	th.step()
	if r := th.screen.List().Selected(); r == nil || r.ID != want[3] {
		t.Errorf("back from r-%d it is not r-%d", want[4], want[3])
	}
}

func TestMarkAllAndRange(t *testing.T) {
	th := newTheatre(t, 120, 36, false)
	th.screen.SetFilter("status:>=500")
	th.step()
	matched := th.screen.Matches().Matched
	th.do(keys.MarkAll)
	th.step()
	if !strings.Contains(th.draw(), fmt.Sprintf("%d marked", matched)) {
		t.Fatalf("not all %d are marked:\n%s", matched, th.draw())
	}
	th.screen.SetFilter("is:marked status:504")
	th.step()
	if n := th.screen.Matches().Matched; n == 0 || n == matched {
		t.Errorf("is:marked selects %d of %d", n, matched)
	}
	th.do(keys.Back, keys.Back)
	th.step()
	th.do(keys.MarkRange, keys.MoveDown, keys.MoveDown, keys.MoveDown, keys.MarkRange)
	if !strings.Contains(th.draw(), "4 marked") {
		t.Errorf("a range of four rows:\n%s", th.draw())
	}
}

func TestCancelAsksForWhatIsInFlightOnly(t *testing.T) {
	th := newTheatre(t, 120, 36, false)
	if e, _ := th.screen.Do(keys.Cancel, th.frame); e == nil {
		t.Fatal("no answer")
	} else if _, ok := e.(pane.Say); !ok || th.screen.Off(keys.Cancel, th.frame) == "" {
		t.Fatalf("a request that is over: %#v", e)
	}
	id := th.plain.records[len(th.plain.records)-2].ID
	th.plain.run(id)
	th.step()
	th.do(keys.MoveDown)
	ask, ok := th.do(keys.Cancel).(pane.Ask)
	if !ok || len(ask.Requests) != 1 || ask.Requests[0] != id || ask.Action != keys.Cancel {
		t.Errorf("%#v", ask)
	}
}

// A record of something that has just begun may not name its client yet.
func TestClientOfWhatRunsIsThatOfItsConnection(t *testing.T) {
	th := newTheatre(t, 120, 36, false)
	c := th.frame.Snapshot.Connections[3]
	r := th.plain.run(th.plain.records[len(th.plain.records)-1].ID)
	r.Client, r.Connection = "", c.ID
	th.step()
	if line := strings.Split(th.draw(), "\n")[5]; !strings.Contains(line, c.Client) {
		t.Errorf("%s is not in %s", c.Client, line)
	}
	r.Connection = 1 << 60
	th.step()
	if line := strings.Split(th.draw(), "\n")[5]; !strings.Contains(line, " - ") {
		t.Errorf("an unknown client: %s", line)
	}
}

func TestClauseThatExcludesMostIsUnderlined(t *testing.T) {
	th := newTheatre(t, 120, 36, false)
	th.screen.SetFilter("status:5xx path:/nowhere method:GET")
	for range 3 {
		th.step()
	}
	asked := th.plain.asked
	th.step()
	if th.plain.asked != asked+1 {
		t.Errorf("%d queries for a frame where nothing changed", th.plain.asked-asked)
	}
	underlined := ""
	for y, line := range strings.Split(th.draw(), "\n") {
		for x, r := range []rune(line) {
			if th.canvas.StyleAt(x, y)&canvas.Underline != 0 {
				underlined += string(r)
			}
		}
	}
	if underlined != "path:/nowhere" {
		t.Errorf("underlined is %q", underlined)
	}
}

// performs runs what an effect asks for off the loop.
func (th *theatre) performs(e pane.Effect) pane.Effect {
	th.t.Helper()
	p, ok := e.(pane.Perform)
	if !ok {
		th.t.Fatalf("%#v", e)
	}
	return p.Do(th.t.Context(), pane.Source{Log: th.log}, "ops")
}

func TestCurlOfARow(t *testing.T) {
	th := newTheatre(t, 120, 36, false)
	th.screen.SetFilter("path:/api/upload dur:5s status:502")
	th.step()
	e, ok := th.performs(th.do(keys.CopyCurl)).(pane.CopyText)
	if !ok || len(e.Choices) != 1 || strings.Contains(e.Choices[0].Text, "eyJ") || !strings.Contains(e.Choices[0].Text, "-H 'Authorization: ***'") {
		t.Fatalf("%#v", e)
	}
	th.do(keys.Reveal)
	if e := th.performs(th.do(keys.CopyCurl)).(pane.CopyText); !strings.Contains(e.Choices[0].Text, "eyJ") {
		t.Errorf("revealed: %s", e.Choices[0].Text)
	}
	if e := th.performs(th.do(keys.Copy)).(pane.CopyText); len(e.Choices) < 4 {
		t.Errorf("copy menu: %#v", e.Choices)
	}
}

func TestColumnsAreChosenAndKept(t *testing.T) {
	th := newTheatre(t, 120, 36, false)
	menu := th.do(keys.Columns).(pane.ChooseColumns)
	for i := range menu.Columns {
		menu.Columns[i].Shown = menu.Columns[i].Name == "host" || menu.Columns[i].Name == "path" || menu.Columns[i].Name == "id"
	}
	menu.Apply(menu.Columns)
	header := strings.Split(th.draw(), "\n")[4]
	if !strings.Contains(header, "HOST") || !strings.Contains(header, "ID") || strings.Contains(header, "CLIENT") || !strings.Contains(header, "TIME") {
		t.Errorf("header %q", header)
	}
	again := requests.New()
	again.Draw(th.canvas.Area(), th.frame)
	if header := strings.Split(th.canvas.Plain(), "\n")[4]; !strings.Contains(header, "HOST") {
		t.Errorf("not kept: %q", header)
	}
	for i := range menu.Columns {
		menu.Columns[i].Shown = false
	}
	menu.Apply(menu.Columns)
	if header := strings.Split(th.draw(), "\n")[4]; !strings.Contains(header, "TIME") {
		t.Errorf("a list without columns: %q", header)
	}
}

func TestPreviewIsSizedHiddenAndDragged(t *testing.T) {
	th := newTheatre(t, 200, 60, false)
	width := func() int {
		for _, line := range strings.Split(th.draw(), "\n") {
			if before, _, ok := strings.Cut(line, "╭─ Preview"); ok {
				return 200 - len([]rune(before))
			}
		}
		return 0
	}
	if width() != 70 {
		t.Fatalf("the preview is %d wide", width())
	}
	th.do(keys.PaneGrow)
	if width() != 74 {
		t.Errorf("grown: %d", width())
	}
	edge := 200 - 74
	th.screen.Mouse(pane.Mouse{X: edge - 1, Y: 30, Kind: pane.Click}, th.frame)
	th.screen.Mouse(pane.Mouse{X: 150, Y: 30, Kind: pane.Drag}, th.frame)
	th.screen.Mouse(pane.Mouse{X: 150, Y: 30, Kind: pane.Release}, th.frame)
	if width() != 50 {
		t.Errorf("dragged: %d", width())
	}
	th.do(keys.PanePreview)
	if width() != 0 {
		t.Errorf("hidden: %d", width())
	}
	th.do(keys.PanePreview, keys.PaneZoom)
	if width() != 0 {
		t.Errorf("zoomed: %d", width())
	}
}

func TestClickOnTheFilterEditsIt(t *testing.T) {
	th := newTheatre(t, 120, 36, false)
	if e := th.screen.Mouse(pane.Mouse{X: 10, Y: 1, Kind: pane.Click}, th.frame); e != (pane.EditFilter{}) {
		t.Errorf("%#v", e)
	}
	if e := th.do(keys.Filter); e != (pane.EditFilter{}) {
		t.Errorf("%#v", e)
	}
}

func TestValuesOfWhatIsHere(t *testing.T) {
	th := newTheatre(t, 120, 36, false)
	for _, field := range []string{"status", "method", "path", "host", "client", "conn", "id", "way", "outcome", "caller"} {
		values := th.screen.Values(field)
		if len(values) == 0 || values[0].Count < 1 || values[0].Text == "" {
			t.Errorf("%s: %v", field, values)
		}
		for i := 1; i < len(values); i++ {
			if values[i].Count > values[i-1].Count {
				t.Errorf("%s: %v after %v", field, values[i], values[i-1])
			}
		}
	}
	if v := th.screen.Values("nothing"); len(v) != 0 {
		t.Errorf("%v", v)
	}
}

// What stands in records comes from the network.
func TestHostileRecordsStayInTheirPlace(t *testing.T) {
	for _, size := range [][2]int{{60, 15}, {120, 36}, {200, 60}} {
		th := newTheatre(t, size[0], size[1], false)
		hostile := "/\x1b[2J\x1b]0;x\x07\u202e\u200b\r\n\t漢字\xff\xfe" + strings.Repeat("á", 80)
		for i := range th.plain.records {
			r := &th.plain.records[i]
			r.Target, r.Client, r.Method, r.Caller, r.Reason = hostile, hostile, hostile, hostile, hostile
			r.Heads = &engine.Heads{Request: hostile + ": " + hostile + "\n" + strings.Repeat("x: y\n", 100), Response: "\n\n:\n"}
			r.Queued, r.Sent, r.FirstByte, r.LastByte, r.RequestBytes, r.ResponseBytes = -5, 1<<62, -1<<62, 7, -1<<63, 1<<62
		}
		th.step()
		th.do(keys.MoveDown, keys.Reveal, keys.MoveRight)
		th.step()
		th.step()
		for y, line := range strings.Split(strings.TrimSuffix(th.draw(), "\n"), "\n") {
			if strings.ContainsAny(line, "\x1b\x07\r\t\u202e\u200b") || canvas.Width(line) != size[0] {
				t.Errorf("%v line %d: %q", size, y, line)
			}
		}
		if e, ok := th.do(keys.CopyCurl).(pane.CopyText); ok && strings.ContainsAny(e.Choices[0].Text, "\x1b\x07\r") {
			t.Errorf("%q", e.Choices[0].Text)
		}
	}
}

func TestSampledIsSaidWhenRowsAreSkipped(t *testing.T) {
	th := newTheatre(t, 80, 24, false)
	last := th.plain.records[len(th.plain.records)-1]
	for i := range 4 {
		for range 3000 {
			last.ID++
			th.plain.records = append(th.plain.records, last)
		}
		th.step()
		if got := th.screen.Status(th.frame); i > 0 && got != "SAMPLED 1 in 200" {
			t.Errorf("15 rows of 3,000 new ones: %q", got)
		}
	}
	if first := strings.Split(th.draw(), "\n")[3]; !strings.Contains(first, "SAMPLED 1 in 200") {
		t.Errorf("%s", first)
	}
	for range 6 {
		th.step()
	}
	if got := th.screen.Status(th.frame); got != "" {
		t.Errorf("nothing comes any more: %q", got)
	}
}

// What came while another screen was shown was not skipped on this one.
func TestComingBackIsNotSampling(t *testing.T) {
	th := newTheatre(t, 80, 24, false)
	th.plain.add(500)
	th.frame.Now = th.frame.Now.Add(10 * time.Second)
	th.step()
	if got := th.screen.Status(th.frame); got != "" {
		t.Errorf("after ten seconds elsewhere: %q", got)
	}
}

// The tail is drawn at most four times a second while much comes.
func TestTailIsFetchedFourTimesASecond(t *testing.T) {
	th := newTheatre(t, 80, 24, false)
	last := th.plain.records[len(th.plain.records)-1]
	fetched := 0
	for i := range 40 {
		for range 100 {
			last.ID++
			th.plain.records = append(th.plain.records, last)
		}
		th.frame.Now = th.frame.Now.Add(100 * time.Millisecond)
		asked := th.plain.asked
		for _, w := range th.screen.Wants(th.frame) {
			w.Fetch(context.Background(), pane.Source{Log: th.log})
			w.Deliver(th.frame)
		}
		if i >= 20 && th.plain.asked > asked {
			fetched++
		}
	}
	if fetched > 9 || fetched < 5 {
		t.Errorf("in two seconds pages were fetched %d times", fetched)
	}
}
