// Package bars draws the rows around a screen: who this is and how it goes, the
// tabs with where one is and how fresh the data is, and the keys at the bottom.
package bars

import (
	"strings"

	"adit/engine"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/format"
	"adit/tui/pane"
)

// A pen writes one text after another, as long as they fit.
type pen struct {
	a       canvas.Area
	x, room int
	dry     bool // nothing is drawn: to find out what fits
	full    bool // something did not fit: nothing comes after it
}

// text writes b if all of it fits.
func (p *pen) text(b []byte, s canvas.Style) {
	// What is written here is ASCII but for the glyphs, of one cell each.
	n := canvas.Width(string(b))
	if p.full = p.full || p.x+n > p.room; p.full {
		return
	}
	if p.dry {
		p.x += n
		return
	}
	p.x = p.a.Bytes(p.x, 0, b, s)
}

// How much of who this is stands before the numbers. Where there is no room for
// both, the numbers are what is looked at.
const (
	introFull  = iota
	introName  // without the role and the address
	introShort // the numbers in short, too
	introCut   // and the name is cut
	introEnd
)

// nameCut is how many cells an introCut leaves of a name.
const nameCut = 16

// Identity draws the first row: the same words in the same order on every
// screen. What is not known is left out.
func Identity(a canvas.Area, f *pane.Frame) {
	const clock = len("15:04:05")
	var buffer [128]byte
	w := a.W()
	right := w - 1 - clock
	if right >= 0 {
		a.RightBytes(right, 0, clock, format.AppendTimeShort(buffer[:0], f.Now, f.UTC), canvas.Of(themes.Muted))
	}
	if n := w / 3; f.Link != nil && !f.Now.Equal(f.Clock) && right > n {
		b := appendSkew(buffer[:0], f)
		right -= canvas.Width(string(b)) + 1
		a.Bytes(right, 0, b, canvas.Of(themes.Warn))
	}
	level := introFull
	if f.Class < pane.Normal {
		level = introShort
	}
	for ; level < introEnd-1; level++ {
		p := pen{a: a, x: 1, room: max(right-1, 0), dry: true}
		if p.identity(f, level); !p.full {
			break
		}
	}
	p := pen{a: a, x: 1, room: max(right-1, 0)}
	p.identity(f, level)
}

func (p *pen) identity(f *pane.Frame, level int) {
	s, g := f.Snapshot, f.Glyphs
	var buffer [128]byte
	short, gap := level >= introShort, "  "
	if short {
		gap = " "
	}
	plain, muted := canvas.Of(themes.Fg), canvas.Of(themes.Muted)
	p.text(append(buffer[:0], "adit "...), canvas.Of(themes.Title)|canvas.Bold)
	switch {
	case !f.Stale.IsZero():
		p.text(append(buffer[:0], g.Lost...), canvas.Of(themes.Err))
	case s.Role == 0:
		p.text(append(buffer[:0], g.Connecting...), canvas.Of(themes.Info))
		if f.Link != nil {
			p.text(canvas.AppendVisible(append(buffer[:0], ' '), f.Link.Address), canvas.Bold)
		}
		return
	case s.Draining:
		p.text(append(append(buffer[:0], g.Draining...), " draining"...), canvas.Of(themes.Warn))
	default:
		p.text(append(buffer[:0], g.Idle...), canvas.Of(themes.OK))
	}
	b := append(buffer[:0], ' ')
	if level == introFull && s.Role != 0 {
		b = append(append(b, s.Role.String()...), ' ')
	}
	room := p.room - p.x - len(b)
	if level == introCut {
		room = min(room, nameCut)
	}
	p.text(appendName(b, s.Name, room, g.Cut), plain|canvas.Bold)
	if level == introFull && len(s.Listen) > 0 {
		p.text(append(append(buffer[:0], ' '), address(s.Listen[0])...), muted)
	}

	p.text(append(buffer[:0], gap...), plain)
	busy := 0
	for i := range f.Rows.Clients {
		busy += f.Rows.Clients[i].Busy
	}
	if s.Role == engine.RoleClient {
		atClient(p, f, buffer[:0], gap, short)
	} else {
		if !short {
			p.text(append(format.AppendPlural(buffer[:0], named(f.Rows), "client"), gap...), plain)
		}
		p.text(format.AppendPlural(buffer[:0], len(s.Connections), "conn"), plain)
	}
	if !short && len(s.Connections) > 0 {
		p.text(append(format.AppendCount(append(buffer[:0], " ("...), uint64(busy)), " busy)"...), plain)
	}
	flow(p, f, buffer[:0], gap, short)
}

// flow writes the rates.
func flow(p *pen, f *pane.Frame, b []byte, gap string, short bool) {
	total := f.Meter.Total()
	if !total.Known {
		return
	}
	unit := "/s"
	if short {
		unit = ""
	}
	if f.Counted() {
		b = append(b[:0], gap...)
		b = append(AppendFlow(append(b, f.Glyphs.In...), total.BytesIn), unit...)
		p.text(b, canvas.Of(themes.GraphIn))
		b = append(b[:0], ' ')
		b = append(AppendFlow(append(b, f.Glyphs.Out...), total.BytesOut), unit...)
		p.text(b, canvas.Of(themes.GraphOut))
	}
	b = format.AppendRate(append(b[:0], gap...), total.Requests)
	p.text(append(b, " rq/s"...), canvas.Of(themes.Fg))
	if total.Server < 0 {
		return
	}
	b = format.AppendShare(append(append(b[:0], gap...), "5xx "...), total.Server)
	p.text(append(b, '%'), ShareStyle(total.Server))
}

// AppendFlow appends bytes per second as the first row has them: "0", "12.4M".
func AppendFlow(b []byte, v float64) []byte {
	if v < 0.5 {
		return append(b, '0')
	}
	return format.AppendByteFlow(b, v)
}

// ShareStyle is the style of a share of requests that failed.
func ShareStyle(share float64) canvas.Style {
	switch {
	case share >= 0.05:
		return canvas.Of(themes.Err)
	case share > 0:
		return canvas.Of(themes.Warn)
	}
	return canvas.Of(themes.Fg)
}

// atClient writes how many servers there are and how full the pools to them.
func atClient(p *pen, f *pane.Frame, b []byte, gap string, short bool) {
	s := f.Snapshot
	connected, wanted := 0, 0
	for i := range s.Servers {
		connected += s.Servers[i].Connected
		wanted += s.Servers[i].Wanted
	}
	style := canvas.Of(themes.Fg)
	if !short {
		p.text(append(format.AppendPlural(b[:0], len(s.Servers), "server"), gap...), style)
	}
	if connected < wanted {
		style = canvas.Of(themes.Warn)
	}
	b = format.AppendCount(append(b[:0], "pool "...), uint64(connected))
	p.text(format.AppendCount(append(b, '/'), uint64(wanted)), style)
}

// named is how many clients have said who they are.
func named(r *pane.Rows) int {
	n := len(r.Clients)
	if r.Index("") >= 0 {
		n--
	}
	return n
}

// appendName appends a name cut to the cells that there are.
func appendName(b []byte, name string, room int, cut string) []byte {
	const longest = 64
	room = min(room, longest)
	if len(name) <= room {
		return append(b, name...)
	}
	for i, r := range name {
		if canvas.Width(name[:i]+string(r)) > room-1 {
			return append(append(b, name[:i]...), cut...)
		}
	}
	return append(b, name...)
}

// address is where a server listens, without an address that means all.
func address(listen string) string {
	for _, all := range [...]string{"[::]", "0.0.0.0"} {
		if rest, ok := strings.CutPrefix(listen, all); ok {
			return rest
		}
	}
	return listen
}

// Title appends the title of the window: the headline numbers.
func Title(b []byte, f *pane.Frame) []byte {
	s := f.Snapshot
	b = append(b, "adit"...)
	switch {
	case f.Link != nil:
		b = append(b, '@')
	case f.Playback != nil:
		b = append(b, " play "...)
	default:
		b = append(b, ' ')
	}
	b = canvas.AppendVisible(b, s.Name)
	dot := " " + f.Glyphs.Dot + " "
	b = format.AppendPlural(append(b, dot...), len(s.Connections), "conn")
	if total := f.Meter.Total(); total.Known && total.Server >= 0 {
		b = append(format.AppendShare(append(b, dot...), total.Server), "% 5xx"...)
	}
	return b
}

// appendSkew appends whose clock it is that is shown, and by how much it is off.
func appendSkew(b []byte, f *pane.Frame) []byte {
	whose, sign := "server's clock ", "+"
	if f.Snapshot.Role == engine.RoleClient {
		whose = "client's clock "
	}
	skew := f.Now.Sub(f.Clock)
	if skew < 0 {
		sign = "-"
	}
	if f.Class < pane.Normal {
		whose = "its clock "
	}
	return format.AppendAge(append(append(b, whose...), sign...), skew.Abs())
}
