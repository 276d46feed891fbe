package connection

import (
	"context"

	"adit/engine"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/format"
	"adit/tui/pane"
)

// A tape is the pane of the newest frames of one connection. Asking for them arms
// the recording, so it asks only while it is shown.
type tape struct {
	ask    engine.ConnectionID // written between fetches only
	next   []engine.FrameRecord
	err    error
	frames []engine.FrameRecord
	of     engine.ConnectionID
	failed string
	top    int // rows scrolled down from the newest
}

var _ pane.Want = (*tape)(nil)

func (t *tape) want(id engine.ConnectionID) pane.Want {
	t.ask = id
	return t
}

// Fetch implements [pane.Want].
func (t *tape) Fetch(ctx context.Context, from pane.Source) {
	if from.Engine == nil {
		return
	}
	t.next, t.err = from.Engine.FrameTape(ctx, t.ask, t.next[:0])
}

// Deliver implements [pane.Want].
func (t *tape) Deliver(*pane.Frame) {
	if t.err != nil {
		t.failed = t.err.Error()
		return
	}
	t.failed = ""
	t.frames, t.next = t.next, t.frames
	t.of = t.ask
}

func (t *tape) draw(a canvas.Area, f *pane.Frame, p *Pen, id engine.ConnectionID) {
	muted, fg := canvas.Of(themes.Muted), canvas.Of(themes.Fg)
	if t.failed != "" && t.of != id {
		a.Cut(0, 0, a.W(), "no tape: "+t.failed, f.Glyphs.Cut, muted)
		return
	}
	if t.of != id || len(t.frames) == 0 {
		a.Cut(0, 0, a.W(), "no frame yet since this pane was opened", f.Glyphs.Cut, muted)
		return
	}
	a.Text(0, 0, "TIME          DIR   OP", muted)
	a.Right(29, 0, 8, "LEN", muted)
	a.Text(38, 0, "FIN CONTENT", muted)
	rows := max(a.H()-1, 0)
	t.top = max(0, min(t.top, len(t.frames)-rows))
	for i := range min(rows, len(t.frames)-t.top) {
		r, y := &t.frames[len(t.frames)-1-t.top-i], i+1
		p.buf = format.AppendTime(p.buf[:0], r.Time, f.UTC)
		a.Bytes(0, y, p.buf, fg)
		way, style := f.Glyphs.In, canvas.Of(themes.GraphIn)
		if r.Out {
			way, style = f.Glyphs.Out, canvas.Of(themes.GraphOut)
		}
		a.Text(14, y, way, style)
		if r.Out {
			a.Text(16, y, "out", muted)
		} else {
			a.Text(16, y, "in", muted)
		}
		p.buf = format.AppendCount(p.buf[:0], uint64(r.Opcode))
		a.RightBytes(20, y, 2, p.buf, muted)
		a.Text(23, y, OpcodeName(r.Opcode), fg)
		p.buf = format.AppendCount(p.buf[:0], r.Length)
		a.RightBytes(29, y, 8, p.buf, fg)
		fin := "0"
		if r.Fin {
			fin = "1"
		}
		a.Text(38, y, fin, muted)
		a.Cut(42, y, a.W()-42, r.Note, f.Glyphs.Cut, fg)
	}
}
