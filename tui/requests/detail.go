package requests

import (
	"context"
	"errors"
	"time"

	"adit/engine"
	"adit/engine/inspect"
	"adit/tui/exchange"
	"adit/tui/pane"
)

// A detail is the record under the cursor with what rows don't have.
type detail struct {
	l      *List
	id     engine.RequestID
	record engine.Request
	err    error
	ran    bool
	at     time.Time
}

func (d *detail) Fetch(ctx context.Context, s pane.Source) {
	d.record, d.err = s.Log.Request(ctx, d.id)
	d.ran = true
}

func (d *detail) Deliver(f *pane.Frame) {
	if d.ran {
		d.at = f.Wall()
		d.l.detail = *d
	}
}

// wantDetail appends what has to be fetched of the row under the cursor.
func (l *List) wantDetail(wants []pane.Want, f *pane.Frame) []pane.Want {
	r := l.Selected()
	if f.Link != nil && l.following && !(l.o.Full && f.Class == pane.Wide) {
		return wants // nobody looks at it, and each row would cost a question
	}
	if r == nil || l.detail.id == r.ID && (f.Paused || !l.detail.record.InFlight() || f.Wall().Sub(l.detail.at) < tailEvery) {
		return wants
	}
	return append(wants, &detail{l: l, id: r.ID})
}

// Detail returns the record under the cursor with its heads, nil where they are
// not here yet. Of a record that is not kept any more it is the row.
func (l *List) Detail() *engine.Request {
	r := l.Selected()
	switch {
	case r == nil || l.detail.id != r.ID:
		return nil
	case l.detail.err != nil:
		return r
	}
	return &l.detail.record
}

// Reveal shows the secrets of the record under the cursor, of that one only, or
// no longer.
func (l *List) Reveal() {
	if r := l.Selected(); r != nil && l.revealed != r.ID {
		l.revealed = r.ID
		return
	}
	l.revealed = 0
}

// Revealed reports whether the secrets of the record under the cursor are shown.
func (l *List) Revealed() bool {
	r := l.Selected()
	return r != nil && r.ID == l.revealed
}

// copyMenu offers what there is of the row.
func (l *List) copyMenu(f *pane.Frame) pane.Effect {
	return l.withContent(f, func(x *inspect.Exchange, o inspect.Options) pane.Effect {
		return pane.CopyText{Choices: exchange.Choices(x, o)}
	})
}

// copyCurl offers a line for a shell.
func (l *List) copyCurl(f *pane.Frame) pane.Effect {
	if r := l.Selected(); r != nil && (r.Method == "" || exchange.Raw(r) && r.Way == engine.WayTCP) {
		return pane.Say{Text: "no curl for this one: it carried bytes, not HTTP"}
	}
	return l.withContent(f, func(x *inspect.Exchange, o inspect.Options) pane.Effect {
		return pane.CopyText{Choices: []pane.Choice{{Title: "curl", Text: inspect.Curl(x, o)}}}
	})
}

// save asks which content of the row is to be saved.
func (l *List) save() pane.Effect {
	return l.withContent(&pane.Frame{}, func(x *inspect.Exchange, _ inspect.Options) pane.Effect { return exchange.Save(x) })
}

// withContent fetches the row with its heads and content for do, which runs off
// the dashboard's goroutine.
func (l *List) withContent(f *pane.Frame, do func(*inspect.Exchange, inspect.Options) pane.Effect) pane.Effect {
	r := l.Selected()
	if r == nil {
		return pane.Say{Text: "no request here"}
	}
	id, o := r.ID, inspect.Options{Secrets: l.Revealed(), Via: exchange.Via(f)}
	return pane.Perform{Do: func(ctx context.Context, s pane.Source, _ string) pane.Effect {
		x, err := inspect.Fetch(ctx, s.Log, id)
		switch {
		case errors.Is(err, engine.ErrNotFound):
			return pane.Say{Text: id.String() + " is not in the log any more"}
		case err != nil:
			return pane.Say{Text: id.String() + ": " + err.Error(), Bad: true}
		}
		return do(&x, o)
	}}
}

// chosen are the marked requests, else the one under the cursor, and how many of
// the marked the filter hides.
func (l *List) chosen() (ids []engine.RequestID, hidden int) {
	if len(l.marks) == 0 {
		if r := l.Selected(); r != nil {
			ids = []engine.RequestID{r.ID}
		}
		return ids, 0
	}
	return l.sorted, l.hidden(l.sorted)
}

// har exports the marked, else all that the filter selects.
func (l *List) har(f *pane.Frame) pane.Effect {
	q := engine.RequestQuery{Filter: l.combined, Order: l.order, Ascending: l.ascending, Marked: l.sorted, Until: l.page.Newest}
	n := l.matched()
	if len(l.marks) > 0 {
		q.Filter, n = "is:marked", len(l.marks)
	}
	return exchange.HAR(f, "requests.har", n, q)
}
