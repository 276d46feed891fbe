package plain

import (
	"strconv"
	"time"

	"adit/engine"
	"adit/engine/observe"
	"adit/tui/format"
)

// lookEvery is how often the state of a link is looked at.
const lookEvery = 500 * time.Millisecond

// A link is what was said of the way to an engine in another process.
type link struct {
	engine engine.Linked // nil: it is in this one
	lost   bool          // that was said
	since  time.Time     // of the last data then
	starts int           // restarts that were said
	notice string        // that was shown
}

// look says when the link is lost, when it is back, and when another process
// answers.
func (p *printer) look(now time.Time) {
	x := &p.link
	l := x.engine.Link()
	if l.Notice != "" && l.Notice != x.notice {
		x.notice = l.Notice
		p.line(now, observe.LevelInfo, "link", l.Notice)
	}
	switch {
	case l.Lost && !x.lost:
		x.lost, x.since = true, l.LastData
		p.line(now, observe.LevelWarn, "link", "LOST "+l.Address+": "+l.Cause+"; it is tried again")
	case !l.Lost && x.lost && !l.LastData.IsZero():
		x.lost = false
		text := "there"
		if !x.since.IsZero() {
			text = "back: " + format.Age(max(now.Sub(x.since), 0)) + " without data"
		}
		p.line(now, observe.LevelInfo, "link", text)
	}
	if l.Restarts > x.starts {
		x.starts = l.Restarts
		p.line(now, observe.LevelWarn, "link", "the engine was restarted, counters restarted")
		p.totals = engine.Totals{}
	}
}

// stale says that there is no data and what is done about it, in the place of a
// summary; false where there is.
func (p *printer) stale(now time.Time) bool {
	if p.link.engine == nil {
		return false
	}
	l := p.link.engine.Link()
	if !l.Lost && !l.LastData.IsZero() {
		return false
	}
	text := "no data yet from " + l.Address
	if !l.LastData.IsZero() {
		text = "no data for " + format.Age(max(now.Sub(l.LastData), 0))
	}
	if l.Cause != "" {
		text += ": " + l.Cause
	}
	if l.Lost {
		text += "; retry " + strconv.Itoa(max(l.Attempt, 1))
		if wait := l.RetryAt.Sub(now); wait > 0 {
			text += " in " + format.Age(wait+time.Second-1)
		}
	}
	if l.Stuck {
		text += "; stuck: check address or token"
	}
	p.line(now, observe.LevelWarn, "link", text)
	return true
}
