package connections

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"adit/engine"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/format"
	"adit/tui/pane"
)

// blank is what stands where connections would stand while there are none: what
// listens or is dialled, how to change that, and what keeps going wrong.
type blank struct {
	end     uint64    // of the event log, when refusals were counted
	at      time.Time // when
	refused []refusal
	ever    bool // a client was connected before
}

// A refusal is a reason for which handshakes were turned away, and how often.
type refusal struct {
	reason string
	count  int
}

const (
	refusedWithin = time.Minute
	blankMargin   = 7 // cells left of the text
	// refusedMost bounds the reasons that are told apart: a peer may have a part
	// in their words.
	refusedMost = 6
)

func (e *blank) draw(a canvas.Area, f *pane.Frame) {
	e.count(f)
	lines := e.server(f)
	if f.Snapshot.Role == engine.RoleClient {
		lines = e.client(f)
	}
	margin := min(blankMargin, a.W()/12)
	top := max(0, min(3, (a.H()-len(lines))/2))
	for i, line := range lines {
		style := canvas.Of(themes.Fg)
		text, command := strings.CutPrefix(line, "$ ")
		if command {
			text, style = "  "+text, canvas.Of(themes.Accent)
		}
		a.Cut(margin, top+i, a.W()-margin, text, f.Glyphs.Cut, style)
	}
}

func (e *blank) server(f *pane.Frame) []string {
	s := f.Snapshot
	lines := []string{"No tunnel client has connected yet.", ""}
	if e.ever {
		lines[0] = "No tunnel client is connected."
	}
	if s.Draining {
		lines[0] = "Stopping: no client is connected any more."
	}
	up := ""
	if !s.Started.IsZero() {
		up = "   (up " + string(format.AppendElapsed(nil, max(s.Time.Sub(s.Started), 0))) + ")"
	}
	if len(s.Listen) == 0 {
		lines = append(lines, "Listening on   nothing yet"+up)
	}
	for _, address := range s.Listen {
		lines = append(lines, "Listening on   "+listenURL(address)+up)
		up = ""
	}
	if secret := setting(f, "secret"); secret != "" {
		if secret == "not set" {
			secret = "none: every client is admitted"
		}
		lines = append(lines, "Secret         "+secret)
	}
	if len(f.Commands) > 0 {
		lines = append(lines, "", "Start a client on the machine you want to expose:")
		for _, c := range f.Commands {
			lines = append(lines, "$ "+c)
		}
	}
	if len(e.refused) > 0 {
		var b strings.Builder
		b.WriteString("Rejected handshakes in the last minute: ")
		for i, r := range e.refused {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(strconv.Itoa(r.count) + " " + r.reason)
		}
		lines = append(lines, "", b.String()+"  (4 Events)")
	}
	return lines
}

// listenURL is what a client dials to reach an address.
func listenURL(address string) string {
	if strings.Contains(address, "://") {
		return address
	}
	return "ws://" + address + "/register"
}

func (e *blank) client(f *pane.Frame) []string {
	s := f.Snapshot
	lines := []string{"Not connected to a server yet.", ""}
	if e.ever {
		lines[0] = "Not connected to a server."
	}
	if s.Draining {
		lines[0] = "Stopping: not connected any more."
	}
	if len(s.Servers) == 0 {
		lines = append(lines, "Dialling       no server is configured")
	}
	for i := range s.Servers {
		x := &s.Servers[i]
		lines = append(lines, "Dialling       "+x.URL)
		if x.Through != "" {
			lines = append(lines, "Through        "+x.Through)
		}
		lines = append(lines, "Pool           "+strconv.Itoa(x.Connected)+" of "+strconv.Itoa(x.Wanted)+" connected")
		if x.LastError != "" {
			lines = append(lines, "Last error     "+x.LastError)
		}
		if !x.RetryAt.IsZero() {
			when := "now"
			if wait := x.RetryAt.Sub(f.Now); wait > 0 {
				when = "in " + format.Age(wait+time.Second-1)
			}
			lines = append(lines, "Next try       "+when)
		}
		lines = append(lines, "")
	}
	for i, line := range exposeLines(s.Expose) {
		name := "               "
		if i == 0 {
			name = "Forwards       "
		}
		lines = append(lines, name+line)
	}
	return lines
}

// exposeLines says what a client forwards, a line each.
func exposeLines(expose []engine.Expose) []string {
	var lines []string
	for _, e := range expose {
		switch {
		case e.TCP != 0:
			lines = append(lines, strings.TrimSpace("tcp:"+strconv.Itoa(int(e.TCP))+"  "+e.URL))
		default:
			lines = append(lines, strings.TrimSpace(e.Host+"  "+e.URL))
		}
	}
	return lines
}

// setting returns the value of a setting, "" if there is none of that name.
func setting(f *pane.Frame, name string) string {
	for i := range f.Settings {
		if f.Settings[i].Name == name {
			return f.Settings[i].Value
		}
	}
	return ""
}

// count counts what was refused of late. It reads the events at most once a
// second, the newest first, and stops where they are too old.
func (e *blank) count(f *pane.Frame) {
	if f.Events == nil {
		return
	}
	first := f.Events.First()
	end := first + uint64(f.Events.Len())
	if end == e.end && f.Now.Sub(e.at).Abs() < time.Second {
		return
	}
	for at := max(first, e.end); at < end && !e.ever; at++ {
		r := f.Events.At(at)
		e.ever = r != nil && r.Event.Kind == engine.KindGreetingReceived
	}
	e.end, e.at, e.refused = end, f.Now, e.refused[:0]
	for at := end; at > first; at-- {
		r := f.Events.At(at - 1)
		if r == nil {
			continue
		}
		if r.Event.Time.Before(f.Now.Add(-refusedWithin)) && !r.Event.Time.IsZero() {
			break
		}
		if r.Event.Kind != engine.KindAdmissionRefused && r.Event.Kind != engine.KindGreetingRejected {
			continue
		}
		reason := r.Event.Reason
		if reason == "" {
			reason = r.Event.Kind.String()
		}
		i := slices.IndexFunc(e.refused, func(x refusal) bool { return x.reason == reason })
		switch {
		case i >= 0:
		case len(e.refused) < refusedMost:
			i = len(e.refused)
			e.refused = append(e.refused, refusal{reason, 0})
		default:
			i = len(e.refused) - 1
			e.refused[i].reason = "for other reasons"
		}
		e.refused[i].count += max(r.Event.Count, 1)
	}
	slices.SortStableFunc(e.refused, func(a, b refusal) int { return b.count - a.count })
}
