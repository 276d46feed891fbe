package tui

import (
	"context"
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"

	"adit/engine"
	"adit/engine/observe"
	"adit/keys"
	"adit/themes"
	"adit/tui/bars"
	"adit/tui/canvas"
	"adit/tui/format"
	"adit/tui/memory"
	"adit/tui/pane"
	"adit/tui/vitals"
)

const (
	framesEvery  = 100 * time.Millisecond
	remoteEvery  = 200 * time.Millisecond // the terminal is behind SSH
	slowEvery    = 200 * time.Millisecond // where there is a lot of work
	blurredEvery = time.Second
	idleEvery    = time.Second // nothing moves but the clock
	slowFrame    = 50 * time.Millisecond
	// manyConnections is from how many on frames are slow as well: the engine
	// copies the state of each for every one.
	manyConnections = 5000
	// drawEvery is the shortest time between two drawings: keys and events of
	// the mouse that come faster are all taken, then drawn once.
	drawEvery = 12 * time.Millisecond
	// settled is how long nothing has to have moved until rates are at rest.
	settled = 5 * time.Second

	keptEvents = 10_000 // rows of the event log
)

// A model is the dashboard: the only Bubble Tea model. Everything in it belongs
// to the goroutine of the program's loop.
type model struct {
	ctx   context.Context
	o     Options
	now   func() time.Time
	end   End   // 0 while it runs
	err   error // why it ended, where that is a fault
	first []tea.Cmd

	remote remote
	past   past

	feed     *feed
	asker    pane.Screen // whose wants were fetched last
	pending  int         // of them: on their way
	chain    uint64      // of the feed's commands: a message of another chain is not for us
	every    time.Duration
	latest   *engine.Snapshot // the newest; frame.Snapshot is older while paused
	newest   engine.RequestID // of the log, when latest was taken
	lastGood time.Time        // when latest came
	lastFull time.Time        // when a frame with a snapshot was last ordered
	lastWork time.Duration    // what the last frame took, collecting and drawing
	drawing  time.Duration    // of it, what the last drawing took
	moved    time.Time        // when something in the engine last moved
	ended    bool             // the engine is done
	blurred  bool
	failure  string // why there is no newer snapshot

	frame  pane.Frame
	meter  *observe.Meter   // of latest; frame.Meter is a copy while paused
	spare  *engine.Snapshot // for the collector, while the frame's is shown
	rows   pane.Rows
	levels [screenCount][]level // the screens; each with the screen itself at the bottom
	shown  int                  // of levels

	overlays   []pane.Overlay
	notes      notes
	memory     *memory.Memory
	keeping    bool // the memory is being written
	mouse      mouse
	noMouse    bool
	asked      time.Time // when ctrl+c was last pressed
	acted      time.Time // when the engine was last asked to do something
	themes     *themes.Set
	background themes.Background // of the terminal
	keepAt     time.Time         // before then the memory is not written again

	canvas  *canvas.Canvas
	view    tea.View
	dirty   bool
	wanted  bool // something was asked for that the next frame brings
	awaited bool // that was so when the frame was ordered
	putOff  bool // a drawMsg is on its way
	drawn   time.Time
	clock   int64 // second of the time that was drawn
	titled  time.Time
	footing footing
	tabs    bars.Tabs
	card    vitals.Card
	scratch []byte
	bare    bool        // a single frame: no keys
	at      *tea.Cursor // the terminal's cursor, where it was last
	area    canvas.Rect // of the screen, when it was last drawn
	slider  canvas.Rect // of a recording, likewise
}

// drawMsg: draw what was put off.
type drawMsg struct{}

// newModel returns the dashboard of o; its feed runs from now on. Who runs it
// calls close when the program has ended, and then result.
func newModel(ctx context.Context, o Options) (*model, error) {
	return newModelAt(ctx, o, time.Now)
}

func newModelAt(ctx context.Context, o Options, now func() time.Time) (*model, error) {
	keymap, problems, err := keys.Load(o.KeySet, o.KeysFile)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	m := &model{ctx: ctx, o: o, now: now, canvas: canvas.New(), every: framesEvery,
		latest: new(engine.Snapshot), spare: new(engine.Snapshot), meter: observe.NewMeter(), noMouse: o.NoMouse}
	if o.LookupEnv != nil {
		if _, ssh := o.LookupEnv("SSH_CONNECTION"); ssh {
			m.every = remoteEvery
		}
	}
	switch e := o.Engine.(type) {
	case engine.Linked:
		m.remote.linked, m.every = e, remoteEvery
		m.o.Remote = true
	case engine.Player:
		m.remote.player = e
		m.o.Remote = true
	}
	m.memory, err = memory.Open(o.StateFile)
	if err != nil {
		m.notes.add(pane.Say{Text: err.Error(), Bad: true}, now())
	}
	if len(problems) > 0 {
		m.notes.add(keysSay(problems), now())
	}
	m.frame = pane.Frame{
		Now:      now(),
		Clock:    now(),
		Keys:     keymap,
		ReadOnly: o.ReadOnly,
		Snapshot: m.latest,
		Meter:    m.meter,
		Rows:     &m.rows,
		Events:   pane.NewEventLog(keptEvents),
		Settings: o.Settings,
		Problems: problems,
		Commands: o.Commands,
		Memory:   m.memory,
	}
	m.frame.UTC = m.memory.Get("utc") == "yes"
	if m.frame.Glyphs, err = themes.GlyphsFor(o.Glyphs, o.LookupEnv); err != nil {
		return nil, err
	}
	m.canvas.SetASCII(m.frame.Glyphs.ASCII)
	var faults []themes.Problem
	m.themes, faults = themes.Load(o.ThemesDir)
	for _, p := range faults {
		m.notes.add(pane.Say{Text: p.String(), Bad: !p.Warning}, now())
	}
	if wanted := m.wantedTheme(); !m.useTheme(wanted) {
		err := fmt.Errorf("no theme %q, the nearest is %s; `adit themes` lists them", wanted, m.themes.Nearest(wanted))
		if wanted == o.Theme {
			return nil, err
		}
		m.notes.add(pane.Say{Text: err.Error(), Bad: true}, now())
	}
	for _, fault := range m.notes.faults {
		m.frame.Events.Fault(fault, m.frame.Now)
	}
	names := titles()
	m.tabs.Names = names[:]
	for i, s := range newScreens(o, m.terminal()) {
		m.levels[i] = []level{{screen: s}}
	}
	if first, ok := m.top().(pane.Filtered); ok && o.Filter != "" {
		first.SetFilter(o.Filter)
	}
	m.lastGood, m.moved = now(), now()
	m.past.begin()
	m.feed = newFeed(ctx, pane.Source{Engine: o.Engine, Log: o.Log}, m.remote.linked != nil)
	m.look()
	return m, nil
}

// close ends the feed and keeps what is not kept yet.
func (m *model) close() {
	m.feed.close()
	if err := m.memory.Write(); err != nil && m.o.Logger != nil {
		m.o.Logger.Warn("dashboard: " + err.Error())
	}
}

// result says why the dashboard ended, once the program has.
func (m *model) result() (End, error) {
	if m.end == 0 {
		return EndStop, m.err
	}
	return m.end, m.err
}

// Init implements [tea.Model].
func (m *model) Init() tea.Cmd {
	m.chain++
	return tea.Batch(append(m.first, m.order(true), m.watchLooks())...)
}

// Update implements [tea.Model].
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	cmd := m.update(msg)
	if m.end != 0 {
		m.draw()
		return m, tea.Batch(cmd, tea.Quit)
	}
	if !m.dirty {
		return m, cmd
	}
	if _, now := msg.(drawMsg); !now && time.Since(m.drawn) < drawEvery {
		if m.putOff {
			return m, cmd
		}
		m.putOff = true
		return m, tea.Batch(cmd, tea.Tick(drawEvery, func(time.Time) tea.Msg { return drawMsg{} }))
	}
	m.draw()
	return m, cmd
}

// View implements [tea.Model].
func (m *model) View() tea.View { return m.view }

// update does what a message asks for, but for drawing.
func (m *model) update(msg tea.Msg) tea.Cmd {
	m.look()
	switch msg := msg.(type) {
	case dueMsg:
		if msg.chain != m.chain {
			return nil
		}
		m.ended = m.ended || msg.ended
		return m.order(m.ended || m.frame.Clock.Sub(m.lastFull) >= m.pace()-soonest)
	case frameMsg:
		if msg.chain != m.chain {
			return nil
		}
		return m.deliver()
	case overdueMsg:
		return m.overdue(msg)
	case stopMsg:
		m.finish(EndStop, nil)
	case drawMsg:
		m.putOff = false
	case tea.WindowSizeMsg:
		// The layout is made for the next frame: a storm of sizes costs nothing.
		m.frame.Width, m.frame.Height = max(msg.Width, 0), max(msg.Height, 0)
		m.frame.Class = pane.ClassOf(msg.Width, msg.Height)
		m.dirty = true
	case tea.FocusMsg:
		m.blurred = false
		m.feed.soon()
	case tea.BlurMsg:
		m.blurred = true
	case tea.BackgroundColorMsg:
		m.background = themes.Light
		if msg.IsDark() {
			m.background = themes.Dark
		}
		m.useTheme(m.wantedTheme())
	case tea.KeyPressMsg:
		return m.key(msg)
	case tea.PasteMsg:
		return m.paste(msg)
	case tea.MouseMsg:
		return m.mouseEvent(msg)
	case performedMsg:
		m.changed()
		return m.effect(msg.effect)
	case looksMsg:
		return m.reloaded(msg)
	case keptMsg:
		m.keeping = false
		if msg.err != nil {
			m.keepAt = m.frame.Clock.Add(keepAgain)
			m.say(pane.Say{Text: msg.err.Error(), Bad: true})
		}
	}
	return nil
}

// finish ends the dashboard; the first reason counts.
func (m *model) finish(why End, err error) {
	if m.end == 0 {
		m.end, m.err = why, err
	}
}

// changed says that the screen has to be drawn and what it wants may differ.
func (m *model) changed() {
	m.dirty, m.wanted = true, true
	m.feed.soon()
}

// pace returns how often frames come now.
func (m *model) pace() time.Duration {
	switch {
	case m.blurred:
		return blurredEvery
	case m.lastWork > slowFrame, len(m.latest.Connections) > manyConnections:
		return max(m.every, slowEvery)
	}
	return m.every
}

// order has the next frame collected.
func (m *model) order(full bool) tea.Cmd {
	o := order{full: full, aside: m.aside()}
	// What is on its way for the same screen is not asked for again.
	if top := m.top(); m.pending == 0 || m.asker != top {
		o.wants, m.asker = top.Wants(&m.frame), top
	}
	m.awaited, m.wanted = m.wanted, false
	if full {
		m.lastFull = m.frame.Clock
		m.feed.got.spare = m.spare
	}
	return m.feed.collect(m.ctx, m.chain, o, m.ended)
}

// deliver takes what was collected and goes on to the next frame.
func (m *model) deliver() tea.Cmd {
	start := time.Now()
	got := &m.feed.got
	if got.panicked != nil {
		panic(got.panicked) // the program restores the terminal
	}
	f := &m.frame
	if got.order.full {
		m.arrived(got)
	}
	m.told(got)
	m.pending = got.pending
	for _, w := range got.done {
		w.Deliver(f)
	}
	if len(got.done) > 0 && m.remote.linked != nil {
		m.dirty = true
	}
	// Where nothing moves, the clock is drawn.
	if len(got.batches) > 0 || m.awaited || len(m.overlays) > 0 || f.Clock.Sub(m.moved) < settled || f.Clock.Unix() != m.clock {
		m.dirty = true
	}
	if m.notes.expire(f.Clock) {
		m.dirty = true
	}
	// The last events of a wheel that stopped have none after them.
	cmd := tea.Batch(m.keep(), m.scrolled(m.mouse.at))
	if m.ended {
		m.say(pane.Say{Text: "the engine has ended"})
		m.finish(EndEngine, nil)
		return cmd
	}
	m.lastWork = got.took + time.Since(start) + m.drawing
	return tea.Batch(cmd, m.feed.wait(m.ctx, m.chain, m.pace(), m.ended))
}

// arrived takes a snapshot, or that there is none.
func (m *model) arrived(got *collected) {
	f := &m.frame
	if got.failed != nil {
		m.failure = got.failed.Error()
		if f.Stale.IsZero() {
			f.Stale = m.lastGood
		}
		m.dirty = true
		return
	}
	if m.remote.linked == nil && !f.Stale.IsZero() {
		m.news("back: " + format.Age(f.Now.Sub(f.Stale)) + " without data")
		f.Stale, m.failure = time.Time{}, ""
	}
	m.lastGood = f.Now
	old := m.latest
	if old.Seq != got.snapshot.Seq || old.Totals != got.snapshot.Totals || m.remote.linked == nil && got.newest != m.newest {
		m.moved = f.Clock
	}
	if m.remote.linked == nil {
		m.newest = got.newest
		m.keeps(got.store)
	}
	m.latest = got.snapshot
	m.spare = old
	m.meter.Add(m.latest)
	if !f.Paused {
		m.show()
		m.came()
	} else if old == f.Snapshot {
		m.spare = new(engine.Snapshot) // the frame keeps the other
	}
}

// show makes the newest snapshot the one that is shown.
func (m *model) show() {
	f := &m.frame
	f.Snapshot, f.Meter = m.latest, m.meter
	m.rows.Update(f.Snapshot, f.Meter)
}

// told takes events.
func (m *model) told(got *collected) {
	for _, b := range got.batches {
		batch := engine.Batch{Events: got.events[b.from:b.to], Dropped: b.dropped}
		if (m.remote.linked != nil || m.remote.player != nil) && batch.Dropped > 0 {
			// The log has what the link, or a jump in a recording, left out.
			m.past.again()
			batch.Dropped = 0
		}
		if m.past.wanted && !m.frame.Clock.Before(m.past.next) {
			m.past.hold(batch)
		} else {
			m.tell(batch)
		}
		for i := range batch.Events {
			if e := &batch.Events[i]; e.Kind == engine.KindOperatorAction && !m.own(e.Operator) {
				m.news(e.Operator + ": " + string(e.Action) + " " + e.Target)
			}
		}
	}
}

// own reports whether what an operator has done was done here. Over a link others
// may have the same name: then it was if something was done here a moment ago.
func (m *model) own(operator string) bool {
	if operator != m.operator() {
		return false
	}
	return m.remote.linked == nil || !m.acted.IsZero() && m.frame.Clock.Sub(m.acted) < performFor
}

// overdue says that the data is old while the collector waits for the engine.
func (m *model) overdue(msg overdueMsg) tea.Cmd {
	if msg.chain != m.chain {
		return nil
	}
	if m.frame.Stale.IsZero() && !m.connecting() {
		m.frame.Stale, m.failure = m.lastGood, "no answer"
	}
	m.dirty = true
	m.notes.expire(m.frame.Clock)
	if msg.ended {
		m.ended = true
		m.finish(EndEngine, nil)
		return nil
	}
	return m.feed.await(m.ctx, m.chain, m.ended)
}
