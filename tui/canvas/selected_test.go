package canvas

import "testing"

func TestCursorFollowsTheSelectedRow(t *testing.T) {
	c := New()
	c.Resize(20, 6)
	all := Rect{0, 0, 20, 6}
	if _, _, ok := c.Selected(all); ok {
		t.Fatal("nothing is selected")
	}
	c.Area().Text(3, 1, "head", Selected)
	c.Area().Text(2, 4, "row", Selected)
	for _, tt := range []struct {
		in   Rect
		x, y int
		ok   bool
	}{
		{all, 3, 1, true},
		{Rect{0, 2, 20, 4}, 2, 4, true},
		{Rect{3, 2, 100, 100}, 3, 4, true},
		{Rect{0, 5, 20, 1}, 0, 0, false},
		{Rect{-5, -5, 2, 2}, 0, 0, false},
	} {
		if x, y, ok := c.Selected(tt.in); x != tt.x || y != tt.y || ok != tt.ok {
			t.Errorf("%v: %d,%d %v", tt.in, x, y, ok)
		}
	}
}
