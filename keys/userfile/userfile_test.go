package userfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"adit/keys/userfile"
)

func TestFileThatIsMisread(t *testing.T) {
	for _, c := range []struct {
		name, text string
		keys       string // of the entries, in order
		problems   []string
	}{
		{"nothing", "", "", nil},
		{"comment", "# only\n", "", nil},
		{"null", "~\n", "", nil},
		{"order", "b: 1\na: 2\n", "b a", nil},
		{"twice", "a: 1\nb: 2\na: 3\n", "a b", []string{`f:3: "a" stands here a second time`}},
		{"a list", "- a\n", "", []string{"f:1: want names with values"}},
		{"a word", "a\n", "", []string{"f:1: want names with values"}},
		{"two documents", "a: 1\n---\nb: 2\n", "a", []string{"a second document was left out"}},
		{"name that is no word", "[a]: 1\nb: 2\n", "b", []string{"f:1: a name that is no word"}},
		{"list in a list", "a: [x, [y], z]\n", "a", []string{`f:1: an item of "a" that is no word`}},
		{"alias", "a: &x 1\nb: *x\n", "a", []string{`f:2: the value of "b" was left out`}},
		{"too deep", "a: {b: {c: {d: {e: {f: 1}}}}}\n", "a", []string{`the value of "e" was left out`}},
		{"no YAML", "a: [\n", "", []string{"no YAML"}},
		{"tabs", "a:\n\tb: 1\n", "", []string{"no YAML"}},
	} {
		entries, problems := userfile.Parse("f", []byte(c.text))
		var names []string
		for _, e := range entries {
			names = append(names, e.Key)
		}
		if got := strings.Join(names, " "); got != c.keys {
			t.Errorf("%s: %q, want %q", c.name, got, c.keys)
		}
		if len(problems) != len(c.problems) {
			t.Errorf("%s: %v", c.name, problems)
			continue
		}
		for i, p := range problems {
			if !strings.Contains(p.String(), c.problems[i]) {
				t.Errorf("%s: %s, want %s", c.name, p, c.problems[i])
			}
		}
	}
}

func TestLineOfAnEntry(t *testing.T) {
	entries, _ := userfile.Parse("f", []byte("# first\na:\n  b:\n    - x\n    - y\n"))
	b := entries[0].Entries[0]
	words, ok := b.Words()
	if !ok || b.Line != 3 || len(words) != 2 || words[1].Key != "y" || words[1].Line != 5 {
		t.Errorf("%+v", b)
	}
}

func TestFileThatIsTooLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "large.yaml")
	if err := os.WriteFile(path, make([]byte, userfile.Limit+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := userfile.Read(path); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("%v", err)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"border", "border_focus", "accent"}
	for name, want := range map[string]string{"bordr": "border", "ACCENT": "accent", "focus": "border", "": "border", strings.Repeat("x", 1000): "border"} {
		if got := userfile.Nearest(name, known); got != want {
			t.Errorf("%.20q: %s, want %s", name, got, want)
		}
	}
	if got := userfile.Nearest("a", nil); got != "" {
		t.Errorf("of nothing: %q", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("a: [b, c]\nd: {e: f}\n"))
	f.Add([]byte("a: &x {b: *x}\n"))
	f.Add([]byte("\"\\e]0;x\\a\": 1\n--- \n? [a]\n: b\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, problems := userfile.Parse("f", data)
		for _, p := range problems {
			if strings.ContainsFunc(p.Text, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x202e }) {
				t.Errorf("a character that a terminal obeys: %q", p.Text)
			}
			if p.Line < 0 {
				t.Errorf("line %d", p.Line)
			}
		}
	})
}
