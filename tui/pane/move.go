package pane

import "adit/keys"

// Moves returns by how many rows an action moves in a list, down is positive:
// page is what a page key moves by, all more than any other. False if the action
// is none that moves.
func Moves(a keys.Action, page, all int) (by int, ok bool) {
	switch a {
	case keys.MoveUp:
		return -1, true
	case keys.MoveDown:
		return 1, true
	case keys.MovePageUp:
		return -max(page, 1), true
	case keys.MovePageDown:
		return max(page, 1), true
	case keys.MoveFirst:
		return -all, true
	case keys.MoveLast:
		return all, true
	}
	return 0, false
}
