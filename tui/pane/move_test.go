package pane

import (
	"testing"

	"adit/keys"
)

func TestActionsThatMove(t *testing.T) {
	for a, want := range map[keys.Action]int{keys.MoveUp: -1, keys.MoveDown: 1, keys.MovePageUp: -5, keys.MovePageDown: 5,
		keys.MoveFirst: -40, keys.MoveLast: 40} {
		if by, ok := Moves(a, 5, 40); !ok || by != want {
			t.Errorf("%s moves by %d, %t, want %d", a, by, ok, want)
		}
	}
	if by, ok := Moves(keys.MovePageDown, 0, 40); !ok || by != 1 {
		t.Errorf("a page of a pane without rows moves by %d", by)
	}
	if by, ok := Moves(keys.Kill, 5, 40); ok || by != 0 {
		t.Errorf("kill moves by %d", by)
	}
}
