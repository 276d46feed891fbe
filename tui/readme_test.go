package tui

import (
	"os"
	"strings"
	"testing"

	"adit/tui/canvas"
	"adit/tui/scene"
)

// The text picture in the README is one of the dashboard as it is: whoever changes
// what is on the screen, or what it is called, takes a new one.
func TestPictureInTheReadme(t *testing.T) {
	const path, begin, end = "../README.md", "<!-- the overview at 80x16 -->\n```\n", "```\n"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	if !ok {
		t.Fatalf("%s has no picture after %q", path, begin)
	}
	picture, after, _ := strings.Cut(rest, end)

	s := pictured(t, Options{}, scene.New(scene.Options{}), 1000).at(80, 16)
	s.draw()
	screen := s.canvas.Plain()
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(before+begin+screen+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	rows, now := strings.Split(picture, "\n"), strings.Split(screen, "\n")
	if len(rows) != len(now) {
		t.Fatalf("the picture has %d rows, the screen %d", len(rows)-1, len(now)-1)
	}
	for i := range now {
		if canvas.Width(rows[i]) != canvas.Width(now[i]) {
			t.Errorf("row %d of the picture has %d columns", i, canvas.Width(rows[i]))
		}
		// Numbers move; what things are called does not.
		for _, word := range names(now[i]) {
			if !strings.Contains(rows[i], word) {
				t.Errorf("row %d of the picture lacks %q, which the screen has; UPDATE_GOLDEN=1 takes a new one", i, word)
			}
		}
	}
}

// names are the words of a row's frame: titles of panes and tabs.
func names(row string) []string {
	if !strings.ContainsAny(row, "┏╭[") {
		return nil
	}
	var all []string
	for _, word := range strings.FieldsFunc(row, func(r rune) bool { return strings.ContainsRune("┏━┓╭─╮[] ", r) }) {
		if strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" {
			all = append(all, word)
		}
	}
	return all
}
