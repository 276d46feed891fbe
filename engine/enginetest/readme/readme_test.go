package readme

import (
	"slices"
	"testing"
)

const page = "# Title of *it*, yes\n\n[a](b.md) and ![p](c.svg)\n\n```sh\n# why\nadit server \\\n    --listen :1\n\nadit ls\nadit ls clients\n```\n\n```text\nadit out\n```\n\n## Two\n\n## Two\n\n| `a` | b \\| c |\n"

// A line that goes on is one, and what a program prints is none: else a promise
// would be held by nobody, or a wrong one by everybody.
func TestCommands(t *testing.T) {
	got := Commands(page)
	want := []Line{{7, "adit server --listen :1"}, {10, "adit ls"}, {11, "adit ls clients"}}
	if !slices.Equal(got, want) {
		t.Errorf("commands are %v, want %v", got, want)
	}
	for words, found := range map[string]string{"adit server": "adit server --listen :1", "adit ls": "adit ls", "adit ls clients": "adit ls clients",
		"adit l": "", "adit out": ""} {
		if line, err := Command(page, words); line != found || (err != nil) != (found == "") {
			t.Errorf("%q finds %q, %v, want %q", words, line, err, found)
		}
	}
}

func TestTyped(t *testing.T) {
	got := Typed("typed adit ls\nexec typed no\ntyped -start server 'adit server'\n# typed none\ntyped 'curl -H ''A: b'''\n")
	if want := []string{"adit ls", "adit server", "curl -H 'A: b'"}; !slices.Equal(got, want) {
		t.Errorf("typed is %q, want %q", got, want)
	}
}

func TestLinksAndAnchors(t *testing.T) {
	if got, want := Links(page), []Line{{3, "b.md"}, {3, "c.svg"}}; !slices.Equal(got, want) {
		t.Errorf("links are %v, want %v", got, want)
	}
	got := Anchors(page)
	for _, name := range []string{"title-of-it-yes", "two", "two-1"} {
		if !got[name] {
			t.Errorf("no anchor %s in %v", name, got)
		}
	}
	if got, want := Cells("| `a` | b \\| c |"), []string{"`a`", "b | c"}; !slices.Equal(got, want) {
		t.Errorf("cells are %q, want %q", got, want)
	}
}
