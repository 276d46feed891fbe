package table

import (
	"time"

	"adit/keys"
	"adit/tui/pane"
)

// Do does what a key asks a list for: moving, scrolling columns, marking and
// sorting. Memory m may be nil. Handled is false for any other action.
func (t *Table[K]) Do(a keys.Action, s Source[K], now time.Time, m pane.Memory) (handled bool) {
	t.Sync(s)
	if by, ok := pane.Moves(a, t.page/2, s.Len()); ok {
		if a == keys.MovePageUp || a == keys.MovePageDown {
			t.offset += by // the rows move along with the cursor
		}
		t.move(s, t.cursor+by)
		t.touched = now
		return true
	}
	switch a {
	case keys.MoveLeft:
		t.skip = max(t.skip-1, 0)
	case keys.MoveRight:
		t.skip = min(t.skip+1, t.maxSkip())
	case keys.Follow:
		t.Follow = !t.Follow
		t.Sync(s)
	case keys.Mark:
		t.toggle(s)
	case keys.MarkRange:
		t.markRange(s)
	case keys.MarkAll:
		for row := range min(s.Len(), MaxMarks) {
			t.mark(s.Key(row))
		}
	case keys.Undo:
		if !t.ranging && len(t.marks) == 0 {
			return false
		}
		t.Unmark()
	case keys.Sort:
		t.SetOrder(t.nextOrder(), t.descending, m)
		return true // rows are to change places
	case keys.SortReverse:
		t.SetOrder(t.sort, !t.descending, m)
		return true
	default:
		return false
	}
	t.touched = now
	return true
}

// move puts the cursor on a row, or the next there is.
func (t *Table[K]) move(s Source[K], to int) {
	t.Follow = false
	n := s.Len()
	t.cursor = min(max(to, 0), max(n-1, 0))
	var none K
	t.key = none
	if n > 0 {
		t.key = s.Key(t.cursor)
		t.show(n)
	}
}

// MoveTo puts the cursor on a row, or the next there is.
func (t *Table[K]) MoveTo(row int, s Source[K]) { t.move(s, row) }

func (t *Table[K]) mark(key K) {
	var none K
	if key != none && len(t.marks) < MaxMarks {
		t.marks[key] = struct{}{}
	}
}

// toggle marks the row of the cursor, or takes the mark away, and moves on. It
// ends a range.
func (t *Table[K]) toggle(s Source[K]) {
	if s.Len() == 0 {
		return
	}
	if t.ranging {
		t.markRange(s)
		return
	}
	if _, marked := t.marks[t.key]; marked {
		delete(t.marks, t.key)
	} else {
		t.mark(t.key)
	}
	t.move(s, t.cursor+1)
}

// markRange begins a range or marks it.
func (t *Table[K]) markRange(s Source[K]) {
	if s.Len() == 0 {
		return
	}
	if !t.ranging {
		t.anchor, t.ranging = t.key, true
		return
	}
	low, high := t.span(s)
	for row := low; row <= high; row++ {
		t.mark(s.Key(row))
	}
	t.ranging = false
}

// span is the range that is being marked: high is below low if there is none.
func (t *Table[K]) span(s Source[K]) (low, high int) {
	if !t.ranging || s.Len() == 0 {
		return 0, -1
	}
	at := s.Index(t.anchor)
	if at < 0 {
		return t.cursor, t.cursor
	}
	return min(at, t.cursor), max(at, t.cursor)
}

// Ranging reports whether a range has been begun.
func (t *Table[K]) Ranging() bool { return t.ranging }

// Marks returns how many rows are marked.
func (t *Table[K]) Marks() int { return len(t.marks) }

// Marked reports whether a row is marked.
func (t *Table[K]) Marked(key K) bool {
	_, ok := t.marks[key]
	return ok
}

// SetMarked marks a row or takes the mark away.
func (t *Table[K]) SetMarked(key K, marked bool) {
	if marked {
		t.mark(key)
	} else {
		delete(t.marks, key)
	}
}

// AppendMarked appends the marked keys, in no order.
func (t *Table[K]) AppendMarked(into []K) []K {
	for key := range t.marks {
		into = append(into, key)
	}
	return into
}

// Unmark takes all marks away.
func (t *Table[K]) Unmark() {
	clear(t.marks)
	t.ranging = false
}

// Prune takes away the marks of what no longer exists and returns how many.
func (t *Table[K]) Prune(exists func(K) bool) int {
	before := len(t.marks)
	for key := range t.marks {
		if !exists(key) {
			delete(t.marks, key)
		}
	}
	return before - len(t.marks)
}

// Hit returns what the last Draw drew at a cell of the canvas: a row, or -1, and
// the name of the column if it is the header.
func (t *Table[K]) Hit(x, y int, s Source[K]) (row int, column string) {
	if !t.drawn.Contains(x, y) {
		return -1, ""
	}
	if y == t.drawn.Y {
		for _, p := range t.placed {
			if x >= t.drawn.X+p.x && x < t.drawn.X+p.x+p.w {
				return -1, t.columns[p.index].Name
			}
		}
		return -1, ""
	}
	row = t.offset + y - t.drawn.Y - 1
	if row < 0 || row >= s.Len() {
		return -1, ""
	}
	return row, ""
}

// Mouse does what a click or the wheel asks for. Open is true where a row was
// clicked twice; handled is false outside of the table.
func (t *Table[K]) Mouse(e pane.Mouse, s Source[K], now time.Time, m pane.Memory) (open, handled bool) {
	if !t.drawn.Contains(e.X, e.Y) {
		return false, false
	}
	switch e.Kind {
	case pane.Click, pane.DoubleClick:
		row, column := t.Hit(e.X, e.Y, s)
		switch {
		case row >= 0:
			t.move(s, row)
			open = e.Kind == pane.DoubleClick
		case column != "" && t.sortable(column):
			t.SetOrder(column, column != t.sort || !t.descending, m)
			return false, true
		}
	case pane.Wheel:
		t.scroll(s, e.Amount)
	default:
		return false, false
	}
	t.touched = now
	return open, true
}

// scroll moves the rows; the cursor goes along only at the edges.
func (t *Table[K]) scroll(s Source[K], rows int) {
	n := s.Len()
	offset := max(min(t.offset+rows, n-t.page), 0)
	if offset == t.offset {
		return
	}
	t.offset = offset
	t.move(s, min(max(t.cursor, offset), offset+t.page-1))
}
