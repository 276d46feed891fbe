package connection

import (
	"context"
	"strconv"
	"time"

	"adit/engine"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/exchange"
	"adit/tui/format"
	"adit/tui/pane"
)

// streamsAsked bounds the exchanges in flight that one query brings; the pane
// says how many there are.
const streamsAsked = 64

// A streams is the pane of the exchanges that run on one connection. It asks the
// log for them while it is shown.
type streams struct {
	ask    engine.RequestQuery // written between fetches only
	next   engine.RequestPage  // belongs to Fetch
	err    error               // belongs to Fetch
	asked  engine.ConnectionID
	page   engine.RequestPage
	of     engine.ConnectionID // that page is of
	failed string

	cursor int
	chosen engine.RequestID // under the cursor
	top    int
	rows   int // visible, of the last Draw
	at     canvas.Rect
}

var _ pane.Want = (*streams)(nil)

// want asks for the streams of a connection.
func (s *streams) want(id engine.ConnectionID) pane.Want {
	if s.asked != id {
		s.asked = id
		s.ask = engine.RequestQuery{
			Filter: "is:inflight conn:=" + id.String(), Order: engine.ByArrival, Ascending: true, Count: streamsAsked,
		}
	}
	return s
}

// Fetch implements [pane.Want].
func (s *streams) Fetch(ctx context.Context, from pane.Source) {
	if from.Log == nil {
		return
	}
	s.err = from.Log.Requests(ctx, s.ask, &s.next)
}

// Deliver implements [pane.Want].
func (s *streams) Deliver(*pane.Frame) {
	if s.err != nil {
		s.failed = s.err.Error()
		return
	}
	s.failed = ""
	s.page, s.next = s.next, s.page
	s.of = s.asked
	// The cursor stays on its request; if that is over, on its line.
	for i := range s.page.Requests {
		if s.page.Requests[i].ID == s.chosen {
			s.cursor = i
		}
	}
	s.move(0)
}

// current returns the requests of a connection, none before they were fetched.
func (s *streams) current(id engine.ConnectionID) []engine.Request {
	if s.of != id {
		return nil
	}
	return s.page.Requests
}

// count returns how many streams there are: as many as are listed, before they
// were fetched as many as the connection counts.
func (s *streams) count(x *engine.Connection) int {
	if s.of != x.ID || s.failed != "" {
		return x.InFlight
	}
	return s.page.Matched
}

// move moves the cursor by rows.
func (s *streams) move(by int) {
	s.cursor = max(0, min(s.cursor+by, len(s.page.Requests)-1))
	s.chosen = 0
	if s.cursor < len(s.page.Requests) {
		s.chosen = s.page.Requests[s.cursor].ID
	}
}

// streamPath is where the paths of streams begin.
const streamPath = 39

// draw draws the streams of x.
func (s *streams) draw(a canvas.Area, f *pane.Frame, p *Pen, x *engine.Connection, gone, focused bool) {
	muted, fg := canvas.Of(themes.Muted), canvas.Of(themes.Fg)
	s.at = a.Bounds()
	s.rows = max(a.H()-1, 0)
	all := s.current(x.ID)
	if gone {
		a.Cut(0, 0, a.W(), "the connection is closed: nothing is in flight", f.Glyphs.Cut, muted)
		return
	}
	if s.failed != "" {
		a.Cut(0, 0, a.W(), "not known: "+s.failed, f.Glyphs.Cut, canvas.Of(themes.Warn))
		return
	}
	if len(all) == 0 {
		text := "nothing in flight"
		if x.InFlight > 0 {
			text = strconv.Itoa(x.InFlight) + " in flight, not in the log yet"
		}
		a.Cut(0, 0, a.W(), text, f.Glyphs.Cut, muted)
		return
	}
	a.Text(0, 0, "STREAM", muted)
	a.Text(8, 0, "METH    ST      AGE", muted)
	a.Right(27, 0, 5, "IN", muted)
	a.Right(33, 0, 5, "OUT", muted)
	a.Text(streamPath, 0, "PATH", muted)
	if s.cursor < s.top {
		s.top = s.cursor
	}
	s.top = max(0, min(max(s.top, s.cursor-s.rows+1), len(all)-s.rows))
	for i := s.top; i < len(all) && i-s.top < s.rows; i++ {
		r, y := &all[i], i-s.top+1
		p.buf = strconv.AppendUint(p.buf[:0], uint64(r.ID), 10)
		a.Sub(0, y, 8, 1).Bytes(0, 0, p.buf, fg)
		a.Cut(8, y, 7, r.Method, f.Glyphs.Cut, fg)
		status, in, out := int32(r.Status), r.RequestBytes, r.ResponseBytes
		if r.Live != nil {
			status, in, out = r.Live.Status.Load(), r.Live.RequestBytes.Load(), r.Live.ResponseBytes.Load()
		}
		if status > 0 {
			p.buf = strconv.AppendInt(p.buf[:0], int64(status), 10)
			a.Bytes(16, y, p.buf, fg)
		} else {
			a.Text(16, y, f.Glyphs.Cut, muted)
		}
		p.buf = format.AppendDuration(p.buf[:0], max(f.Snapshot.Time.Sub(r.Arrived), 0).Truncate(time.Millisecond))
		a.RightBytes(20, y, 7, p.buf, fg)
		// A request flows into a server's caller side and out to its connection:
		// IN is what this end read from the WebSocket.
		if f.Snapshot.Role == engine.RoleServer {
			in, out = out, in
		}
		p.buf = format.AppendSize(p.buf[:0], uint64(max(in, 0)))
		a.RightBytes(27, y, 5, p.buf, fg)
		p.buf = format.AppendSize(p.buf[:0], uint64(max(out, 0)))
		a.RightBytes(33, y, 5, p.buf, fg)
		_, path := exchange.SplitTarget(r.Target)
		a.Cut(streamPath, y, a.W()-streamPath, path, f.Glyphs.Cut, fg)
		if i == s.cursor && focused {
			a.Select(y)
		}
	}
}

// click moves the cursor to the row at y of the canvas.
func (s *streams) click(x, y int) bool {
	if !s.at.Contains(x, y) || y == s.at.Y {
		return false
	}
	s.cursor = s.top + y - s.at.Y - 1
	s.move(0)
	return true
}
