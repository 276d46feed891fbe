package connections

import (
	"strconv"
	"strings"
	"time"

	"adit/engine"
	"adit/themes"
	"adit/tui/bars"
	"adit/tui/canvas"
	"adit/tui/connection"
	"adit/tui/format"
	"adit/tui/graph"
	"adit/tui/pane"
	"adit/tui/table"
)

// The columns, in the order that columns returns them.
const (
	colName = iota
	colState
	colAge
	colRTT
	colIn
	colOut
	colRequests
	colFailed
	colLastFrame
	colSpark
	colInFlight
	colBytesIn
	colBytesOut
	colFramesIn
	colFramesOut
	colExchanges
	colPeer
	colProtocol
	colVersion
	colCredential
)

// columns returns all columns. Where there is no room the greatest priority goes
// first; full shows more of them from the start.
func columns(full bool) []table.Column {
	return []table.Column{
		{Name: "name", Title: "CLIENT / CONN", Width: 18, Sortable: true},
		{Name: "state", Title: "STATE", Width: 9, Sortable: true, Priority: 1},
		{Name: "age", Title: "AGE", Width: 7, Sortable: true, Priority: 7},
		{Name: "rtt", Title: "RTT ms", Width: 7, Right: true, Sortable: true, Priority: 6},
		{Name: "in", Title: "IN/S", Width: 8, Right: true, Sortable: true, Priority: 3},
		{Name: "out", Title: "OUT/S", Width: 8, Right: true, Sortable: true, Priority: 2},
		{Name: "requests", Title: "REQ/S", Width: 5, Right: true, Sortable: true, Priority: 4},
		{Name: "failed", Title: "ERR%", Width: 5, Right: true, Sortable: true, Priority: 5},
		{Name: "last", Title: "LAST FRAME", Width: 10, Sortable: true, Priority: 8},
		{Name: "spark", Title: "THROUGHPUT 60s", Width: 25, Grow: true, Priority: 9},
		{Name: "inflight", Title: "BUSY", Width: 4, Right: true, Sortable: true, Priority: 10, Hidden: !full},
		{Name: "bytes-in", Title: "BYTES IN", Width: 8, Right: true, Sortable: true, Priority: 13, Hidden: !full},
		{Name: "bytes-out", Title: "BYTES OUT", Width: 9, Right: true, Sortable: true, Priority: 14, Hidden: !full},
		{Name: "frames-in", Title: "FRAMES IN", Width: 9, Right: true, Priority: 15, Hidden: true},
		{Name: "frames-out", Title: "FRAMES OUT", Width: 10, Right: true, Priority: 16, Hidden: true},
		{Name: "exchanges", Title: "DONE", Width: 7, Right: true, Priority: 17, Hidden: true},
		{Name: "peer", Title: "PEER", Width: 21, Priority: 11, Hidden: !full},
		{Name: "protocol", Title: "PROTO", Width: 7, Priority: 18, Hidden: true},
		{Name: "version", Title: "VERSION", Width: 12, Priority: 19, Hidden: true},
		{Name: "credential", Title: "SECRET", Width: 15, Priority: 12, Hidden: !full},
	}
}

// keyOf returns what a column sorts by.
func keyOf(column string) sortKey {
	switch column {
	case "state":
		return byState
	case "age":
		return byAge
	case "rtt":
		return byRTT
	case "in":
		return byIn
	case "out":
		return byOut
	case "requests":
		return byRequests
	case "failed":
		return byFailed
	case "last":
		return byLastFrame
	case "inflight":
		return byInFlight
	case "bytes-in":
		return byBytesIn
	case "bytes-out":
		return byBytesOut
	}
	return byName
}

// orderTitle returns what the line of the pane calls a column.
func orderTitle(column string) string {
	for _, c := range columns(true) {
		if c.Name == column {
			return c.Title
		}
	}
	return column
}

// Cell implements [table.Source].
func (t *Table) Cell(i, column int, c table.Cell) {
	r := t.list.rows[i]
	if r.conn < 0 {
		t.clientCell(&t.f.Rows.Clients[r.client], r, column, c)
		return
	}
	t.connectionCell(int(r.conn), column, c)
}

func (t *Table) clientCell(x *pane.Client, r row, column int, c table.Cell) {
	fg, g := canvas.Of(themes.Fg), t.f.Glyphs
	switch column {
	case colName:
		mark := g.Opened
		if t.list.clients[x.Name].folded {
			mark = g.Folded
		}
		at := c.Text(0, 0, mark, canvas.Of(themes.Muted))
		c.Area.Cut(at+1, 0, c.W()-at-1, clientName(x.Name), g.Cut, canvas.Of(themes.Accent)|canvas.Bold)
	case colState:
		if s := t.server(x); s != nil && s.Connected == 0 {
			b, style := append(c.Buffer, "dialling"...), canvas.Of(themes.Warn)
			if wait := s.RetryAt.Sub(t.f.Snapshot.Time); wait > 0 {
				b = format.AppendAge(append(c.Buffer, "retry "...), wait)
			}
			c.PutBytes(b, style)
			return
		}
		b := append(c.Buffer, "pool "...)
		b = strconv.AppendInt(b, int64(x.Busy), 10)
		b = append(b, '/')
		b = strconv.AppendInt(b, int64(t.poolOf(x)), 10)
		c.PutBytes(b, fg)
	case colAge:
		if x.Oldest >= 0 && x.Oldest < len(t.f.Snapshot.Connections) {
			c.PutBytes(format.AppendAge(c.Buffer, t.f.Snapshot.Time.Sub(t.f.Snapshot.Connections[x.Oldest].Opened)), fg)
		}
	case colRTT:
		if x.RTT > 0 {
			c.PutBytes(format.AppendMillis(c.Buffer, x.RTT), fg)
		}
	case colIn:
		if x.Known && t.f.Counted() {
			c.PutBytes(format.AppendByteRate(c.Buffer, x.BytesIn), fg)
		}
	case colOut:
		if x.Known && t.f.Counted() {
			c.PutBytes(format.AppendByteRate(c.Buffer, x.BytesOut), fg)
		}
	case colRequests:
		if x.Known && t.f.Counted() {
			c.PutBytes(format.AppendRate(c.Buffer, x.Requests), fg)
		}
	case colFailed:
		c.PutBytes(format.AppendShare(c.Buffer, x.Failed), bars.ShareStyle(x.Failed))
	case colSpark:
		if s := t.server(x); s != nil && s.Connected == 0 && s.LastError != "" {
			why := s.LastError
			if at := strings.LastIndex(why, ": "); at >= 0 && canvas.Width(why) > c.W() {
				why = why[at+2:] // the cause stands last
			}
			c.Area.Cut(0, 0, c.W(), why, g.Cut, canvas.Of(themes.Warn))
			return
		}
		_, out := t.f.Rows.History(int(r.client))
		graph.Spark(c.Area, 0, 0, c.W(), t.f.Glyphs, out, 0, canvas.Of(themes.GraphOut))
	case colInFlight:
		c.PutBytes(strconv.AppendInt(c.Buffer, int64(x.InFlight), 10), fg)
	}
}

// poolOf is how many connections there are to be had: at a client those that it
// means to hold, at a server those that are open.
func (t *Table) poolOf(x *pane.Client) int {
	if s := t.server(x); s != nil {
		return max(s.Wanted, len(x.Connections))
	}
	return len(x.Connections)
}

// server returns the server that x stands for, nil at a server.
func (t *Table) server(x *pane.Client) *engine.Server {
	for i := range t.f.Snapshot.Servers {
		if s := &t.f.Snapshot.Servers[i]; s.URL == x.Name {
			return s
		}
	}
	return nil
}

// clientName is what the first column calls a client, at a client a server: of
// a URL what tells it from others.
func clientName(name string) string {
	if name == "" {
		return "(no greeting yet)"
	}
	if _, rest, ok := strings.Cut(name, "://"); ok {
		name = strings.TrimSuffix(rest, "/register")
	}
	return name
}

func (t *Table) connectionCell(i, column int, c table.Cell) {
	x, m := &t.f.Snapshot.Connections[i], t.f.Meter.Connection(i)
	fg, muted := canvas.Of(themes.Fg), canvas.Of(themes.Muted)
	switch column {
	case colName:
		at := 2
		if t.list.flat {
			who := x.Client
			if t.f.Snapshot.Role == engine.RoleClient {
				who = x.Server
			}
			b := strconv.AppendUint(append(c.Buffer, "c-"...), uint64(x.ID), 10)
			at = c.Bytes(0, 0, b, fg)
			c.Area.Cut(at+1, 0, c.W()-at-1, clientName(who), t.f.Glyphs.Cut, canvas.Of(themes.Accent))
			return
		}
		c.Bytes(at, 0, strconv.AppendUint(append(c.Buffer, "c-"...), uint64(x.ID), 10), fg)
	case colState:
		glyph, word := connection.State(x.State, t.f.Glyphs)
		style := canvas.Of(connection.StateRole(x.State))
		at := c.Text(0, 0, glyph, style)
		c.Text(at+1, 0, word, style)
	case colAge:
		c.PutBytes(format.AppendAge(c.Buffer, t.f.Snapshot.Time.Sub(x.Opened)), fg)
	case colRTT:
		if x.RTT > 0 {
			c.PutBytes(format.AppendMillis(c.Buffer, float64(x.RTT)/float64(time.Millisecond)), fg)
		}
	case colIn:
		if m.Known && t.f.Counted() {
			c.PutBytes(format.AppendByteRate(c.Buffer, m.BytesIn), fg)
		}
	case colOut:
		if m.Known && t.f.Counted() {
			c.PutBytes(format.AppendByteRate(c.Buffer, m.BytesOut), fg)
		}
	case colRequests:
		if m.Known && t.f.Counted() {
			c.PutBytes(format.AppendRate(c.Buffer, m.Requests), fg)
		}
	case colFailed:
		c.PutBytes(format.AppendShare(c.Buffer, m.Failed), bars.ShareStyle(m.Failed))
	case colLastFrame:
		if !m.LastFrame.IsZero() {
			shape := &x.ShapeIn
			if m.LastOut {
				shape = &x.ShapeOut
			}
			if *shape != (engine.FrameShape{}) { // else a recording does not say
				c.PutBytes(appendFrame(c.Buffer, shape), muted)
			}
		}
	case colSpark:
		graph.Spark(c.Area, 0, 0, c.W(), t.f.Glyphs, m.Out.Values[:], 0, canvas.Of(themes.GraphOut))
	case colInFlight:
		c.PutBytes(strconv.AppendInt(c.Buffer, int64(x.InFlight), 10), fg)
	case colBytesIn:
		c.PutBytes(format.AppendSize(c.Buffer, x.BytesIn), fg)
	case colBytesOut:
		c.PutBytes(format.AppendSize(c.Buffer, x.BytesOut), fg)
	case colFramesIn:
		c.PutBytes(format.AppendCount(c.Buffer, x.FramesIn.Total()), fg)
	case colFramesOut:
		c.PutBytes(format.AppendCount(c.Buffer, x.FramesOut.Total()), fg)
	case colExchanges:
		c.PutBytes(format.AppendCount(c.Buffer, x.Exchanges), fg)
	case colPeer:
		c.Put(x.Peer, muted)
	case colProtocol:
		c.Put(x.Protocol.String(), muted)
	case colVersion:
		if x.Greeting != nil {
			c.Put(x.Greeting.Version, muted)
		}
	case colCredential:
		c.Put(x.Credential, muted)
	}
}

// appendFrame appends the newest frame of one direction: "bin 4.0K", "ping".
func appendFrame(b []byte, s *engine.FrameShape) []byte {
	b = append(b, connection.OpcodeName(s.LastOpcode)...)
	if s.LastOpcode < 8 { // of data, RFC 6455 §5.6
		b = append(b, ' ')
		if s.LastLength < 1000 {
			return strconv.AppendUint(b, s.LastLength, 10)
		}
		b = format.AppendSize(b, s.LastLength)
	}
	return b
}
