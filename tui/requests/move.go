package requests

import (
	"adit/engine"
	"adit/keys"
	"adit/tui/exchange"
	"adit/tui/pane"
)

// Do does what a key or the palette asks of the list; handled is false where
// the list does not know the action.
func (l *List) Do(a keys.Action, f *pane.Frame) (effect pane.Effect, handled bool) {
	if by, ok := pane.Moves(a, l.height()/2, l.matched()); ok {
		l.move(by)
		return nil, true
	}
	switch a {
	case keys.MoveLeft:
		l.scroll = max(l.scroll-8, 0)
	case keys.MoveRight:
		l.scroll = min(l.scroll+8, engine.MaxText)
	case keys.Follow:
		l.following = true
		l.toFirst()
	case keys.Sort:
		l.remember()
		l.sortBy((l.order + 1) % (engine.ByPath + 1))
	case keys.SortReverse:
		l.remember()
		l.ascending = !l.ascending
		l.toFirst()
	case keys.Mark:
		l.toggle()
	case keys.MarkRange:
		return l.markRange(), true
	case keys.MarkAll:
		return l.markAll(), true
	case keys.Undo:
		return l.undo(), true
	case keys.MatchNext, keys.MatchPrevious:
		return l.match(a == keys.MatchPrevious), true
	case keys.Columns:
		return l.chooseColumns(f), true
	case keys.Open:
		if r := l.Selected(); r != nil {
			return pane.OpenRequest{ID: r.ID, From: l}, true
		}
	case keys.Cancel:
		return l.cancel(), true
	case keys.Copy:
		return l.copyMenu(f), true
	case keys.CopyCurl:
		return l.copyCurl(f), true
	case keys.Write:
		return l.write(), true
	case keys.Replay:
		ids, hidden := l.chosen()
		return exchange.Replay(f, ids, hidden), true
	case keys.HAR:
		return l.har(f), true
	case keys.SaveContent:
		return l.save(), true
	case keys.Reveal:
		l.Reveal()
	case keys.Back:
		return nil, l.back()
	default:
		return nil, false
	}
	return nil, true
}

// Off says why an action of Do is not possible now.
func (l *List) Off(a keys.Action, f *pane.Frame) string {
	switch a {
	case keys.Open, keys.Mark, keys.MarkRange, keys.MarkAll, keys.Copy, keys.CopyCurl, keys.Write, keys.Reveal, keys.Replay, keys.HAR, keys.SaveContent:
		if l.Selected() == nil && len(l.marks) == 0 {
			return "no request here"
		}
	case keys.Cancel:
		if len(l.inFlight()) == 0 {
			return "not in flight"
		}
	case keys.MatchNext, keys.MatchPrevious:
		if l.filter == "" && l.lastFor == "" {
			return "no filter"
		}
	case keys.Undo:
		if len(l.before) == 0 {
			return "nothing to undo"
		}
	}
	return ""
}

// move moves the cursor by so many rows, which ends following.
func (l *List) move(by int) {
	if l.matched() == 0 {
		return
	}
	at := min(max(l.at+by, 0), l.matched()-1)
	if at == l.at && l.following && by < 0 {
		return // it stands at the newest already
	}
	l.following = false
	l.put(at)
}

// put puts the cursor on the i-th of the matched and scrolls as little as that
// needs.
func (l *List) put(i int) {
	l.at = i
	l.top = max(min(max(l.top, i-l.height()+1), i), 0)
	if r := l.row(i); r != nil {
		l.cursor, l.pending = r.ID, false
		return
	}
	l.cursor, l.pending = 0, true
}

// scrollBy moves the rows under the cursor, which stays on the screen.
func (l *List) scrollBy(rows int) {
	last := max(l.matched()-l.height(), 0)
	top := min(max(l.top+rows, 0), last)
	if top == l.top {
		return
	}
	l.following = false
	l.top = top
	if at := min(max(l.at, top), top+l.height()-1); at != l.at || l.row(at) == nil {
		l.put(at)
	}
}

// Step implements [pane.Sequence].
func (l *List) Step(id engine.RequestID, by int) (engine.RequestID, bool) {
	if l.page == nil {
		return 0, false
	}
	at := l.at
	for i := range l.page.Requests {
		if l.page.Requests[i].ID == id {
			at = l.page.Offset + i
			break
		}
	}
	r := l.row(at + by)
	if r == nil {
		return 0, false
	}
	l.following = false
	l.put(at + by)
	return r.ID, true
}

// sortBy changes the order; the first of it are shown.
func (l *List) sortBy(order engine.RequestOrder) {
	if l.order == order {
		l.ascending = !l.ascending
	} else {
		l.order, l.ascending = order, order == engine.ByClient || order == engine.ByPath
	}
	l.toFirst()
}

// back does what esc does to a list: it reports false where nothing is left to
// clear.
func (l *List) back() bool {
	switch {
	case l.filter != "":
		l.remember()
		l.SetFilter("")
	case len(l.marks) > 0:
		l.remember()
		l.setMarks(map[engine.RequestID]struct{}{})
	default:
		return false
	}
	return true
}

// remember keeps what undo takes back.
func (l *List) remember() {
	if len(l.before) == undoMost {
		l.before = append(l.before[:0], l.before[1:]...)
	}
	l.before = append(l.before, view{l.filter, l.order, l.ascending, l.marks})
}

func (l *List) undo() pane.Effect {
	if len(l.before) == 0 {
		return pane.Say{Text: "nothing to undo"}
	}
	v := l.before[len(l.before)-1]
	l.before = l.before[:len(l.before)-1]
	if v.order != l.order || v.ascending != l.ascending {
		l.order, l.ascending = v.order, v.ascending
		l.toFirst()
	}
	l.SetFilter(v.filter)
	l.setMarks(v.marks)
	return nil
}

// cancel asks to end the marked that are in flight, or the row.
func (l *List) cancel() pane.Effect {
	ids := l.inFlight()
	if len(ids) == 0 {
		return pane.Say{Text: "nothing to cancel: not in flight"}
	}
	return pane.Ask{Action: keys.Cancel, Requests: ids, Hidden: l.hidden(ids)}
}

// inFlight returns what cancel would end. Of marks that are not on the page it
// is not known whether they run; the engine says so if not.
func (l *List) inFlight() []engine.RequestID {
	if len(l.marks) == 0 {
		if r := l.Selected(); r != nil && r.InFlight() {
			return []engine.RequestID{r.ID}
		}
		return nil
	}
	var ids []engine.RequestID
	for _, id := range l.sorted {
		if r := l.find(id); r == nil || r.InFlight() {
			ids = append(ids, id)
		}
	}
	return ids
}

// hidden counts those that are not on the page.
func (l *List) hidden(ids []engine.RequestID) int {
	n := 0
	for _, id := range ids {
		if l.find(id) == nil {
			n++
		}
	}
	return n
}

func (l *List) find(id engine.RequestID) *engine.Request {
	if l.page != nil {
		for i := range l.page.Requests {
			if l.page.Requests[i].ID == id {
				return &l.page.Requests[i]
			}
		}
	}
	return nil
}

// Mouse does what the mouse asks for within the area of the last Draw; ok is
// false if it was elsewhere.
func (l *List) Mouse(m pane.Mouse, f *pane.Frame) (effect pane.Effect, ok bool) {
	head := l.rows
	head.Y, head.H = head.Y-1, 1
	switch {
	case head.Contains(m.X, m.Y) && m.Kind == pane.Click:
		if order, sortable := l.headerAt(m.X - head.X); sortable {
			l.remember()
			l.sortBy(order)
		}
		return nil, true
	case !l.rows.Contains(m.X, m.Y):
		return nil, head.Contains(m.X, m.Y)
	}
	switch m.Kind {
	case pane.Wheel:
		l.scrollBy(m.Amount)
	case pane.Click, pane.DoubleClick:
		i := -1
		if y := m.Y - l.rows.Y; y < len(l.drawn) {
			i = l.drawn[y]
		}
		if l.row(i) == nil {
			return nil, true
		}
		l.following = false
		l.put(i)
		if m.Kind == pane.DoubleClick {
			effect, _ = l.Do(keys.Open, f)
			return effect, true
		}
	}
	return nil, true
}
