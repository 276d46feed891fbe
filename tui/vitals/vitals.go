// Package vitals draws the card of vital signs: all that a terminal too small
// for tables shows.
package vitals

import (
	"slices"
	"time"

	"adit/themes"
	"adit/tui/bars"
	"adit/tui/canvas"
	"adit/tui/format"
	"adit/tui/graph"
	"adit/tui/pane"
)

// A Card keeps what it needs from frame to frame.
type Card struct {
	trips []time.Duration
}

// Draw draws the card over a, of any size. Status is the word for how fresh the
// data is; note, if not "", stands in the place of the keys.
func (c *Card) Draw(a canvas.Area, f *pane.Frame, status, note string, hints []pane.Hint) {
	w, h := a.Size()
	if w <= 0 || h <= 0 {
		return
	}
	lines := h
	if h > 1 {
		lines--
		foot := a.Sub(0, h-1, w, 1)
		if note != "" {
			foot.Cut(1, 0, w-1, note, f.Glyphs.Cut, canvas.Of(themes.Warn))
		} else {
			bars.Foot(foot, hints)
		}
	}
	y := 0
	next := func() canvas.Area {
		y++
		return a.Sub(0, y-1, w, 1)
	}
	c.who(next(), f)
	if status != "LIVE" && status != "" && y < lines {
		next().Cut(1, 0, w-1, status, f.Glyphs.Cut, canvas.Of(themes.Warn)|canvas.Bold)
	}
	for _, line := range [...]func(canvas.Area, *pane.Frame){conns, flow, requests, c.trip, spark, needs} {
		if y >= lines {
			break
		}
		line(next(), f)
	}
}

func (c *Card) who(a canvas.Area, f *pane.Frame) {
	var buffer [16]byte
	const clock = len("15:04:05")
	g, state, style := f.Glyphs, f.Glyphs.Idle, canvas.Of(themes.OK)
	switch {
	case !f.Stale.IsZero():
		state, style = g.Lost, canvas.Of(themes.Err)
	case f.Snapshot.Draining:
		state, style = g.Draining, canvas.Of(themes.Warn)
	}
	x := a.Text(1, 0, "adit", canvas.Of(themes.Title)|canvas.Bold)
	x = a.Text(x+1, 0, state, style)
	room := a.W() - x - 1
	if room > clock+5 {
		room -= clock + 4
	}
	x = a.Cut(x+1, 0, max(room, 0), f.Snapshot.Name, g.Cut, canvas.Bold)
	if x+3+clock <= a.W() {
		a.Bytes(x+3, 0, format.AppendTimeShort(buffer[:0], f.Now, f.UTC), canvas.Of(themes.Muted))
	}
}

func conns(a canvas.Area, f *pane.Frame) {
	busy := 0
	for i := range f.Rows.Clients {
		busy += f.Rows.Clients[i].Busy
	}
	var buffer [32]byte
	x := a.Text(1, 0, "conns ", canvas.Of(themes.Muted))
	x = a.Bytes(x, 0, format.AppendCount(buffer[:0], uint64(len(f.Snapshot.Connections))), 0)
	x = a.Text(x+2, 0, "busy ", canvas.Of(themes.Muted))
	a.Bytes(x, 0, format.AppendCount(buffer[:0], uint64(busy)), 0)
}

func flow(a canvas.Area, f *pane.Frame) {
	total := f.Meter.Total()
	if !total.Known || !f.Counted() {
		return
	}
	var buffer [32]byte
	x := a.Bytes(1, 0, bars.AppendFlow(append(buffer[:0], f.Glyphs.In...), total.BytesIn), canvas.Of(themes.GraphIn))
	b := append(bars.AppendFlow(append(buffer[:0], f.Glyphs.Out...), total.BytesOut), "/s"...)
	a.Bytes(x+1, 0, b, canvas.Of(themes.GraphOut))
}

func requests(a canvas.Area, f *pane.Frame) {
	total := f.Meter.Total()
	if !total.Known {
		return
	}
	var buffer [32]byte
	x := a.Text(1, 0, "req ", canvas.Of(themes.Muted))
	x = a.Bytes(x, 0, append(format.AppendRate(buffer[:0], total.Requests), "/s"...), 0)
	if total.Server >= 0 {
		b := append(format.AppendShare(append(buffer[:0], "5xx "...), total.Server), '%')
		a.Bytes(x+1, 0, b, bars.ShareStyle(total.Server))
	}
}

// trip draws the round trip that 95 of 100 connections are below of.
func (c *Card) trip(a canvas.Area, f *pane.Frame) {
	c.trips = c.trips[:0]
	for i := range f.Snapshot.Connections {
		if d := f.Snapshot.Connections[i].RTT; d > 0 {
			c.trips = append(c.trips, d)
		}
	}
	x := a.Text(1, 0, "rtt p95 ", canvas.Of(themes.Muted))
	if len(c.trips) == 0 {
		a.Text(x, 0, "unknown", canvas.Of(themes.Muted))
		return
	}
	slices.Sort(c.trips)
	var buffer [16]byte
	a.Bytes(x, 0, format.AppendDuration(buffer[:0], c.trips[(len(c.trips)*95+99)/100-1]), 0)
}

func spark(a canvas.Area, f *pane.Frame) {
	graph.Spark(a, 1, 0, a.W()-2, f.Glyphs, f.Meter.Total().Out.Values[:], 0, canvas.Of(themes.GraphOut))
}

func needs(a canvas.Area, f *pane.Frame) {
	a.Cut(1, 0, a.W()-1, "needs 60x15 for tables", f.Glyphs.Cut, canvas.Of(themes.Muted))
}
