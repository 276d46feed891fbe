package requests

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"adit/engine"
	"adit/keys"
	"adit/tui/exchange"
	"adit/tui/pane"
)

// setMarks replaces the marks. The slice that is:marked is made of is replaced
// too, since a fetch may be reading the old one.
func (l *List) setMarks(marks map[engine.RequestID]struct{}) {
	l.marks = marks
	l.sorted = slices.Sorted(maps.Keys(marks))
	l.anchor = 0
}

// Forget takes all marks away where ids are given anew, and returns how many; one
// that is only not kept any more is left to what it is used for.
func (l *List) Forget(all bool) int {
	n := len(l.marks)
	if n == 0 || !all {
		return 0
	}
	l.setMarks(map[engine.RequestID]struct{}{})
	return n
}

// Captures is what [pane.Capturable] asks for.
func (l *List) Captures(a keys.Action) (filter, what string) {
	if r := l.Selected(); r != nil && a == keys.CapturePath {
		return exchange.CaptureFilter(r)
	}
	return "", ""
}

// toggle marks the row, or no longer, and goes on to the next.
func (l *List) toggle() {
	r := l.Selected()
	if r == nil {
		return
	}
	id := r.ID
	marks := maps.Clone(l.marks)
	if _, marked := marks[id]; marked {
		delete(marks, id)
	} else if len(marks) < marksMost {
		marks[id] = struct{}{}
	}
	l.remember()
	l.setMarks(marks)
	l.anchor = id
	l.following = false
	l.put(min(l.at+1, max(l.matched()-1, 0)))
}

// markRange marks from where the range began to the cursor; without a beginning
// it begins one.
func (l *List) markRange() pane.Effect {
	r := l.Selected()
	if r == nil {
		return nil
	}
	if l.anchor == 0 || l.find(l.anchor) == nil {
		l.anchor = r.ID
		l.following = false
		l.put(l.at)
		return pane.Say{Text: "range begins here: move, then the same key again"}
	}
	from := l.at
	for i := range l.page.Requests {
		if l.page.Requests[i].ID == l.anchor {
			from = l.page.Offset + i
		}
	}
	marks := maps.Clone(l.marks)
	for i := min(from, l.at); i <= max(from, l.at) && len(marks) < marksMost; i++ {
		marks[l.row(i).ID] = struct{}{}
	}
	l.remember()
	l.setMarks(marks)
	return nil
}

// markAll marks everything that the filter selects, as soon as that is fetched.
func (l *List) markAll() pane.Effect {
	if l.matched() == 0 {
		return nil
	}
	q := engine.RequestQuery{Filter: l.combined, Order: l.order, Ascending: l.ascending, Marked: l.sorted, Until: l.page.Newest, Count: pageMost}
	l.collect = &collect{query: q, most: marksMost}
	if m := l.matched(); m > marksMost {
		return pane.Say{Text: fmt.Sprintf("marking the first %d of %d: narrow the filter to reach the others", marksMost, m), Bad: true}
	}
	return nil
}

// collect gathers the ids of all that a query selects.
type collect struct {
	l     *List
	query engine.RequestQuery
	most  int
	ids   []engine.RequestID
	err   error
	ran   bool
}

func (c *collect) Fetch(ctx context.Context, s pane.Source) {
	var page engine.RequestPage
	q := c.query
	for len(c.ids) < c.most {
		q.Offset, q.Count = len(c.ids), min(pageMost, c.most-len(c.ids))
		if c.err = s.Log.Requests(ctx, q, &page); c.err != nil || len(page.Requests) == 0 {
			break
		}
		for i := range page.Requests {
			c.ids = append(c.ids, page.Requests[i].ID)
		}
	}
	c.ran = true
}

func (c *collect) Deliver(*pane.Frame) {
	l := c.l
	if l.collect == nil || !c.ran {
		return
	}
	l.collect = nil
	if c.err != nil {
		l.err = c.err
		return
	}
	marks := maps.Clone(l.marks)
	for _, id := range c.ids {
		if len(marks) == marksMost {
			break
		}
		marks[id] = struct{}{}
	}
	l.remember()
	l.setMarks(marks)
}

// match goes to the next record, downwards, that the filter selects: of the
// rows all are, so without a filter it is the last one that counts.
func (l *List) match(back bool) pane.Effect {
	if l.filter != "" {
		if back {
			l.move(-1)
		} else {
			l.move(1)
		}
		return nil
	}
	r := l.Selected()
	if l.lastFor == "" || r == nil {
		return pane.Say{Text: "no filter to look for"}
	}
	filter := combine(l.o.Scope, l.lastFor)
	l.following = false
	l.put(l.at)
	// In the order of arrival the rows are in the order of ids.
	older := back == l.ascending
	q := engine.RequestQuery{Filter: filter, Marked: l.sorted, Count: 3, At: r.ID, Offset: 1, Ascending: !older}
	if l.page.Newest != 0 {
		q.Until = l.page.Newest
	}
	l.seek = &seek{query: q, from: r.ID, back: back}
	return nil
}

// seek looks for the record after or before another that a filter selects.
type seek struct {
	l     *List
	query engine.RequestQuery
	from  engine.RequestID
	back  bool
	found engine.RequestID
	err   error
	ran   bool
}

func (s *seek) Fetch(ctx context.Context, source pane.Source) {
	var page engine.RequestPage
	s.err = source.Log.Requests(ctx, s.query, &page)
	for i := range page.Requests {
		id := page.Requests[i].ID
		if !s.query.Ascending && id < s.from || s.query.Ascending && id > s.from {
			s.found = id
			break
		}
	}
	s.ran = true
}

func (s *seek) Deliver(*pane.Frame) {
	l := s.l
	if l.seek == nil || !s.ran {
		return
	}
	l.seek = nil
	if s.err == nil && s.found != 0 && !l.following {
		l.cursor, l.pending = s.found, false
		if r := l.find(s.found); r != nil {
			for i := range l.page.Requests {
				if l.page.Requests[i].ID == s.found {
					l.put(l.page.Offset + i)
				}
			}
		}
	}
}
