package exchange

import (
	"strconv"
	"time"

	"adit/engine"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/graph"
	"adit/tui/pane"
)

// A Phase is a part of the time that an exchange took, since its arrival.
type Phase struct {
	Name     string
	Short    string // where there is less room
	From, To time.Duration
	Open     bool // it goes on
}

// Phases appends the parts of r's time to into, in order and without gaps: their
// lengths add up to what r took, or has taken at now. What the record does not
// tell apart is one part.
func Phases(r *engine.Request, now time.Time, into []Phase) []Phase {
	total, known := Duration(r, now)
	if !known {
		return into
	}
	running := r.InFlight()
	answer, receive := "wait for first byte", "receive response"
	switch {
	case Raw(r):
		answer, receive = "wait for the other end", "bytes both ways"
	case r.RequestBytes > 0:
		answer = "send content, wait for first byte"
	}
	marks := [...]struct {
		at          time.Duration
		name, short string
	}{
		{r.Queued, "queued (for a connection)", "queue"},
		{r.Connect, "connect to the origin", "connect"},
		{r.Sent, "dispatch the head", "dispatch"},
		{r.FirstByte, answer, "wait"},
	}
	// At a client the head goes out after the connection to the origin is ready,
	// at a server it is the other way round or not known.
	if r.Sent >= 0 && r.Sent < r.Connect {
		marks[1], marks[2] = marks[2], marks[1]
	}
	var at time.Duration
	first := len(into)
	for _, m := range marks {
		if m.at < at || m.at > total || m.at == 0 {
			continue // not reached, not known, or nothing of the time
		}
		into = append(into, Phase{Name: m.name, Short: m.short, From: at, To: m.at})
		at = m.at
	}
	if at == total && len(into) > first {
		return into
	}
	last := Phase{Name: receive, Short: "receive", From: at, To: total, Open: running}
	switch {
	case running && r.FirstByte < 0 && r.Live != nil && r.Live.Status.Load() != 0:
	case running && r.FirstByte < 0 && at == 0:
		last.Name, last.Short = "in flight", "running"
	case running && r.FirstByte < 0:
		last.Name, last.Short = answer, "wait"
	case !running && r.FirstByte < 0:
		last.Name, last.Short = "until its end", "end"
	}
	return append(into, last)
}

// Longest returns the longest of phases and its share of all, 0 to 1.
func Longest(phases []Phase) (Phase, float64) {
	var longest Phase
	var total time.Duration
	for _, p := range phases {
		total += p.To - p.From
		if p.To-p.From > longest.To-longest.From {
			longest = p
		}
	}
	if total == 0 {
		return longest, 0
	}
	return longest, float64(longest.To-longest.From) / float64(total)
}

// appendTenths appends n tenths of a millisecond: "0.4 ms", "4 186.0 ms".
func appendTenths(b []byte, n int64) []byte {
	whole := n / 10
	switch {
	case whole >= 1e6:
		b = strconv.AppendInt(b, whole/1e6, 10)
		b = appendThree(append(b, ' '), whole/1e3%1e3)
		b = appendThree(append(b, ' '), whole%1e3)
	case whole >= 1e3:
		b = strconv.AppendInt(b, whole/1e3, 10)
		b = appendThree(append(b, ' '), whole%1e3)
	default:
		b = strconv.AppendInt(b, whole, 10)
	}
	return append(b, '.', '0'+byte(n%10), ' ', 'm', 's')
}

func appendThree(b []byte, n int64) []byte {
	return append(b, '0'+byte(n/100), '0'+byte(n/10%10), '0'+byte(n%10))
}

// tenths rounds to a tenth of a millisecond. Parts are differences of rounded
// ends, so that what is shown adds up exactly.
func tenths(d time.Duration) int64 {
	return int64((d + 50*time.Microsecond) / (100 * time.Microsecond))
}

// DrawTiming draws the waterfall of phases, one line each on one linear scale,
// and the total. It returns the number of lines.
func DrawTiming(a canvas.Area, f *pane.Frame, phases []Phase) int {
	w, _ := a.Size()
	if len(phases) == 0 {
		a.Cut(1, 0, w-2, "how long it took is not known", f.Glyphs.Cut, canvas.Of(themes.Muted))
		return 1
	}
	total := phases[len(phases)-1].To
	name, numbers := 34, 13
	short := w < 90
	if short {
		name = 26
	}
	if w < 60 {
		name = 10
	}
	bars := max(w-2-name-1-numbers-1, 0)
	var buffer [32]byte
	y := 0
	for _, p := range phases {
		title := p.Name
		if name == 10 || canvas.Width(title) > name {
			title = p.Short
		}
		end := a.Cut(1, y, name, title, f.Glyphs.Cut, canvas.Of(themes.Fg))
		if p.Open && end < 1+name {
			a.Cut(end, y, 1+name-end, " "+f.Glyphs.Ellipsis, f.Glyphs.Cut, canvas.Of(themes.Info))
		}
		if bars > 0 && total > 0 {
			graph.Span(a, 2+name, y, bars, f.Glyphs, float64(p.From)/float64(total), float64(p.To)/float64(total), canvas.Of(themes.GraphIn))
		}
		a.RightBytes(w-1-numbers, y, numbers, appendTenths(buffer[:0], tenths(p.To)-tenths(p.From)), canvas.Of(themes.Fg))
		y++
	}
	a.Text(1, y+1, "total", canvas.Of(themes.Fg)|canvas.Bold)
	a.RightBytes(w-1-numbers, y+1, numbers, appendTenths(buffer[:0], tenths(total)), canvas.Of(themes.Fg)|canvas.Bold)
	return y + 2
}
