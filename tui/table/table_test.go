package table

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/format"
	"adit/tui/pane"
)

// rows is a source of numbers; each is a key and what its row says.
type rows struct {
	keys  []int
	kinds map[int]Kind
	asked int
}

func (r *rows) Len() int { return len(r.keys) }
func (r *rows) Key(row int) int {
	return r.keys[row]
}
func (r *rows) Index(key int) int { return slices.Index(r.keys, key) }
func (r *rows) Kind(row int) Kind { return r.kinds[r.keys[row]] }
func (r *rows) Cell(row, column int, c Cell) {
	r.asked++
	key := r.keys[row]
	switch column {
	case -1:
		c.Put("a line that says something of a gap in the data", canvas.Of(themes.Warn))
	case 0:
		c.Put("edge-iad-01", 0)
	case 1:
		c.PutBytes(format.AppendSize(c.Buffer, uint64(key)*1000), 0)
	case 2:
		c.PutBytes(format.AppendCount(c.Buffer, uint64(key)), 0)
	case 3:
		c.Put("/api/search?q=tunnel", 0)
	}
}

func upTo(n int) *rows {
	r := &rows{}
	for i := range n {
		r.keys = append(r.keys, i+1)
	}
	return r
}

func numbers() *Table[int] {
	return New[int]("test", 3,
		Column{Name: "client", Title: "CLIENT", Width: 11},
		Column{Name: "size", Title: "SIZE", Width: 6, Right: true, Sortable: true, Priority: 2},
		Column{Name: "n", Title: "N", Width: 5, Right: true, Sortable: true, Priority: 1},
		Column{Name: "path", Title: "PATH", Width: 8, Grow: true, Sortable: true, Priority: 3})
}

func draw(t *Table[int], s *rows, w, h int) string {
	c := canvas.New()
	c.Resize(w, h)
	t.Draw(c.Area(), s, Look{Glyphs: themes.Unicode(), Focused: true})
	return c.Plain()
}

func equal(t *testing.T, got string, want ...string) {
	t.Helper()
	for i, line := range strings.Split(strings.TrimSuffix(got, "\n"), "\n") {
		if i >= len(want) || strings.TrimRight(line, " ") != want[i] {
			t.Fatalf("got\n%swant\n%s", got, strings.Join(want, "\n"))
		}
	}
}

func TestTableAsPictured(t *testing.T) {
	s, table := upTo(3), numbers()
	s.kinds = map[int]Kind{3: Failed, 2: Failed}
	table.SetOrder("size", true, nil)
	table.SetMarked(2, true)
	equal(t, draw(table, s, 48, 5),
		"   CLIENT       SIZE▼     N PATH",
		" ▌ edge-iad-01   1.0K     1 /api/search?q=tunnel",
		" ✓ edge-iad-01   2.0K     2 /api/search?q=tunnel",
		" ! edge-iad-01   2.9K     3 /api/search?q=tunnel",
		"")
	table.MoveTo(1, s)
	s.kinds[3] = Whole
	equal(t, draw(table, s, 40, 4),
		"   CLIENT       SIZE▼     N PATH",
		"   edge-iad-01   1.0K     1 /api/search…",
		"✓▌ edge-iad-01   2.0K     2 /api/search…",
		"   a line that says something of a gap …")
}

func TestColumnsGiveWayByPriority(t *testing.T) {
	s, table := upTo(1), numbers()
	for w, want := range map[int]string{
		40: "   CLIENT        SIZE     N PATH",
		30: "   CLIENT        SIZE     N",
		22: "   CLIENT          N",
		16: "   CLIENT",
		8:  "   CLIE…",
		0:  "",
	} {
		got, _, _ := strings.Cut(draw(table, s, w, 2), "\n")
		if strings.TrimRight(got, " ") != want {
			t.Errorf("%d wide: %q, want %q", w, got, want)
		}
	}
	table.Do(keys.MoveRight, s, time.Time{}, nil)
	if got := draw(table, s, 30, 1); got != "   CLIENT          N PATH     \n" {
		t.Errorf("scrolled: %q", got)
	}
}

func TestCursorStaysOnItsRow(t *testing.T) {
	s, table := upTo(100), numbers()
	draw(table, s, 40, 11)
	table.MoveTo(50, s)
	first, _ := table.Offset()
	at := table.cursor - first
	s.keys = append([]int{201, 202, 203}, s.keys...)
	draw(table, s, 40, 11)
	row, key := table.Cursor(s)
	if first, _ := table.Offset(); key != 51 || row != 53 || row-first != at {
		t.Errorf("on %d in row %d, line %d; want 51, 53, %d", key, row, row-first, at)
	}
	slices.Reverse(s.keys)
	draw(table, s, 40, 11)
	if _, key := table.Cursor(s); key != 51 {
		t.Errorf("on %d after a new order", key)
	}
	s.keys = slices.DeleteFunc(s.keys, func(k int) bool { return k == 51 })
	draw(table, s, 40, 11)
	if row, key := table.Cursor(s); key != s.keys[row] || row != 49 {
		t.Errorf("on %d in row %d after its row has gone", key, row)
	}
	s.keys = nil
	draw(table, s, 40, 11)
	if row, key := table.Cursor(s); row != -1 || key != 50 && key != 0 {
		t.Errorf("in row %d on %d of none", row, key)
	}
}

func TestMoving(t *testing.T) {
	s, table := upTo(100), numbers()
	draw(table, s, 40, 11)
	for _, step := range []struct {
		action      keys.Action
		row, offset int
	}{
		{keys.MoveUp, 0, 0}, {keys.MoveDown, 1, 0}, {keys.MovePageDown, 6, 5}, {keys.MovePageDown, 11, 10},
		{keys.MoveLast, 99, 90}, {keys.MoveDown, 99, 90}, {keys.MovePageUp, 94, 85}, {keys.MoveFirst, 0, 0}, {keys.MovePageUp, 0, 0},
	} {
		table.Do(step.action, s, time.Time{}, nil)
		if table.cursor != step.row || table.offset != step.offset {
			t.Errorf("%s: row %d at %d, want %d at %d", step.action, table.cursor, table.offset, step.row, step.offset)
		}
	}
	table.Do(keys.Follow, s, time.Time{}, nil)
	s.keys = append([]int{300}, s.keys...)
	if _, key := table.Cursor(s); key != 300 {
		t.Errorf("following, but on %d", key)
	}
	table.Do(keys.MoveDown, s, time.Time{}, nil)
	if table.Follow {
		t.Error("still following after a move")
	}
}

func TestMarks(t *testing.T) {
	s, table := upTo(10), numbers()
	draw(table, s, 40, 11)
	do := func(actions ...keys.Action) {
		for _, a := range actions {
			table.Do(a, s, time.Time{}, nil)
		}
	}
	do(keys.Mark, keys.MoveDown, keys.MarkRange, keys.MoveDown, keys.MoveDown)
	if got := draw(table, s, 40, 11); strings.Count(got, "✓") != 4 {
		t.Errorf("a range that has been begun does not show:\n%s", got)
	}
	do(keys.Mark)
	got := table.AppendMarked(nil)
	slices.Sort(got)
	if fmt.Sprint(got) != "[1 3 4 5]" {
		t.Errorf("marked %v", got)
	}
	if n := table.Prune(func(k int) bool { return k != 4 }); n != 1 || table.Marks() != 3 {
		t.Errorf("pruned %d, %d left", n, table.Marks())
	}
	do(keys.MarkAll)
	if table.Marks() != 10 {
		t.Errorf("%d marked", table.Marks())
	}
	do(keys.Undo)
	if table.Marks() != 0 || table.Do(keys.Undo, s, time.Time{}, nil) {
		t.Error("nothing to undo, but it was done")
	}
}

func TestMouse(t *testing.T) {
	s, table := upTo(100), numbers()
	c := canvas.New()
	c.Resize(60, 20)
	table.Draw(c.Area().Sub(5, 4, 40, 11), s, Look{Glyphs: themes.Unicode()})
	mouse := func(x, y int, kind pane.MouseKind, amount int) (open, handled bool) {
		return table.Mouse(pane.Mouse{X: x, Y: y, Kind: kind, Amount: amount}, s, time.Time{}, nil)
	}
	if open, handled := mouse(20, 7, pane.DoubleClick, 0); !open || !handled || table.cursor != 2 {
		t.Errorf("open %v, handled %v, row %d", open, handled, table.cursor)
	}
	mouse(24, 4, pane.Click, 0)
	if column, descending := table.Order(); column != "size" || !descending {
		t.Errorf("sorted by %q, descending %v", column, descending)
	}
	mouse(20, 7, pane.Wheel, 3)
	if table.offset != 3 || table.cursor != 3 {
		t.Errorf("scrolled to %d with the cursor in row %d", table.offset, table.cursor)
	}
	if _, handled := mouse(2, 7, pane.Click, 0); handled {
		t.Error("took a click from beside the table")
	}
}

type memory map[string]string

func (m memory) Get(name string) string { return m[name] }
func (m memory) Set(name, value string) { m[name] = value }

func TestColumnsRemembered(t *testing.T) {
	m := memory{}
	table := numbers()
	table.Choose([]pane.Column{{Name: "path", Shown: true}, {Name: "gone", Shown: true}, {Name: "size"}, {Name: "client"}}, m)
	table.SetOrder("n", true, m)
	next := numbers()
	next.Recall(m)
	if got := draw(next, upTo(1), 45, 2); !strings.HasPrefix(got, "   CLIENT      PATH                        N▼") {
		t.Errorf("remembered %v: %q", m, got)
	}
	if column, descending := next.Order(); column != "n" || !descending {
		t.Errorf("in order of %q, descending %v", column, descending)
	}
	next.Recall(memory{"columns.test": "zz -yy", "sort.test": "-client"})
	if column, _ := next.Order(); column != "n" {
		t.Errorf("in order of %q, which can't be sorted", column)
	}
}

func TestDrawAsksForVisibleRowsOnly(t *testing.T) {
	s, table := upTo(100_000), numbers()
	draw(table, s, 60, 31)
	if s.asked != 30*4 {
		t.Errorf("asked for %d cells", s.asked)
	}
	c := canvas.New()
	c.Resize(118, 31)
	look := Look{Glyphs: themes.Unicode(), Focused: true}
	if n := testing.AllocsPerRun(50, func() { table.Draw(c.Area(), s, look) }); n > 1 {
		t.Errorf("%v allocations a frame", n)
	}
}

func TestOrderHeldAfterAKey(t *testing.T) {
	s, table := upTo(5), numbers()
	now := time.Date(2026, 11, 22, 15, 4, 12, 0, time.UTC)
	if table.Held(now) {
		t.Error("held before any key")
	}
	table.Do(keys.MoveDown, s, now, nil)
	if !table.Held(now.Add(HoldOrder-1)) || table.Held(now.Add(HoldOrder)) {
		t.Error("not held for as long as it should be")
	}
}

func BenchmarkDraw(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, table := upTo(n), numbers()
			c := canvas.New()
			c.Resize(118, 31)
			look := Look{Glyphs: themes.Unicode(), Focused: true}
			b.ReportAllocs()
			for b.Loop() {
				table.Draw(c.Area(), s, look)
			}
		})
	}
}

// "REQ/S" with the mark of its order was cut to "REQ…▼".
func TestTitleIsNotCutByTheMarkOfItsOrder(t *testing.T) {
	table := New[int]("test", 3,
		Column{Name: "size", Title: "REQ/S", Width: 5, Right: true, Sortable: true},
		Column{Name: "n", Title: "ERR%", Width: 5, Right: true, Sortable: true})
	table.SetOrder("size", true, nil)
	if got := draw(table, upTo(1), 20, 1); !strings.Contains(got, "REQ/S▼ ERR%") {
		t.Errorf("%q", got)
	}
}
