package tui

import (
	"context"
	"errors"
	"time"

	"adit/engine"
	"adit/tui/pane"
)

const (
	pastCount = 1000
	// mostHeld bounds the events that wait for those before them.
	mostHeld = 4096
	// pastTold is how long after past events an event may come that is one of
	// them.
	pastTold = 10 * time.Second
	// sameMoment is what times of one event may differ by: a store rounds them.
	sameMoment = time.Millisecond
	pastRetry  = 5 * time.Second
	// pastEvery is the shortest time between two questions, however much is missed.
	pastEvery = time.Second
)

// A past is what happened before the dashboard was told, or while it could not
// be: asked of the log once, and put before what is told.
type past struct {
	wanted  bool
	asking  bool
	anew    bool      // the rows are made anew, not added to
	after   uint64    // key of the newest that was taken
	next    time.Time // not asked for before
	held    []engine.Event
	dropped uint64
	told    map[uint64]time.Time // by Seq: what must not be told twice
	until   time.Time            // of told
}

// again asks for what was missed.
func (p *past) again() { p.wanted = true }

// begin asks for everything.
func (p *past) begin() { p.wanted, p.anew, p.after, p.next = true, true, 0, time.Time{} }

// A pastWant is a question on its way.
type pastWant struct {
	m     *model
	after uint64
	page  engine.EventPage
	err   error
	ran   bool
}

// Fetch implements [pane.Want].
func (w *pastWant) Fetch(ctx context.Context, s pane.Source) {
	w.err = s.Log.Events(ctx, engine.EventQuery{Count: pastCount}, &w.page)
	w.ran = true
}

// Deliver implements [pane.Want].
func (w *pastWant) Deliver(f *pane.Frame) { w.m.tellPast(w) }

// aside are the questions that are not those of the screen.
func (m *model) aside() (wants []pane.Want) {
	if m.connecting() || m.frame.Link != nil && m.frame.Link.Lost {
		return nil
	}
	if p := &m.past; p.wanted && !p.asking && !m.frame.Clock.Before(p.next) {
		p.asking = true
		wants = append(wants, &pastWant{m: m, after: p.after})
	}
	if s, ok := m.top().(pane.Listing); ok && s.Page() != nil && m.remote.linked != nil {
		m.newest = s.Page().Newest // the screen asks often enough
		m.keeps(storeOf(s.Page()))
		return wants
	}
	if r := &m.remote; r.linked != nil && !r.asking && m.frame.Clock.Sub(r.asked) >= logEvery {
		r.asking, r.asked = true, m.frame.Clock
		wants = append(wants, &logWant{m: m})
	}
	return wants
}

// logEvery is how often a log over a link is asked how it is.
const logEvery = 2 * time.Second

// A logWant asks a log over a link for its newest record, and how it is.
type logWant struct {
	m    *model
	page engine.RequestPage
	err  error
	ran  bool
}

// Fetch implements [pane.Want].
func (w *logWant) Fetch(ctx context.Context, s pane.Source) {
	w.err = s.Log.Requests(ctx, engine.RequestQuery{Count: 1}, &w.page)
	w.ran = true
}

// Deliver implements [pane.Want].
func (w *logWant) Deliver(*pane.Frame) {
	m := w.m
	m.remote.asking = false
	if w.ran && w.err == nil {
		m.newest = w.page.Newest
		m.keeps(storeOf(&w.page))
	}
}

// keeps takes what is known of where records are kept, and tells when nothing is
// written any more, and when it is again.
func (m *model) keeps(s pane.Store) {
	old := m.frame.Store
	if !s.Known {
		return
	}
	m.frame.Store = s
	switch {
	case s.Problem == old.Problem:
	case s.Problem != "":
		m.say(pane.Say{Text: "STORE SUSPENDED: " + s.Problem, Bad: true})
	default:
		m.notes.over("STORE SUSPENDED: "+old.Problem, "the store was suspended for a while: "+old.Problem)
		m.news("the store is written again")
	}
}

// tellPast takes past events, and then what was told meanwhile.
func (m *model) tellPast(w *pastWant) {
	p, log := &m.past, m.frame.Events
	p.asking = false
	if !w.ran || w.err != nil {
		if w.err != nil && !errors.Is(w.err, context.Canceled) {
			p.next = m.frame.Clock.Add(pastRetry)
		}
		m.release()
		return
	}
	p.wanted, p.next = false, m.frame.Clock.Add(pastEvery)
	if p.anew {
		p.anew = false
		log.Clear()
	}
	page := &w.page
	if len(page.Keys) > 0 && page.Keys[0] < p.after {
		p.after = 0 // another process without a history: its keys begin anew
	}
	p.told = make(map[uint64]time.Time, log.Len()+len(page.Events))
	p.until = m.frame.Clock.Add(pastTold)
	for at := log.First(); at < log.Next(); at++ {
		if e := &log.At(at).Event; e.Seq > 0 {
			p.told[e.Seq] = e.Time
		}
	}
	var last *engine.Event
	for i := len(page.Events) - 1; i >= 0; i-- { // the oldest first
		e := &page.Events[i]
		if i < len(page.Keys) {
			if page.Keys[i] <= p.after {
				continue
			}
			p.after = page.Keys[i]
		}
		if p.knows(e) {
			continue
		}
		p.told[e.Seq] = e.Time
		if last != nil && e.Seq != 0 && e.Seq <= last.Seq {
			log.Run(e.Time)
		}
		log.Add(engine.Batch{Events: page.Events[i : i+1]})
		last = e
	}
	m.release()
	m.dirty = true
}

// release tells what was held back.
func (m *model) release() {
	p := &m.past
	held, dropped := p.held, p.dropped
	p.held, p.dropped = nil, 0
	if len(held) > 0 || dropped > 0 {
		m.tell(engine.Batch{Events: held, Dropped: dropped})
	}
}

// hold keeps events until those before them are there.
func (p *past) hold(b engine.Batch) {
	p.dropped += b.Dropped
	free := max(mostHeld-len(p.held), 0)
	if len(b.Events) > free {
		p.dropped += uint64(len(b.Events) - free)
		b.Events = b.Events[:free]
	}
	p.held = append(p.held, b.Events...)
}

// knows reports whether an event was told as a past one.
func (p *past) knows(e *engine.Event) bool {
	t, ok := p.told[e.Seq]
	return ok && e.Time.Sub(t).Abs() <= sameMoment
}

// tell adds events to the log of the dashboard, but for those that it has.
func (m *model) tell(b engine.Batch) {
	p := &m.past
	if p.told != nil && m.frame.Clock.After(p.until) {
		p.told = nil
	}
	if p.told != nil {
		fresh := b.Events[:0:0]
		for i := range b.Events {
			if !p.knows(&b.Events[i]) {
				fresh = append(fresh, b.Events[i])
			}
		}
		b.Events = fresh
	}
	m.frame.Events.Add(b)
	if b.Dropped > 0 {
		m.notes.lost(b.Dropped, m.frame.Clock)
	}
}
