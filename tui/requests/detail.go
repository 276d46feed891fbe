package requests

import (
	"context"
	"time"

	"adit/engine"
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
	if f.Link != nil && l.following && !l.curious && !(l.o.Full && f.Class == pane.Wide) {
		return wants // nobody looks at it, and each row would cost a question
	}
	if r == nil || l.detail.id == r.ID && (f.Paused || !exchange.Running(&l.detail.record) || f.Wall().Sub(l.detail.at) < tailEvery) {
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
func (l *List) copyMenu() pane.Effect {
	r := l.Detail()
	if r == nil {
		return l.notHere()
	}
	return pane.CopyText{Choices: exchange.Choices(r, l.Revealed())}
}

// copyCurl offers a line for a shell.
func (l *List) copyCurl() pane.Effect {
	r := l.Detail()
	switch {
	case r == nil:
		return l.notHere()
	case r.Method == "" || exchange.Raw(r) && r.Way == engine.WayTCP:
		return pane.Say{Text: "no curl for this one: it carried bytes, not HTTP"}
	}
	return pane.CopyText{Choices: []pane.Choice{{Title: "curl", Text: exchange.Curl(r, l.Revealed())}}}
}

func (l *List) notHere() pane.Effect {
	if l.Selected() == nil {
		return pane.Say{Text: "no request here"}
	}
	l.curious = true
	return pane.Say{Text: "its header fields are not here yet: try again"}
}
