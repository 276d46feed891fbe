package golden

import (
	"strings"
	"testing"

	"adit/tui/canvas"
)

// A recorder is a test that notes that it failed.
type recorder struct {
	testing.TB
	failed string
}

func (r *recorder) Helper()                   {}
func (r *recorder) Errorf(f string, a ...any) { r.failed += f }
func (r *recorder) Fatalf(f string, a ...any) { r.failed += f; panic(r) }
func (r *recorder) Fatal(a ...any)            { panic(r) }

func TestDifferenceThatIsNotSeen(t *testing.T) {
	c := canvas.New()
	c.Resize(5, 1)
	c.Area().Text(0, 0, "same", 0)
	Equal(t, "same", c)
	t.Setenv("UPDATE_GOLDEN", "")
	r := &recorder{TB: t}
	c.Area().Text(0, 0, "some", 0)
	if Equal(r, "same", c); r.failed == "" {
		t.Error("another text passed")
	}
	r.failed = ""
	func() {
		defer func() { _ = recover() }()
		Equal(r, "absent", c)
	}()
	if !strings.Contains(r.failed, "UPDATE_GOLDEN") {
		t.Error("a file that is missing passed")
	}
}
