package keys_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"adit/keys"
)

func load(t *testing.T, set, text string) (*keys.Map, []keys.Problem) {
	t.Helper()
	path := ""
	if text != "" {
		path = filepath.Join(t.TempDir(), "keys.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, problems, err := keys.Load(set, path)
	if err != nil {
		t.Fatal(err)
	}
	return m, problems
}

// constants returns every constant of type Action, from the source.
func constants(t *testing.T) []keys.Action {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "actions.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []keys.Action
	for _, d := range file.Decls {
		decl, ok := d.(*ast.GenDecl)
		if !ok || decl.Tok != token.CONST {
			continue
		}
		for _, s := range decl.Specs {
			spec := s.(*ast.ValueSpec)
			if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Action" {
				continue
			}
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, keys.Action(text))
		}
	}
	if len(all) < 50 {
		t.Fatalf("only %d actions found", len(all))
	}
	return all
}

func TestActionWithoutWords(t *testing.T) {
	rows := map[keys.Action]int{}
	for _, r := range keys.Rows() {
		for _, a := range r.Actions {
			rows[a]++
			if keys.Of(a).Group != r.Group {
				t.Errorf("%s: %s in a row of %s", a, keys.Of(a).Group, r.Group)
			}
		}
	}
	all := constants(t)
	for _, a := range all {
		i := keys.Of(a)
		if i.Short == "" || i.Title == "" || !slices.Contains(keys.Groups(), i.Group) || len(i.Contexts) == 0 {
			t.Errorf("%s: %+v", a, i)
		}
		if rows[a] != 1 {
			t.Errorf("%s: in %d rows of help", a, rows[a])
		}
	}
	if n := len(keys.Actions()); n != len(all) {
		t.Errorf("%d actions, %d described", len(all), n)
	}
}

func TestActionThatActsOnTheEngineIsNotMutating(t *testing.T) {
	acting := []keys.Action{keys.Kill, keys.Drain, keys.Ban, keys.Unban, keys.DrainAll, keys.Cancel, keys.Replay,
		keys.CaptureClient, keys.CapturePath, keys.CaptureContent, keys.CaptureHeads, keys.CaptureOff}
	for _, i := range keys.Actions() {
		if i.Mutating != slices.Contains(acting, i.Action) {
			t.Errorf("%s: mutating is %v", i.Action, i.Mutating)
		}
	}
}

// around returns what a key is looked up in when c has the focus.
func around(c keys.Context) []keys.Context {
	switch c {
	case keys.Connections, keys.Requests, keys.Events:
		return []keys.Context{c, keys.List, keys.Everywhere}
	case keys.Everywhere:
		return []keys.Context{c}
	}
	return []keys.Context{c, keys.Everywhere}
}

func TestActionThatNoKeyReaches(t *testing.T) {
	for _, set := range keys.Sets() {
		m, problems := load(t, set, "")
		if len(problems) > 0 {
			t.Errorf("%s: %v", set, problems)
		}
		for _, i := range keys.Actions() {
			for _, c := range i.Contexts {
				if len(m.Keys(i.Action, false, around(c)...)) == 0 {
					t.Errorf("%s: %s has no key in %s", set, i.Action, c)
				}
			}
		}
	}
}

func TestKeyWithTwoMeanings(t *testing.T) {
	for _, set := range keys.Sets() {
		m, _ := load(t, set, "")
		for _, i := range keys.Actions() {
			for _, c := range i.Contexts {
				for _, key := range m.Keys(i.Action, true, c) {
					name := strings.ReplaceAll(key, "pgdn", "pgdown")
					if got, ok := m.Find(name, c); !ok || got != i.Action {
						t.Errorf("%s: %s in %s is %q, not %s", set, key, c, got, i.Action)
					}
				}
			}
		}
		// What a list binds would hide what the key means everywhere.
		for _, c := range keys.Contexts() {
			for _, i := range keys.Actions() {
				for _, key := range m.Keys(i.Action, true, c) {
					other, ok := m.Find(key, keys.Everywhere)
					if !ok || other == i.Action || c == keys.Everywhere {
						continue
					}
					if c == keys.Play && len(m.Keys(other, true, c, keys.Everywhere)) > 0 {
						continue // home is of the recording there, and g still is the first row
					}
					t.Errorf("%s: %s is %s in %s and %s everywhere", set, key, i.Action, c, other)
				}
			}
		}
	}
}

func TestDefaultThatDoesNotArrive(t *testing.T) {
	for _, set := range keys.Sets() {
		m, _ := load(t, set, "")
		for _, i := range keys.Actions() {
			for _, c := range i.Contexts {
				all := m.Keys(i.Action, true, c)
				for _, key := range all {
					switch key {
					case "ctrl+h", "ctrl+i", "ctrl+m", "ctrl+[", "ctrl+s", "ctrl+q", "alt+enter":
						t.Errorf("%s: %s in %s is %s", set, i.Action, c, key)
					case "ctrl+a", "ctrl+b":
						if len(all) < 2 {
							t.Errorf("%s: %s has only %s", set, i.Action, key)
						}
					}
				}
			}
		}
	}
}

// The footers of the pictures: what they promise is what the keys do.
func TestFooterThatContradictsTheKeys(t *testing.T) {
	m, _ := load(t, "", "")
	for _, c := range []struct {
		context keys.Context
		key     string
		want    keys.Action
	}{
		{keys.Connections, "enter", keys.Open}, {keys.Connections, "space", keys.Mark}, {keys.Connections, "x", keys.Kill},
		{keys.Connections, "X", keys.Drain}, {keys.Connections, "/", keys.Filter}, {keys.Connections, "s", keys.Sort},
		{keys.Connections, "t", keys.Tree}, {keys.Connections, "f", keys.Follow}, {keys.Connections, "tab", keys.PaneNext},
		{keys.Connections, ":", keys.Palette}, {keys.Connections, "?", keys.Help}, {keys.Connections, "0", keys.ResetCounters},
		{keys.Connection, "x", keys.Kill}, {keys.Connection, "X", keys.Drain}, {keys.Connection, "K", keys.Cancel},
		{keys.Connection, "y", keys.Copy}, {keys.Connection, "r", keys.RawGreeting}, {keys.Connection, "[", keys.ItemPrevious},
		{keys.Connection, "]", keys.ItemNext}, {keys.Connection, "esc", keys.Back}, {keys.Requests, "c", keys.CopyCurl},
		{keys.Requests, "v", keys.MarkRange}, {keys.Requests, "o", keys.Columns}, {keys.Requests, "n", keys.MatchNext},
		{keys.Requests, "N", keys.MatchPrevious}, {keys.Request, "V", keys.Reveal}, {keys.Events, "L", keys.Level},
		{keys.Events, "p", keys.Pause}, {keys.Events, "w", keys.Write}, {keys.Events, "m", keys.Bookmark},
		{keys.Requests, "u", keys.Undo}, {keys.Requests, "ctrl+a", keys.MarkAll}, {keys.Requests, "!", keys.Acknowledge},
		{keys.Requests, "Z", keys.UTC}, {keys.Requests, "pgdown", keys.MovePageDown},
	} {
		contexts := around(c.context)
		if got, _ := m.Find(c.key, contexts...); got != c.want {
			t.Errorf("%s in %s is %q, want %s", c.key, c.context, got, c.want)
		}
	}
}

// Find takes the name that Bubble Tea gives to the key that is pressed.
func TestKeyAsBubbleTeaNamesIt(t *testing.T) {
	m, _ := load(t, "", "")
	for _, c := range []struct {
		key  tea.Key
		want keys.Action
	}{
		{tea.Key{Code: tea.KeySpace, Text: " "}, keys.Mark},
		{tea.Key{Code: 'x', ShiftedCode: 'X', Mod: tea.ModShift, Text: "X"}, keys.Drain},
		{tea.Key{Code: tea.KeyTab, Mod: tea.ModShift}, keys.PanePrevious},
		{tea.Key{Code: 'p', Mod: tea.ModCtrl}, keys.Palette},
		{tea.Key{Code: tea.KeyPgDown}, keys.MovePageDown},
		{tea.Key{Code: tea.KeyEnter}, keys.Open},
		{tea.Key{Code: tea.KeyEscape}, keys.Back},
		{tea.Key{Code: '1', Text: "1"}, keys.ScreenOverview},
		{tea.Key{Code: tea.KeyF5}, keys.Redraw},
	} {
		name := tea.KeyPressMsg(c.key).String()
		if got, _ := m.Find(name, keys.Connections, keys.List, keys.Everywhere); got != c.want {
			t.Errorf("%q is %q, want %s", name, got, c.want)
		}
	}
}

func TestFileThatIsNotObeyed(t *testing.T) {
	for _, c := range []struct {
		name, text string
		problems   []string // each of one problem, in their order
		key        string
		context    keys.Context
		want       keys.Action
	}{
		{"override", "connections:\n  conn.kill: Delete\n", nil, "delete", keys.Connections, keys.Kill},
		{"override takes the default away", "connections:\n  conn.kill: delete\n", nil, "x", keys.Connections, ""},
		{"none", "connections:\n  conn.kill: none\n", nil, "x", keys.Connections, ""},
		{"list", "requests:\n  request.curl: [c, ctrl+y]\n", nil, "ctrl+y", keys.Requests, keys.CopyCurl},
		{"the later of two loses", "events:\n  event.level: e\n  event.bookmark: e\n",
			[]string{":3: e in events is event.level already (line 2); event.bookmark goes without it"}, "e", keys.Events, keys.Level},
		{"shadowed default", "connections:\n  conn.kill: X\n",
			[]string{":2: X in connections was conn.drain and is conn.kill now; it has no key there now"}, "X", keys.Connections, keys.Kill},
		{"hidden from everywhere", "connections:\n  conn.kill: p\n",
			[]string{":2: warning: p hides view.pause in connections"}, "p", keys.Connections, keys.Kill},
		{"hidden by a default", "everywhere:\n  view.pause: x\n",
			[]string{":2: warning: x is view.pause everywhere but in connections, where it is conn.kill",
				":2: warning: x is view.pause everywhere but in connection, where it is conn.kill"}, "x", keys.Requests, keys.Pause},
		{"unbindable", "everywhere:\n  view.help: ctrl+i\n",
			[]string{":2: ctrl+i can't be bound: terminals send it for tab; it was left out"}, "?", keys.Events, keys.Help},
		{"unbindable in other words", "everywhere:\n  view.help: [Control+H, F7]\n",
			[]string{":2: ctrl+h can't be bound: terminals send it for backspace; it was left out"}, "f7", keys.Events, keys.Help},
		{"unknown action", "connections:\n  con.kil: x\n",
			[]string{`:2: unknown action "con.kil", the nearest is conn.kill; it was left out`}, "x", keys.Connections, keys.Kill},
		{"unknown context", "connection s:\n  conn.kill: x\n",
			[]string{`:1: unknown context "connection s", the nearest is connections; it was left out`}, "x", keys.Connections, keys.Kill},
		{"action that is not of the place", "events:\n  conn.kill: x\n",
			[]string{":2: conn.kill means nothing in events, only in connections, connection; it was left out"}, "x", keys.Events, ""},
		{"unknown key", "connections:\n  conn.kill: delte\n",
			[]string{`:2: no key "delte", the nearest is delete; it was left out`}, "x", keys.Connections, keys.Kill},
		{"capital by shift", "connections:\n  conn.kill: shift+d\n",
			[]string{":2: warning: D hides app.drain in connections"}, "D", keys.Connections, keys.Kill},
		{"only the prefix of screen", "list:\n  mark.all: ctrl+a\n",
			[]string{":2: warning: mark.all has no key but ctrl+a: screen takes it for itself"}, "ctrl+a", keys.Requests, keys.MarkAll},
		{"no way out", "everywhere:\n  app.quit: none\n",
			[]string{": app.quit had no key left; ctrl+c keeps it"}, "ctrl+c", keys.Events, keys.Quit},
		{"the way out for something else", "everywhere:\n  view.copy: ctrl+c\n",
			[]string{":2: ctrl+c can't be bound to view.copy: pressed twice it ends the run"}, "ctrl+c", keys.Events, keys.Quit},
		{"dialogs", "confirm:\n  conn.drain: d\n", []string{":1: the keys of dialogs are fixed"}, "X", keys.Connections, keys.Drain},
		{"set", "set: emacs\n", []string{":1: the set of keys is chosen by --keys"}, "j", keys.Events, keys.MoveDown},
		{"no YAML", "everywhere: [\n", []string{"no YAML"}, "j", keys.Events, keys.MoveDown},
		{"action twice", "connections:\n  conn.kill: d\n  conn.kill: e\n", []string{""}, "", "", ""},
		{"plus", "everywhere:\n  pane.grow: [+, ctrl++]\n", nil, "+", keys.Events, keys.PaneGrow},
		{"empty", "\n", nil, "j", keys.Events, keys.MoveDown},
		{"null", "connections:\n  conn.kill:\n", []string{":2: conn.kill wants a key, a list of keys or none; it was left out"}, "x", keys.Connections, keys.Kill},
		{"hostile name", "\"\\e[2Jx\":\n  conn.kill: x\n", []string{`:1: unknown context "?[2Jx"`}, "x", keys.Connections, keys.Kill},
	} {
		m, problems := load(t, "", c.text)
		if len(problems) != len(c.problems) {
			t.Errorf("%s: %v", c.name, problems)
			continue
		}
		for i, p := range problems {
			if !strings.Contains(p.String(), c.problems[i]) {
				t.Errorf("%s: %s, want %s", c.name, p, c.problems[i])
			}
		}
		if c.key == "" {
			continue
		}
		if got, _ := m.Find(c.key, around(c.context)...); got != c.want {
			t.Errorf("%s: %s in %s is %q, want %q", c.name, c.key, c.context, got, c.want)
		}
	}
}

func TestUnknownSet(t *testing.T) {
	if _, _, err := keys.Load("vi", ""); err == nil || !strings.Contains(err.Error(), "emacs") {
		t.Errorf("%v", err)
	}
	if _, _, err := keys.Load("", t.TempDir()); err == nil {
		t.Error("a directory was read")
	}
	if m, problems, err := keys.Load("", filepath.Join(t.TempDir(), "none.yaml")); err != nil || len(problems) > 0 || m.Set() != keys.SetVim {
		t.Errorf("no file: %v %v", problems, err)
	}
}

func TestFooterShowsAKeyThatMeansSomethingElse(t *testing.T) {
	m, _ := load(t, "", "connections:\n  conn.kill: q\n")
	all := []keys.Context{keys.Connections, keys.List, keys.Everywhere}
	if got := m.Keys(keys.Quit, false, all...); !slices.Equal(got, []string{"ctrl+c"}) {
		t.Errorf("quit: %v", got)
	}
	if got := m.Keys(keys.Quit, false, keys.Everywhere); !slices.Equal(got, []string{"q", "ctrl+c"}) {
		t.Errorf("quit elsewhere: %v", got)
	}
}

func TestKeysOutsideASCII(t *testing.T) {
	m, _ := load(t, "", "")
	if got := m.Keys(keys.PanePrevious, false, keys.Everywhere); !slices.Equal(got, []string{"⇧tab"}) {
		t.Errorf("%v", got)
	}
	for _, i := range keys.Actions() {
		for _, c := range i.Contexts {
			for _, key := range m.Keys(i.Action, true, c) {
				if strings.ContainsFunc(key, func(r rune) bool { return r > '~' }) {
					t.Errorf("%s: %q", i.Action, key)
				}
			}
		}
	}
}

// The footer asks for keys in every frame.
func TestLookUpAllocates(t *testing.T) {
	m, _ := load(t, "", "")
	n := testing.AllocsPerRun(100, func() {
		m.Find("X", keys.Connections, keys.List, keys.Everywhere)
		m.Keys(keys.Mark, false, keys.Connections, keys.List, keys.Everywhere)
		keys.Of(keys.Quit)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestCheckPassesAConflict(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.yaml")
	for _, c := range []struct {
		text string
		bad  bool
	}{
		{"connections:\n  conn.kill: d\n", false},
		{"connections:\n  conn.kill: p\n", false}, // a warning
		{"connections:\n  conn.kill: X\n", true},
		{"connections:\n  kill: X\n", true},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := keys.Check(&out, "", path); (err != nil) != c.bad {
			t.Errorf("%q: %v\n%s", c.text, err, &out)
		}
	}
}

func TestDocumentationMissesAnAction(t *testing.T) {
	var md, text strings.Builder
	if err := keys.Markdown(&md, "", ""); err != nil {
		t.Fatal(err)
	}
	if err := keys.Print(&text, "", ""); err != nil {
		t.Fatal(err)
	}
	for _, i := range keys.Actions() {
		if !strings.Contains(md.String(), "`"+string(i.Action)+"`") || !strings.Contains(text.String(), string(i.Action)) {
			t.Errorf("%s is missing", i.Action)
		}
	}
	if !strings.Contains(md.String(), "| `x` | kill… (asks) | `conn.kill` |") {
		t.Errorf("%s", &md)
	}
	if strings.Contains(text.String(), "…") {
		t.Error("not ASCII")
	}
}

func TestReloadMissesAChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.yaml")
	m, _, err := keys.Load("", path)
	if err != nil {
		t.Fatal(err)
	}
	age := time.Now()
	step := func(text, key string, want keys.Action, bad bool) {
		t.Helper()
		age = age.Add(time.Hour)
		if text == "" {
			os.Remove(path)
		} else if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, age, age)); err != nil {
			t.Fatal(err)
		}
		next, problems, changed := m.Reload()
		if !changed || (len(problems) > 0) != bad {
			t.Errorf("%q: changed %v, problems %v", text, changed, problems)
		}
		if got, _ := next.Find(key, keys.Connections); got != want {
			t.Errorf("%q: %s is %q, want %q", text, key, got, want)
		}
		if again, _, changed := next.Reload(); changed || again != next {
			t.Errorf("%q: changed again", text)
		}
		m = next
	}
	if _, _, changed := m.Reload(); changed {
		t.Error("changed without a file")
	}
	step("connections:\n  conn.kill: d\n", "d", keys.Kill, false)
	step("connections: [\n", "d", keys.Kill, true) // what was meant stays
	step("connections:\n  conn.kill: e\n", "d", "", false)
	step("", "x", keys.Kill, false)
	if m, _, _ := keys.Load("", ""); m != nil {
		if _, _, changed := m.Reload(); changed {
			t.Error("changed without a name of a file")
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("set: emacs\nconnections:\n  conn.kill: [x, ctrl+k]\n")
	f.Add("everywhere: {view.help: ctrl+i, view.pause: '++'}")
	f.Add("list: &a {mark.all: none}\nevents: *a\n")
	path := filepath.Join(f.TempDir(), "keys.yaml")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		m, problems, err := keys.Load("", path)
		if err != nil {
			return
		}
		for _, p := range problems {
			if strings.ContainsFunc(p.Text, func(r rune) bool { return r < ' ' }) {
				t.Errorf("control character in %q", p.Text)
			}
		}
		if len(m.Keys(keys.Quit, true, keys.Everywhere)) == 0 {
			t.Error("no way out")
		}
	})
}
