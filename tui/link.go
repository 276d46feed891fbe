package tui

import (
	"path"
	"strconv"
	"strings"
	"time"

	"adit/engine"
	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/format"
	"adit/tui/pane"
)

const (
	// silent is how long no data may come over a link that is not known to be
	// lost until the screen says that its data is old.
	silent = 3 * time.Second
	// skewed is how far the other end's clock may be off before its time is the
	// one that is shown.
	skewed = 2 * time.Second
	// keptGaps bounds the gaps that lists show.
	keptGaps = 16
)

// A remote is what the dashboard knows of an engine that is not in this process,
// or not of this time.
type remote struct {
	linked   engine.Linked // nil: it is in this process, or a recording
	player   engine.Player // nil: it is no recording
	link     engine.Link
	playback engine.Playback
	seen     bool      // link is what Link said
	told     string    // the notice that was shown
	gap      pane.Gap  // From is when the data that is shown stopped; zero: it goes on
	asking   bool      // the log is being asked how it is
	asked    time.Time // when it was last
	back     bool      // it goes on again: the next snapshot says how
}

// look takes the clocks, and what is known of the link or the recording.
func (m *model) look() {
	f := &m.frame
	f.Clock = m.now()
	f.Now = f.Clock
	switch {
	case m.remote.linked != nil:
		m.watch(m.remote.linked.Link())
	case m.remote.player != nil:
		m.watchPlayback(m.remote.player.Playback())
	case m.o.Attached != nil:
		f.Attached = m.o.Attached()
	}
	if m.o.Reloaded == nil {
		return
	}
	if now := m.o.Reloaded(); now != nil {
		f.Settings = now
	}
}

// watch takes the state of the link.
func (m *model) watch(link engine.Link) {
	f, r := &m.frame, &m.remote
	old, seen := r.link, r.seen
	r.link, r.seen = link, true
	f.Link, f.Attached = &r.link, link.Attached
	f.ReadOnly = m.o.ReadOnly || link.ReadOnly
	if link.Skew.Abs() > skewed {
		f.Now = f.Clock.Add(link.Skew)
	}
	if link.Notice != "" && link.Notice != r.told {
		r.told = link.Notice
		m.news(link.Notice)
	}
	if !seen {
		return
	}
	if old.Lost != link.Lost || old.Attempt != link.Attempt || old.Stuck != link.Stuck || old.Attached != link.Attached {
		m.dirty = true
	}
	stale, why := m.staleLink()
	f.Stale = time.Time{}
	if stale {
		f.Stale = link.LastData.Add(f.Now.Sub(f.Clock))
		m.failure = why
	}
	switch {
	case stale && link.Delay > silent && !link.Lost:
		// It is late, and nothing is missing.
	case stale && r.gap.From.IsZero():
		r.gap.From = f.Stale
		m.dirty = true
	case !stale && !r.gap.From.IsZero() && !r.back:
		r.back = true
		m.feed.soon()
	}
	if link.Restarts > old.Restarts && !old.LastData.IsZero() {
		if r.gap.From.IsZero() {
			r.gap.From = old.LastData.Add(f.Now.Sub(f.Clock))
		}
		r.gap.Restarted, r.back = true, true
	}
}

// staleLink reports whether what is shown is old, and why.
func (m *model) staleLink() (stale bool, why string) {
	link := &m.remote.link
	switch {
	case link.LastData.IsZero():
		return false, "" // there is nothing to be old
	case link.Lost:
		return true, link.Cause
	}
	if link.Delay > silent {
		return true, "the way is slow"
	}
	return m.frame.Clock.Sub(link.LastData) > silent, "silent"
}

// connecting reports whether nothing has come from the engine yet.
func (m *model) connecting() bool {
	return m.remote.linked != nil && m.remote.link.LastData.IsZero()
}

// came takes the first snapshot after a gap: what lists and marks make of it, and
// what the operator is told.
func (m *model) came() {
	f, r := &m.frame, &m.remote
	if !r.back {
		return
	}
	gap := r.gap
	r.gap, r.back = pane.Gap{}, false
	gap.To = f.Now
	if len(f.Gaps) == keptGaps {
		f.Gaps = append(f.Gaps[:0], f.Gaps[1:]...)
	}
	f.Gaps = append(f.Gaps, gap)
	f.Events.Gap(gap)
	text := "back: " + format.Age(gap.To.Sub(gap.From)) + " without data"
	if gap.Restarted {
		text = "back: " + visible(f.Snapshot.Name) + " was restarted, counters restarted"
	}
	if gap.Restarted {
		// What was opened has an id that means something else now.
		for i := range m.levels {
			m.levels[i] = m.levels[i][:1]
		}
	}
	m.past.again()
	if n := m.forget(gap.Restarted); n > 0 {
		text += "; " + format.Plural(n, "mark") + " dropped: what they were on is gone"
	}
	m.news(text)
}

// forget has every screen drop the marks whose targets are gone; all of them,
// where another process counts anew.
func (m *model) forget(all bool) (dropped int) {
	for _, levels := range m.levels {
		for _, l := range levels {
			if s, ok := l.screen.(pane.Marking); ok {
				dropped += s.Forget(&m.frame, all)
			}
		}
	}
	return dropped
}

// drawBanner says that the data is old, since when and why, and what is done
// about it.
func (m *model) drawBanner(a canvas.Area) {
	f := &m.frame
	style := canvas.Of(themes.Err) | canvas.Reverse | canvas.Bold
	a.Fill(style)
	name, cause := f.Snapshot.Name, m.failure
	if link := f.Link; link != nil {
		if name == "" {
			name = strings.TrimSuffix(path.Base(link.Address), ".sock")
		}
		if cause == "" {
			cause = link.Cause
		}
	}
	// What is said at length first: where there is no room, in short.
	for _, long := range [...]int{60, 24, 12, 0} {
		b := m.appendBanner(m.scratch[:0], clip(name, max(long, 12), f.Glyphs.Cut), clip(cause, long, f.Glyphs.Cut), long >= 24)
		m.scratch = b
		if canvas.Width(string(b))+2 <= a.W() || long == 0 {
			a.Bytes(1, 0, b, style)
			return
		}
	}
}

// visible returns a text that another process chose as it is drawn.
func visible(s string) string { return string(canvas.AppendVisible(nil, s)) }

// clip shortens a text that another process may have chosen.
func clip(s string, n int, cut string) string {
	s = visible(s)
	if r := []rune(s); len(r) > n && n > 0 {
		return string(r[:n-1]) + cut
	} else if n == 0 {
		return ""
	}
	return s
}

func (m *model) appendBanner(b []byte, name, cause string, long bool) []byte {
	f := &m.frame
	dot := " " + f.Glyphs.Dot + " "
	word := " LOST "
	if f.Link != nil && !f.Link.Lost && f.Link.Delay > silent {
		word = " SLOW "
	}
	b = append(append(append(b, f.Glyphs.Lost...), word...), name...)
	if cause != "" {
		b = append(append(append(b, " ("...), cause...), ')')
	}
	if f.Stale.IsZero() {
		b = append(append(b, dot...), "no data yet"...)
	} else {
		b = append(format.AppendElapsed(append(b, ' '), max(f.Now.Sub(f.Stale), 0)), " ago"...)
		b = append(b, dot...)
		if long {
			b = append(b, "data is "...)
		}
		b = format.AppendTimeShort(append(b, "STALE since "...), f.Stale, f.UTC)
	}
	link := f.Link
	if link == nil || !link.Lost {
		return b
	}
	b = append(b, dot...)
	if link.Stuck {
		b = append(append(b, "stuck: check address or token"...), dot...)
	}
	b = strconv.AppendInt(append(b, "retry "...), int64(max(link.Attempt, 1)), 10)
	if wait := link.RetryAt.Sub(f.Clock); wait > 0 {
		return format.AppendAge(append(b, " in "...), wait+time.Second-1)
	}
	return append(b, " now"...)
}

// offline reports whether there is no data of an engine in another process now:
// the link is lost, or seems to be, or was never there.
func (m *model) offline() bool {
	return m.frame.Link != nil && (m.lost() || m.connecting())
}

// drawConnecting says what is waited for, where there is nothing to show yet.
func (m *model) drawConnecting(a canvas.Area) {
	f, link := &m.frame, &m.remote.link
	lines := []string{"Connecting to " + visible(link.Address) + " " + f.Glyphs.Ellipsis, ""}
	if link.Cause != "" {
		lines = append(lines, "Last try       "+visible(link.Cause))
	}
	if link.Lost {
		next := "now"
		if wait := link.RetryAt.Sub(f.Clock); wait > 0 {
			next = "in " + format.Age(wait+time.Second-1)
		}
		if link.Attempt > 0 {
			next += ", after " + strconv.Itoa(link.Attempt) + " that failed"
		}
		lines = append(lines, "Next try       "+next)
	}
	if link.Stuck {
		lines = append(lines, "", "Many tries have failed: check the address or the token.")
	}
	lines = append(lines, "", "Nothing is known of this engine yet. It is tried again until it answers.")
	margin, top := min(7, a.W()/12), max(0, min(3, (a.H()-len(lines))/2))
	for i, line := range lines {
		a.Cut(margin, top+i, max(a.W()-margin, 0), line, f.Glyphs.Cut, canvas.Of(themes.Fg))
	}
}

// lostHints are the hints while the link is lost: what can be done about it.
func (m *model) lostHints() []pane.Hint {
	f := &m.frame
	c := &m.footing
	c.actions, c.contexts = nil, nil
	c.hints, c.does = c.hints[:0], c.does[:0]
	for _, a := range [...]keys.Action{keys.Retry, keys.Details, keys.Quit, keys.Help} {
		if k := f.Keys.Keys(a, f.Glyphs.ASCII, keys.Lost, keys.Everywhere); len(k) > 0 {
			text := keys.Of(a).Short
			if a == keys.Quit {
				text = "quit"
			}
			c.hints, c.does = append(c.hints, pane.Hint{Key: k[0], Text: text}), append(c.does, a)
		}
	}
	return c.hints
}

// contexts are those of the keys now, innermost first, without Everywhere.
func (m *model) contexts() []keys.Context {
	own := m.top().Contexts(&m.frame)
	switch {
	case m.offline():
		return append([]keys.Context{keys.Lost}, own...)
	case m.frame.Playback != nil:
		return append([]keys.Context{keys.Play}, own...)
	}
	return own[:len(own):len(own)]
}
