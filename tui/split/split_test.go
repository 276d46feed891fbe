package split

import (
	"testing"

	"adit/keys"
	"adit/tui/canvas"
	"adit/tui/pane"
)

type memory map[string]string

func (m memory) Get(name string) string { return m[name] }
func (m memory) Set(name, value string) { m[name] = value }

// lay puts panes 0 and 2 one above the other, 1 behind 2, and 3 nowhere.
func lay(p *Panes, f *pane.Frame) int {
	c := canvas.New()
	c.Resize(80, 21)
	a := c.Area()
	p.Begin(4)
	rows := p.Rows(a, f, 10, 4, 5)
	p.Put(0, a.Sub(0, 0, 80, rows))
	p.Put(2, a.Sub(0, rows, 80, 21-rows))
	p.Behind(1)
	p.Settle()
	return rows
}

func TestTabToAPaneThatIsNotThere(t *testing.T) {
	p, f := &Panes{Name: "x"}, &pane.Frame{Class: pane.Compact, Memory: memory{}}
	lay(p, f)
	for _, want := range []int{1, 2, 0, 1} {
		if !p.Do(keys.PaneNext, f) || p.Focus() != want {
			t.Fatalf("tab leads to %d, want %d", p.Focus(), want)
		}
	}
	p.Do(keys.PanePrevious, f)
	p.Do(keys.PanePrevious, f)
	if p.Focus() != 2 {
		t.Errorf("back from the first leads to %d", p.Focus())
	}
	p.SetFocus(3)
	lay(p, f)
	if p.Focus() == 3 {
		t.Error("a pane that is not drawn keeps the focus")
	}
	if p.Do(keys.Kill, f) {
		t.Error("it takes keys of others")
	}
}

func TestDividerOutOfBounds(t *testing.T) {
	p, f := &Panes{Name: "x"}, &pane.Frame{Class: pane.Compact, Memory: memory{}}
	if rows := lay(p, f); rows != 10 {
		t.Fatalf("%d rows where nothing was chosen", rows)
	}
	for range 40 {
		p.Do(keys.PaneGrow, f)
		lay(p, f)
	}
	if rows := lay(p, f); rows != 16 {
		t.Errorf("grown to %d rows of 21, where 5 are to be left", rows)
	}
	for range 40 {
		p.Do(keys.PaneShrink, f)
		lay(p, f)
	}
	if rows := lay(p, f); rows != 4 {
		t.Errorf("shrunk to %d rows, the least is 4", rows)
	}
	f.Class = pane.Normal
	if rows := lay(p, f); rows != 10 {
		t.Errorf("another class has %d rows", rows)
	}
	for _, nonsense := range []string{"-5", "1000", "x", "99999999999999999999"} {
		f.Memory.Set("x.split.normal", nonsense)
		if rows := lay(p, f); rows != 10 {
			t.Errorf("%q remembered gives %d rows", nonsense, rows)
		}
	}
}

func TestDividerByMouse(t *testing.T) {
	p, f := &Panes{Name: "x"}, &pane.Frame{Class: pane.Compact, Memory: memory{}}
	lay(p, f)
	if !p.Mouse(pane.Mouse{X: 5, Y: 9, Kind: pane.Click}, f) {
		t.Fatal("the divider is not taken")
	}
	for y := range 30 {
		p.Mouse(pane.Mouse{X: 5, Y: y, Kind: pane.Drag}, f)
		if rows := lay(p, f); rows != max(4, min(y+1, 16)) {
			t.Errorf("drawn to row %d it stands at %d", y, rows)
		}
	}
	p.Mouse(pane.Mouse{X: 5, Y: 12, Kind: pane.Release}, f)
	if p.Mouse(pane.Mouse{X: 5, Y: 3, Kind: pane.Drag}, f) {
		t.Error("the divider follows after the button was let go")
	}
	p.Mouse(pane.Mouse{X: 5, Y: 20, Kind: pane.Click}, f)
	if p.Focus() != 2 {
		t.Errorf("a click gives the focus to %d", p.Focus())
	}
}
