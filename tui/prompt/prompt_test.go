package prompt_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"adit/engine/filter"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/golden"
	"adit/tui/pane"
	"adit/tui/prompt"
)

// A screen remembers what it was narrowed by.
type screen struct {
	text string
	set  []string
}

func (s *screen) Subject() filter.Subject { return filter.Requests }
func (s *screen) Filter() string          { return s.text }
func (s *screen) SetFilter(text string)   { s.text, s.set = text, append(s.set, text) }
func (s *screen) Matches() pane.Matches {
	return pane.Matches{Matched: 312, Of: 98_204, Took: 900 * time.Microsecond}
}

func (s *screen) Values(field string) []pane.Value {
	if field == "client" {
		return []pane.Value{{Text: "edge-sin-01", Count: 900}, {Text: "edge-fra-02", Count: 12}, {Text: `odd "one"`, Count: 1}}
	}
	return nil
}

type memory map[string]string

func (m memory) Get(name string) string { return m[name] }
func (m memory) Set(name, value string) { m[name] = value }

type theatre struct {
	t      *testing.T
	screen *screen
	prompt *prompt.Prompt
	frame  pane.Frame
	canvas *canvas.Canvas
	open   bool
	effect pane.Effect
}

func newTheatre(t *testing.T, text string, m memory) *theatre {
	th := &theatre{t: t, screen: &screen{text: text}, canvas: canvas.New(), open: true}
	th.frame = pane.Frame{Now: time.Date(2026, 11, 22, 15, 4, 12, 0, time.UTC), Glyphs: themes.Unicode(), UTC: true, Memory: m}
	th.size(120, 36)
	th.again()
	return th
}

func (th *theatre) size(w, h int) {
	th.frame.Width, th.frame.Height, th.frame.Class = w, h, pane.ClassOf(w, h)
	th.canvas.Resize(w, h)
}

// again opens the line anew.
func (th *theatre) again() { th.prompt, th.open = prompt.New(th.screen, &th.frame), true }

func (th *theatre) send(msg tea.Msg) {
	th.t.Helper()
	if !th.open {
		th.t.Fatalf("the line is closed before %v", msg)
	}
	th.effect, th.open = th.prompt.Update(msg, &th.frame)
}

func (th *theatre) keys(names ...string) {
	th.t.Helper()
	named := map[string]rune{"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "up": tea.KeyUp, "down": tea.KeyDown,
		"left": tea.KeyLeft, "home": tea.KeyHome, "backspace": tea.KeyBackspace}
	for _, name := range names {
		if code, ok := named[name]; ok {
			th.send(tea.KeyPressMsg{Code: code})
			continue
		}
		if name == "shift+tab" {
			th.send(tea.KeyPressMsg{Code: tea.KeyTab, Mod: tea.ModShift})
			continue
		}
		for _, r := range name {
			th.send(tea.KeyPressMsg{Code: r, Text: string(r)})
		}
	}
}

// pass draws a frame that much later.
func (th *theatre) pass(d time.Duration) string {
	th.frame.Now = th.frame.Now.Add(d)
	th.canvas.Clear()
	th.prompt.Draw(th.canvas.Area(), &th.frame)
	return th.canvas.Plain()
}

// line returns what stands in the box.
func (th *theatre) line() string {
	return strings.TrimSpace(strings.Trim(strings.Split(th.pass(0), "\n")[3], "┃ "))
}

func TestRowsFollowAMomentAfterTheLastKey(t *testing.T) {
	th := newTheatre(t, "", memory{})
	th.keys("status:5xx")
	th.pass(100 * time.Millisecond)
	if len(th.screen.set) != 0 || !th.prompt.Pending() {
		t.Fatalf("applied while typing: %q", th.screen.set)
	}
	th.pass(20 * time.Millisecond)
	if th.screen.text != "status:5xx" || th.prompt.Pending() {
		t.Fatalf("after 120 ms: %q", th.screen.text)
	}
	th.pass(time.Second)
	if len(th.screen.set) != 1 {
		t.Errorf("applied more than once: %q", th.screen.set)
	}
}

func TestBadClauseKeepsTheLastGoodFilter(t *testing.T) {
	th := newTheatre(t, "path:/api", memory{})
	th.keys(" dur:>20q")
	got := th.pass(time.Second)
	if th.screen.text != "path:/api" || !strings.Contains(got, "column 16") && !strings.Contains(got, "column 1") || !strings.Contains(got, "unit") {
		t.Fatalf("filter %q\n%s", th.screen.text, got)
	}
	underlined := ""
	for x := range 120 {
		if th.canvas.StyleAt(x, 3)&canvas.Underline != 0 {
			underlined += string([]rune(strings.Split(got, "\n")[3])[x])
		}
	}
	if underlined == "" || !strings.Contains("dur:>20q", underlined) {
		t.Errorf("underlined is %q", underlined)
	}
	th.keys("enter")
	if !th.open {
		t.Error("enter closes a line that does not parse: it is lost")
	}
	th.keys("backspace", "m", "s", "enter")
	if th.open || th.screen.text != "path:/api dur:>20ms" {
		t.Errorf("open %t, filter %q", th.open, th.screen.text)
	}
}

func TestEscRestoresEnterKeepsAtOnce(t *testing.T) {
	th := newTheatre(t, "path:/api", memory{})
	th.keys(" status:5xx")
	th.pass(time.Second)
	th.keys("esc")
	if th.open || th.screen.text != "path:/api" {
		t.Errorf("open %t, filter %q", th.open, th.screen.text)
	}
	th.again()
	th.keys(" x", "enter")
	if th.open || th.screen.text != "path:/api x" {
		t.Errorf("open %t, filter %q", th.open, th.screen.text)
	}
}

func TestPasteIsOneLineAndNoKeys(t *testing.T) {
	th := newTheatre(t, "", memory{})
	th.send(tea.PasteMsg{Content: "status:5xx\r\n\tpath:/api\n\x1b[2J\n"})
	if got := th.line(); !strings.HasPrefix(got, "/ status:5xx path:/api") || strings.ContainsAny(got, "\x1b") {
		t.Errorf("%q", got)
	}
	th.again()
	th.send(tea.PasteMsg{Content: strings.Repeat("q\nesc ", 2500)})
	if !th.open {
		t.Error("what was pasted closed the line")
	}
	for y, line := range strings.Split(strings.TrimSuffix(th.pass(0), "\n"), "\n") {
		if canvas.Width(line) != 120 {
			t.Errorf("line %d is %d wide", y, canvas.Width(line))
		}
	}
}

func TestTabCompletesFieldsThenValues(t *testing.T) {
	th := newTheatre(t, "", memory{})
	th.keys("meth", "tab")
	if got := th.line(); got != "/ method:" {
		t.Fatalf("%q", got)
	}
	th.keys("GET -clie", "tab")
	if got := th.line(); got != "/ method:GET -client:" {
		t.Fatalf("%q", got)
	}
	th.keys("tab")
	got := th.pass(0)
	if !strings.Contains(got, "edge-sin-01") || !strings.Contains(got, "900") || !strings.Contains(got, "1 of 3") || th.line() != "/ method:GET -client:edge-sin-01" {
		t.Fatalf("%q\n%s", th.line(), got)
	}
	th.keys("tab", "tab")
	if got := th.line(); got != `/ method:GET -client:"odd \"one\""` {
		t.Errorf("%q", got)
	}
	th.keys("shift+tab", "enter")
	if !th.open || th.line() != "/ method:GET -client:edge-fra-02" {
		t.Fatalf("taking a value: open %t, %q", th.open, th.line())
	}
	th.keys(",edge-s", "tab")
	if got := th.line(); got != "/ method:GET -client:edge-fra-02,edge-sin-01" {
		t.Errorf("after a comma: %q", got)
	}
	th.keys(" client:", "tab", "tab", "esc")
	if got := th.line(); !th.open || got != "/ method:GET -client:edge-fra-02,edge-sin-01 client:" {
		t.Errorf("esc leaves the menu with what was typed: %q", got)
	}
	th.keys(" out", "tab")
	if got := th.pass(0); !strings.Contains(got, "outcome:") {
		t.Errorf("fields:\n%s", got)
	}
}

func TestFixedValuesAreCompleted(t *testing.T) {
	th := newTheatre(t, "", memory{})
	th.keys("outcome:tim", "tab")
	if got := th.line(); got != "/ outcome:timed_out" {
		t.Errorf("%q", got)
	}
}

func TestHistoryGoesBackAndForth(t *testing.T) {
	m := memory{}
	th := newTheatre(t, "", m)
	for _, text := range []string{"status:1xx", "status:2xx", "status:1xx", "status:3xx"} {
		th.screen.text = ""
		th.again()
		th.keys(text, "enter")
	}
	th.screen.text = ""
	th.again()
	th.keys("draft", "up", "up", "up", "up")
	if got := th.line(); got != "/ status:2xx" {
		t.Errorf("the oldest of three: %q", got)
	}
	th.keys("down")
	if got := th.line(); got != "/ status:1xx" {
		t.Errorf("%q", got)
	}
	th.keys("down", "down", "down")
	if got := th.line(); got != "/ draft" {
		t.Errorf("what was being typed: %q", got)
	}
	th.keys("esc")
	for i := range 250 {
		th.screen.text = ""
		th.again()
		th.keys(fmt.Sprintf("id:r-%d", i+1), "enter")
	}
	if n := len(strings.Split(m["history.requests"], "\n")); n != 200 {
		t.Errorf("%d kept", n)
	}
}

func TestFiltersAreSavedRecalledAndForgotten(t *testing.T) {
	m := memory{}
	th := newTheatre(t, "", m)
	th.keys("@slow=dur:>200ms OR status:5xx", "enter")
	if say, ok := th.effect.(pane.Say); !ok || say.Bad || th.screen.text != "dur:>200ms OR status:5xx" {
		t.Fatalf("%#v, filter %q", th.effect, th.screen.text)
	}
	if all := prompt.AllSaved(m); len(all) != 1 || all[0].Name != "slow" || all[0].Text != "dur:>200ms OR status:5xx" || all[0].Screen != "screen.requests" {
		t.Errorf("%+v", all)
	}
	th.screen.text = ""
	th.again()
	th.keys("@slow method:POST", "enter")
	if th.screen.text != "(dur:>200ms OR status:5xx) method:POST" {
		t.Errorf("recalled: %q", th.screen.text)
	}
	th.screen.text = ""
	th.again()
	th.keys("@sl", "tab", "enter")
	if th.screen.text != "dur:>200ms OR status:5xx" {
		t.Errorf("completed and recalled: %q", th.screen.text)
	}
	th.screen.text = ""
	th.again()
	th.keys("@nobody", "enter")
	if got := th.pass(0); !th.open || !strings.Contains(got, "@nobody: no filter of that name") {
		t.Errorf("unknown name:\n%s", got)
	}
	th.keys("esc")
	th.again()
	th.keys(`"@slow"`, "enter")
	if th.screen.text != `"@slow"` {
		t.Errorf("quoted it is a word: %q", th.screen.text)
	}
	th.screen.text = ""
	th.again()
	th.keys("@slow=", "enter")
	if len(prompt.AllSaved(m)) != 0 {
		t.Errorf("not forgotten: %+v", prompt.AllSaved(m))
	}
	for i := range 101 {
		th.screen.text = ""
		th.again()
		th.keys(fmt.Sprintf("@n%d=x", i), "enter")
	}
	if say, ok := th.effect.(pane.Say); !ok || !say.Bad || len(prompt.AllSaved(m)) != 100 {
		t.Errorf("no bound: %#v, %d", th.effect, len(prompt.AllSaved(m)))
	}
}

func TestSavedBadFilterIsNotSaved(t *testing.T) {
	m := memory{}
	th := newTheatre(t, "", m)
	th.keys("@x=dur:>20q", "enter")
	if !th.open || len(m) != 0 {
		t.Errorf("open %t, %v", th.open, m)
	}
}

func TestCursorIsWhereOneTypes(t *testing.T) {
	th := newTheatre(t, "path:/漢字", memory{})
	x, y, shown := th.prompt.Draw(th.canvas.Area(), &th.frame)
	if !shown || x != 4+10 || y != 3 {
		t.Errorf("at the end: %d, %d, %t", x, y, shown)
	}
	th.keys("home")
	if x, _, _ := th.prompt.Draw(th.canvas.Area(), &th.frame); x != 4 {
		t.Errorf("at the beginning: %d", x)
	}
	th.keys(strings.Repeat("x", 300) + " ")
	if x, _, _ := th.prompt.Draw(th.canvas.Area(), &th.frame); x < 60 || x > 117 {
		t.Errorf("in a long text: %d", x)
	}
	th.send(tea.MouseClickMsg{X: 10, Y: 3, Button: tea.MouseLeft})
	if x, _, _ := th.prompt.Draw(th.canvas.Area(), &th.frame); x != 10 {
		t.Errorf("a click puts it to %d", x)
	}
	th.send(tea.MouseClickMsg{X: 10, Y: 20, Button: tea.MouseLeft})
	if th.open {
		t.Error("a click elsewhere does not keep the filter and close")
	}
}

func TestPromptAsPictured(t *testing.T) {
	for _, size := range [][2]int{{60, 15}, {80, 24}, {120, 36}, {200, 60}} {
		for _, ascii := range []bool{false, true} {
			name := fmt.Sprintf("%dx%d", size[0], size[1])
			th := newTheatre(t, "status:>=500 method:POST path:/api dur:>200ms", memory{"filters.requests": "slow dur:>200ms"})
			th.size(size[0], size[1])
			if ascii {
				name += "-ascii"
				th.frame.Glyphs = themes.ASCII()
				th.canvas.SetASCII(true)
			}
			th.keys(" ", "tab", "tab")
			th.pass(0)
			golden.Equal(t, "menu-"+name, th.canvas)
			th.keys("esc", "dur:>20q")
			th.pass(0)
			golden.Equal(t, "fault-"+name, th.canvas)
		}
	}
}

// What is remembered may come from a file that anybody wrote.
func TestHostileMemory(t *testing.T) {
	hostile := "\x1b[2J\u202e @ @@ \n\n@x\nx\n" + strings.Repeat("z", 5000)
	th := newTheatre(t, "", memory{"history.requests": hostile, "filters.requests": hostile})
	th.keys("up", "up", "up", "up", "up", "up", "@", "tab", "tab", "tab")
	for y, line := range strings.Split(strings.TrimSuffix(th.pass(time.Second), "\n"), "\n") {
		if strings.ContainsAny(line, "\x1b\u202e") || canvas.Width(line) != 120 {
			t.Errorf("line %d: %q", y, line)
		}
	}
}

func FuzzPrompt(f *testing.F) {
	for _, s := range []string{"status:5xx\t", "@slow=a\r", "@slow x\t\t\r", "client:\t\t\x1b", "\"@x", "-(client:ed\t", "é漢\t", "@a=@a", "@a=\r", "dur:>20q"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		if len(typed) > 200 {
			return // each character is a key
		}
		th := newTheatre(t, "", memory{"filters.requests": "slow dur:>1s\na @a"})
		for _, r := range typed {
			if !th.open {
				th.again()
			}
			switch r {
			case '\t':
				th.send(tea.KeyPressMsg{Code: tea.KeyTab})
			case '\r':
				th.send(tea.KeyPressMsg{Code: tea.KeyEnter})
			case '\x1b':
				th.send(tea.KeyPressMsg{Code: tea.KeyEscape})
			default:
				th.send(tea.KeyPressMsg{Code: r, Text: string(r)})
			}
		}
		th.pass(time.Second)
		for _, text := range th.screen.set {
			if _, err := filter.Parse(filter.Requests, text); err != nil {
				t.Fatalf("%q was applied: %v", text, err)
			}
		}
	})
}
