// Package golden compares what was drawn with files: for tests. With
// UPDATE_GOLDEN=1 in the environment the files are written instead.
package golden

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"adit/tui/canvas"
)

// Equal compares the text of a canvas with testdata/NAME.txt.
func Equal(t testing.TB, name string, c *canvas.Canvas) {
	t.Helper()
	EqualText(t, name, c.Plain())
}

// EqualText compares a text with testdata/NAME.txt.
func EqualText(t testing.TB, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", filepath.FromSlash(name)+".txt")
	if os.Getenv("UPDATE_GOLDEN") == "1" {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (UPDATE_GOLDEN=1 go test writes it; look at it before it is committed); drawn was\n%s", err, got)
	}
	if want := strings.ReplaceAll(string(text), "\r\n", "\n"); got != want {
		t.Errorf("%s: %s\ngot\n%s\nwant\n%s", file, difference(got, want), got, want)
	}
}

// difference says which line is the first that differs.
func difference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d is\n  %s\nnot\n  %s", i+1, a[i], b[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(a)-1, len(b)-1)
}
