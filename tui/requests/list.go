package requests

import (
	"context"
	"errors"
	"time"

	"adit/engine"
	"adit/tui/canvas"
	"adit/tui/pane"
)

// A List is a pane of records, the newest first unless sorted otherwise. It
// never holds more of the log than a few screens of it. It belongs to the
// dashboard's goroutine and is no [pane.Screen]: screens embed it.
type List struct {
	o        Options
	filter   string
	combined string // scope and filter
	before   []view // for undo

	order     engine.RequestOrder
	ascending bool
	following bool // shows the newest (or the first in another order), whatever comes

	// The cursor is known by its record, so that it stays there when rows come
	// above it; at is where that record stood in the page shown.
	cursor  engine.RequestID
	at      int // index among the matched
	top     int // index of the first row on the screen
	pending bool
	scroll  int // columns of text to the left of the area

	page  *engine.RequestPage // shown; nil before the first
	spare *engine.RequestPage // for the next fetch; nil while that has it
	asked string              // filter that page answers
	asOf  time.Time           // when page came
	last  time.Time           // when rows were fetched last
	err   error
	want  engine.RequestQuery // of page

	rate    arrivals
	sampled sampling

	marks   map[engine.RequestID]struct{}
	sorted  []engine.RequestID // marks in order; replaced, never changed: a fetch reads it
	anchor  engine.RequestID   // where a range begins; 0 none
	collect *collect           // marks that are being gathered
	seek    *seek              // the match that is being looked for
	lastFor string             // the last filter that was cleared: what n and N look for

	narrow   narrow
	detail   detail
	revealed engine.RequestID // whose secrets are shown; 0 none

	columns []column // nil: the default of the class
	loaded  bool     // what Memory has was read
	rows    canvas.Rect
	drawn   []int // by line of rows: the row that was drawn there, -1 a gap
	layout  []placed
	text    []byte

	connDigits, idDigits int // the most of ids that were drawn
}

// Options say what a List is a part of.
type Options struct {
	Name  string // of what it keeps in Memory: "requests"
	Title string // of the pane
	Scope string // a filter that holds beside the operator's, as "conn:c-17"
	Full  bool   // it is the screen: its lines say everything about the log
}

// A view is what undo takes back.
type view struct {
	filter    string
	order     engine.RequestOrder
	ascending bool
	marks     map[engine.RequestID]struct{}
}

const (
	// Rows beyond the screen are fetched at both ends, so that a key moves the
	// cursor at once.
	pageMargin = 40
	pageMost   = 1000

	marksMost = 10_000
	undoMost  = 20

	tailEvery = 250 * time.Millisecond // while following: what scrolls costs bytes to the terminal

	// Over a link every page costs bytes and a round trip.
	farEvery  = time.Second // the same window again
	farMargin = 2           // rows beyond the screen while following
)

// NewList returns one that follows the newest.
func NewList(o Options) *List {
	l := &List{o: o, following: true, marks: map[engine.RequestID]struct{}{}}
	l.combine()
	return l
}

// SetScope changes the filter that always holds.
func (l *List) SetScope(scope string) {
	if l.o.Scope != scope {
		l.o.Scope = scope
		l.combine()
		l.toFirst()
		l.following = true
		l.page = nil
	}
}

// Filter returns the operator's filter.
func (l *List) Filter() string { return l.filter }

// SetFilter narrows the rows; text is one that parses.
func (l *List) SetFilter(text string) {
	if text == l.filter {
		return
	}
	if text == "" {
		l.lastFor = l.filter
	}
	l.filter = text
	l.combine()
	l.toFirst()
}

func (l *List) combine() { l.combined = combine(l.o.Scope, l.filter) }

// combine returns a filter that selects what both select.
func combine(scope, filter string) string {
	switch {
	case scope == "":
		return filter
	case filter == "":
		return scope
	}
	return scope + " (" + filter + ")"
}

// Page returns what is shown, nil before anything was fetched. The caller only
// reads it, and keeps it no longer than the frame.
func (l *List) Page() *engine.RequestPage { return l.page }

// Newest returns the newest record that is known, 0 if none is.
func (l *List) Newest() engine.RequestID {
	if l.page == nil {
		return 0
	}
	return l.page.Newest
}

// Following reports whether the newest are shown, whatever comes.
func (l *List) Following() bool { return l.following }

// Selected returns the record under the cursor; nil if there is none. The
// caller keeps it no longer than the frame.
func (l *List) Selected() *engine.Request { return l.row(l.at) }

// Marked reports whether a request is marked.
func (l *List) Marked(id engine.RequestID) bool {
	_, ok := l.marks[id]
	return ok
}

// row returns the i-th of the matched; nil if it is not in the page.
func (l *List) row(i int) *engine.Request {
	if l.page == nil || i < l.page.Offset || i >= l.page.Offset+len(l.page.Requests) {
		return nil
	}
	return &l.page.Requests[i-l.page.Offset]
}

// height returns the rows on the screen, as far as is known.
func (l *List) height() int { return max(l.rows.H, 1) }

func (l *List) matched() int {
	if l.page == nil {
		return 0
	}
	return l.page.Matched
}

// toFirst puts the cursor on the first row of what will be fetched.
func (l *List) toFirst() { l.at, l.top, l.cursor, l.pending = 0, 0, 0, true }

// Wants implements [pane.Sequence] and what a screen's Wants takes of the list.
func (l *List) Wants(f *pane.Frame) []pane.Want {
	if r := l.Selected(); r == nil || r.ID != l.revealed {
		l.revealed = 0 // never longer than the cursor is on it
	}
	wants := l.wantNarrow(l.wantDetail(make([]pane.Want, 0, 2), f))
	if l.collect != nil {
		wants = append(wants, &collect{l: l, query: l.collect.query, most: l.collect.most})
	}
	if l.seek != nil {
		wants = append(wants, &seek{l: l, query: l.seek.query, from: l.seek.from, back: l.seek.back})
	}
	q := l.query(f)
	same := l.page != nil && l.err == nil && l.asked == q.Filter && sameWindow(&l.want, &q)
	switch {
	case f.Paused && same:
		return wants // the screen stands still
	case same && f.Link != nil && f.Wall().Sub(l.last) < farEvery:
		return wants
	case l.following && same && l.rate.perSecond > 10 && f.Wall().Sub(l.last) < tailEvery:
		return wants
	}
	w := &fetch{l: l, query: q, into: l.spare, at: l.at}
	l.spare = nil
	if w.into == nil {
		w.into = new(engine.RequestPage)
	}
	return append(wants, w)
}

// query returns what to ask for so that the screen and what is next to it can
// be drawn.
func (l *List) query(f *pane.Frame) engine.RequestQuery {
	q := engine.RequestQuery{Filter: l.combined, Order: l.order, Ascending: l.ascending, Marked: l.sorted,
		Count: min(l.height()+2*pageMargin, pageMost)}
	if f.Paused {
		q.Until = f.Until
	}
	if f.Link != nil && l.following {
		q.Count = min(l.height()+farMargin, pageMost)
	}
	switch {
	case l.following && l.ascending && l.order == engine.ByArrival:
		q.At, q.Offset = ^engine.RequestID(0), q.Count
	case l.following:
	case l.pending || l.cursor == 0:
		q.Offset = max(l.top-pageMargin, 0)
	default:
		q.At, q.Offset = l.cursor, min(max(l.at-l.top, 0)+pageMargin, q.Count-1)
	}
	return q
}

func sameWindow(a, b *engine.RequestQuery) bool {
	return a.Filter == b.Filter && a.Order == b.Order && a.Ascending == b.Ascending && a.Until == b.Until &&
		a.At == b.At && a.Offset == b.Offset && a.Count == b.Count
}

// A fetch is a page on its way. Nobody else has its into.
type fetch struct {
	l     *List
	query engine.RequestQuery
	into  *engine.RequestPage
	at    int // where the cursor was when it was asked for
	err   error
	ran   bool
}

func (w *fetch) Fetch(ctx context.Context, s pane.Source) {
	w.err = s.Log.Requests(ctx, w.query, w.into)
	w.ran = true
}

func (w *fetch) Deliver(f *pane.Frame) {
	l := w.l
	switch {
	case !w.ran:
		return
	case w.err != nil:
		l.spare = w.into
		l.last = f.Wall()
		if !errors.Is(w.err, context.Canceled) && (l.page == nil || !away(w.err)) {
			l.err = w.err
		}
		return
	}
	fits := w.query.Filter == l.combined && w.query.Order == l.order && w.query.Ascending == l.ascending
	if !fits || !l.place(w) {
		// What was asked for is not what is wanted any more; the next one is.
		if l.spare == nil {
			l.spare = w.into
		}
		return
	}
	l.err, l.asked, l.want = nil, w.query.Filter, w.query
	l.asOf, l.last = f.Now, f.Wall()
	if !f.Paused {
		l.rate.add(l.page.Newest, f.Now)
		l.sampled.add(l, f.Now)
	}
}

// away reports whether nobody answered: what is known stays, and the screen says
// how old that is.
func away(err error) bool {
	return errors.Is(err, engine.ErrLost) || errors.Is(err, context.DeadlineExceeded)
}

// place shows a page, with the cursor where it belongs. It reports false if the
// cursor has moved out of the page meanwhile.
func (l *List) place(w *fetch) bool {
	p := w.into
	swap := func(at, top int) bool {
		if l.page != nil && l.spare == nil {
			l.spare = l.page
		}
		l.page = p
		l.at = min(max(at, 0), max(p.Matched-1, 0))
		l.top = min(max(top, l.at-l.height()+1, 0), l.at)
		l.pending = false
		l.cursor = 0
		if r := l.row(l.at); r != nil {
			l.cursor = r.ID
		}
		return true
	}
	if l.following {
		if w.query.At == 0 && w.query.Offset == 0 {
			return swap(0, 0)
		}
		if w.query.At == ^engine.RequestID(0) {
			return swap(p.Matched-1, p.Matched-l.height())
		}
		return false
	}
	end := p.Offset + len(p.Requests)
	if l.pending || l.cursor == 0 {
		at := min(l.at, max(p.Matched-1, 0))
		if p.Matched > 0 && (at < p.Offset || at >= end) {
			return w.at == l.at && w.query.At == 0 && w.query.Offset == 0 && swap(0, 0)
		}
		return swap(at, l.top)
	}
	above := l.at - l.top
	for i := range p.Requests {
		if p.Requests[i].ID == l.cursor {
			return swap(p.Offset+i, p.Offset+i-above)
		}
	}
	if w.query.At != l.cursor {
		return false
	}
	// The record is gone, or the filter no longer selects it: what stands in its
	// place now has the cursor.
	at := min(p.Offset+min(above+pageMargin, max(len(p.Requests)-1, 0)), max(p.Matched-1, 0))
	if l.order == engine.ByArrival {
		at = max(end-1, 0)
		for i := range p.Requests {
			if id := p.Requests[i].ID; !l.ascending && id < l.cursor || l.ascending && id > l.cursor {
				at = p.Offset + i
				break
			}
		}
	}
	return swap(at, at-above)
}
