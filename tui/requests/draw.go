package requests

import (
	"errors"
	"strconv"
	"time"

	"adit/engine"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/exchange"
	"adit/tui/format"
	"adit/tui/pane"
)

// Draw draws the pane with its frame.
func (l *List) Draw(a canvas.Area, f *pane.Frame, focused bool) {
	l.load(f)
	box := canvas.Box{Title: l.title(f), Right: l.right(f), Foot: l.foot(f), Focused: focused, Glyphs: f.Glyphs}
	l.DrawRows(a.Box(box), f, focused)
}

// DrawRows draws the header and the rows without a frame around them.
func (l *List) DrawRows(a canvas.Area, f *pane.Frame, focused bool) {
	l.load(f)
	w, h := a.Size()
	l.widen(h)
	l.lay(w)
	l.header(a, f)
	l.rows = canvas.Rect{X: a.Bounds().X, Y: a.Bounds().Y + 1, W: w, H: max(h-1, 0)}
	if l.rows.H == 0 {
		return
	}
	// The size may be another than when the page came.
	if l.at >= l.top+l.rows.H {
		l.top = l.at - l.rows.H + 1
	}
	if l.following && l.ascending && l.order == engine.ByArrival {
		l.top = max(l.matched()-l.rows.H, 0)
	}
	switch {
	case errors.Is(l.err, engine.ErrLost):
		l.lines(a, f, "The link is lost, and these requests were not asked for before.", "They come with the link.")
		return
	case l.err != nil:
		l.lines(a, f, "The log of requests can't be read:", l.err.Error(), "It is tried again.")
		return
	case l.page == nil:
		if f.Link != nil {
			l.lines(a, f, "Asking"+f.Glyphs.Ellipsis)
		}
		return
	case l.page.Matched == 0:
		l.empty(a, f)
		return
	}
	l.drawn = l.drawn[:0]
	for l.at-l.top+l.gaps(f) >= l.rows.H && l.top < l.at {
		l.top++
	}
	for y, i := 0, l.top; y < l.rows.H; y, i = y+1, i+1 {
		if g := l.gap(i, f); g != nil && i > l.top {
			l.drawGap(a.Sub(0, y+1, w, 1), g, f)
			l.drawn = append(l.drawn, -1)
			if y++; y == l.rows.H {
				break
			}
		}
		l.drawn = append(l.drawn, i)
		r := l.row(i)
		if r == nil {
			if i < l.page.Matched {
				a.Text(gutter, y+1, f.Glyphs.Cut, canvas.Of(themes.Muted))
			}
			continue
		}
		line := a.Sub(0, y+1, w, 1)
		if i == l.at && (focused || !l.following) {
			line = line.With(canvas.Selected)
			line.Fill(0)
			l.drawRow(line, r, f, true)
			continue
		}
		l.drawRow(line, r, f, false)
	}
}

// gap returns the time without data that lies between the i-th row and the one
// above it, nil if there is none: rows within it say that there is data of it. An
// engine that was not restarted has kept its records while nobody asked for them.
func (l *List) gap(i int, f *pane.Frame) *pane.Gap {
	if len(f.Gaps) == 0 || l.order != engine.ByArrival {
		return nil
	}
	newer, older := l.row(i-1), l.row(i)
	if newer == nil || older == nil {
		return nil
	}
	if l.ascending {
		newer, older = older, newer
	}
	for n := range f.Gaps {
		if g := &f.Gaps[n]; g.Restarted && !older.Arrived.After(g.From) && !newer.Arrived.Before(g.To) {
			return g
		}
	}
	return nil
}

// gaps counts those between the first row on the screen and the cursor.
func (l *List) gaps(f *pane.Frame) int {
	n := 0
	if len(f.Gaps) > 0 {
		for i := l.top + 1; i <= l.at; i++ {
			if l.gap(i, f) != nil {
				n++
			}
		}
	}
	return n
}

func (l *List) drawGap(line canvas.Area, g *pane.Gap, f *pane.Frame) {
	style := canvas.Of(themes.Warn)
	line.Repeat(gutter, 0, max(line.W()-gutter-1, 0), f.Glyphs.Normal.Top, style)
	l.text = append(format.AppendAge(append(l.text[:0], ' '), g.To.Sub(g.From)), " without data; the engine was restarted "...)
	line.Bytes(gutter+2, 0, l.text, style)
}

// header draws the titles, the order's with its mark.
func (l *List) header(a canvas.Area, f *pane.Frame) {
	style := canvas.Of(themes.Muted)
	for _, p := range l.layout {
		fact := &columnFacts[p.column]
		end := p.x + p.w
		if fact.right {
			a.Right(p.x, 0, p.w, fact.title, style)
		} else {
			end = a.Cut(p.x, 0, p.w, fact.title, f.Glyphs.Cut, style)
		}
		if fact.sorts && fact.order == l.order && !(l.following && l.order == engine.ByArrival && !l.ascending) {
			a.Text(end, 0, l.arrow(f), canvas.Of(themes.Accent))
		}
	}
}

func (l *List) arrow(f *pane.Frame) string {
	if l.ascending {
		return f.Glyphs.Ascending
	}
	return f.Glyphs.Descending
}

func (l *List) drawRow(a canvas.Area, r *engine.Request, f *pane.Frame, cursor bool) {
	failed, marked := exchange.Failed(r), l.Marked(r.ID)
	x := 1
	if cursor {
		if failed || marked {
			x = 0
		}
		a.Text(x, 0, f.Glyphs.Selected, canvas.Of(themes.Accent))
		x = 1
	}
	switch {
	case marked:
		a.Text(x, 0, f.Glyphs.Marked, canvas.Of(themes.Mark))
		if failed {
			a.Text(2, 0, f.Glyphs.Failed, canvas.Of(themes.Err))
		}
	case failed:
		a.Text(x, 0, f.Glyphs.Failed, canvas.Of(themes.Err))
	}
	plain := canvas.Of(themes.Fg)
	if !f.Stale.IsZero() {
		plain = canvas.Of(themes.Muted)
	}
	for _, p := range l.layout {
		l.cell(a, p, r, f, plain)
	}
}

// cell draws one column of one row.
func (l *List) cell(a canvas.Area, p placed, r *engine.Request, f *pane.Frame, plain canvas.Style) {
	cut, muted := f.Glyphs.Cut, canvas.Of(themes.Muted)
	left := func(s string, style canvas.Style) {
		if l.scroll > 0 {
			s = canvas.Skip(s, l.scroll)
		}
		a.Cut(p.x, 0, p.w, s, cut, style)
	}
	switch p.column {
	case colTime:
		if p.w > timeCompact {
			l.text = format.AppendTime(l.text[:0], r.Arrived, f.UTC)
		} else {
			l.text = format.AppendTimeShort(l.text[:0], r.Arrived, f.UTC)
		}
		a.Bytes(p.x, 0, l.text, muted)
	case colMethod:
		a.Cut(p.x, 0, p.w, orDash(r.Method), cut, plain)
	case colStatus:
		l.text = l.appendStatus(l.text[:0], r, f)
		a.Bytes(p.x, 0, l.text, statusStyle(r))
	case colDuration:
		l.text = l.text[:0]
		if d, known := l.duration(r); known {
			l.text = format.AppendDuration(l.text, d)
		} else {
			l.text = append(l.text, '?')
		}
		a.RightBytes(p.x, 0, p.w, l.text, plain)
	case colSize:
		l.text = format.AppendSize(l.text[:0], uint64(max(r.RequestBytes, 0)+max(r.ResponseBytes, 0)))
		a.RightBytes(p.x, 0, p.w, l.text, plain)
	case colClient:
		a.Cut(p.x, 0, p.w, orDash(clientOf(r, f)), cut, plain)
	case colConnection:
		l.text = append(l.text[:0], '-')
		if r.Connection != 0 {
			l.text = strconv.AppendUint(append(l.text[:0], "c-"...), uint64(r.Connection), 10)
		}
		l.drawID(a, p, cut)
	case colID:
		l.text = strconv.AppendUint(append(l.text[:0], "r-"...), uint64(r.ID), 10)
		l.drawID(a, p, cut)
	case colHost:
		host, _ := exchange.SplitTarget(r.Target)
		a.Cut(p.x, 0, p.w, orDash(host), cut, plain)
	case colCaller:
		a.Cut(p.x, 0, p.w, orDash(r.Caller), cut, plain)
	case colOutcome:
		outcome := r.Outcome.String()
		switch {
		case r.InFlight():
			outcome = "in flight"
		case r.Outcome == engine.OutcomeNone:
			outcome = "unknown"
		}
		a.Cut(p.x, 0, p.w, outcome, cut, plain)
	case colPath:
		_, path := exchange.SplitTarget(r.Target)
		left(path, plain)
	}
}

// appendStatus appends the status of r: a mark while it is in flight, since it
// may still change, and one where it is not known.
func (l *List) appendStatus(b []byte, r *engine.Request, f *pane.Frame) []byte {
	switch {
	case r.InFlight():
		return append(b, f.Glyphs.Cut...)
	case r.Outcome == engine.OutcomeNone:
		return append(b, '?')
	case r.Status == 0:
		return append(b, '-')
	}
	return strconv.AppendInt(b, int64(r.Status), 10)
}

func statusStyle(r *engine.Request) canvas.Style {
	switch {
	case r.InFlight():
		return canvas.Of(themes.Info)
	case r.Outcome == engine.OutcomeNone:
		return canvas.Of(themes.Warn)
	case r.Status == 0:
		return canvas.Of(themes.Muted)
	}
	return exchange.StatusStyle(r.Status)
}

// duration returns how long r took, or has taken when the page came.
func (l *List) duration(r *engine.Request) (time.Duration, bool) { return exchange.Duration(r, l.asOf) }

// clientOf returns the client of r. While r runs its record may not have it yet,
// but the connection that carries it does.
func clientOf(r *engine.Request, f *pane.Frame) string {
	if r.Client != "" || r.Connection == 0 || f.Snapshot == nil {
		return r.Client
	}
	if i := f.Snapshot.Index(r.Connection); i >= 0 {
		return f.Snapshot.Connections[i].Client
	}
	return ""
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// title names the pane, with what keeps it from showing everything.
func (l *List) title(f *pane.Frame) string {
	if l.sampled.oneIn == 0 || !l.following || f.Paused {
		return l.o.Title
	}
	dot := " " + f.Glyphs.Dot + " "
	b := append(l.text[:0], l.o.Title...)
	b = append(append(append(b, ' '), f.Glyphs.Normal.Top...), " SAMPLED 1 in "...)
	b = strconv.AppendInt(b, int64(l.sampled.oneIn), 10)
	b = append(format.AppendRate(append(b, dot...), l.rate.perSecond), "/s"...)
	b = append(append(b, dot...), "counters exact"...)
	l.text = b
	return string(b)
}

// right says whether it follows, else how it is sorted, and what is marked.
func (l *List) right(f *pane.Frame) string {
	dot := " " + f.Glyphs.Dot + " "
	b := l.text[:0]
	switch {
	case l.following && !f.Paused:
		b = append(append(b, f.Glyphs.Following...), " following"...)
		if l.o.Scope == "" && l.sampled.oneIn == 0 && l.rate.perSecond > 0 {
			b = append(format.AppendRate(append(b, dot...), l.rate.perSecond), "/s"...)
		}
	default:
		b = append(append(b, orderTitle(l.order)...), l.arrow(f)...)
	}
	if l.o.Scope != "" && l.page != nil {
		m := l.Matches()
		b = m.AppendCount(append(b, dot...))
	}
	if len(l.marks) > 0 {
		b = format.AppendExact(append(b, dot...), uint64(len(l.marks)))
		b = append(b, " marked"...)
	}
	l.text = b
	return string(b)
}

// foot says where the cursor is and what the log keeps, and what it lost.
func (l *List) foot(f *pane.Frame) string {
	p := l.page
	if p == nil {
		return ""
	}
	dot := " " + f.Glyphs.Dot + " "
	b := l.text[:0]
	if p.Lost > 0 {
		b = format.AppendExact(b, p.Lost)
		b = append(b, " not recorded"...)
	}
	if l.o.Full && p.Matched > 0 {
		if len(b) > 0 {
			b = append(b, dot...)
		}
		if l.rows.W >= small {
			b = append(b, "row "...)
			b = format.AppendExact(b, uint64(l.at+1))
			m := l.Matches()
			b = m.AppendCount(append(b, " of "...))
		} else {
			b = strconv.AppendInt(b, int64(l.at+1), 10)
			b = strconv.AppendInt(append(b, '/'), int64(p.Matched), 10)
			if p.Cut {
				b = append(b, '+')
			}
		}
	}
	if l.o.Full && l.rows.W >= small && p.Capacity > 0 {
		if len(b) > 0 {
			b = append(b, dot...)
		}
		b = format.AppendShort(append(b, "ring keeps last "...), uint64(p.Capacity))
		if p.Stored > 0 {
			b = format.AppendShort(append(b, dot...), uint64(p.Stored))
			b = append(b, " more stored"...)
		}
	}
	if p.Problem != "" {
		if len(b) > 0 {
			b = append(b, dot...)
		}
		b = append(b, "STORE SUSPENDED"...)
	}
	l.text = b
	return string(b)
}

// empty says why there is nothing, and what to do.
func (l *List) empty(a canvas.Area, f *pane.Frame) {
	switch {
	case l.filter != "":
		b := format.AppendExact(append([]byte(nil), "0 of "...), uint64(l.page.Kept+l.page.Stored))
		if l.page.Searching {
			l.lines(a, f, string(b)+" match so far: searching the history"+f.Glyphs.Ellipsis, "", "", "esc clears the filter")
		} else {
			l.lines(a, f, string(b)+" match", "", "", "esc clears the filter")
		}
		y := 2
		if a.H() > 7 {
			y = 4
		}
		l.drawFilter(a, y, f)
	case l.o.Scope != "":
		l.lines(a, f, "No request here yet.")
	default:
		l.lines(a, f, "No request has come yet.", "Each one stands here as soon as it begins.")
	}
}

// lines draws a few lines of text below the header.
func (l *List) lines(a canvas.Area, f *pane.Frame, texts ...string) {
	y := 1
	if a.H() > len(texts)+3 {
		y = 3
	}
	for i, s := range texts {
		style := canvas.Of(themes.Fg)
		if i > 0 {
			style = canvas.Of(themes.Muted)
		}
		a.Cut(gutter, y+i, max(a.W()-gutter-1, 0), s, f.Glyphs.Cut, style)
	}
}

// drawID draws the id in l.text.
func (l *List) drawID(a canvas.Area, p placed, cut string) {
	if len(l.text) > p.w {
		l.text = append(l.text[:max(p.w-1, 0)], cut...)
	}
	a.Bytes(p.x, 0, l.text, canvas.Of(themes.Muted))
}
