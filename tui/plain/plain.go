// Package plain is line mode: the dashboard without a screen, for a terminal
// that can't move its cursor, a screen reader, or a pipe. It prints one line for
// each notable event and a summary every 10 s, and takes commands.
package plain

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"adit/engine"
	"adit/engine/observe"
	"adit/tui/format"
	"adit/tui/pane"
)

const (
	summaryEvery = 10 * time.Second

	// mostFailures bounds the lines of failed requests between two summaries.
	mostFailures = 20

	// maxCommand bounds a command, in bytes.
	maxCommand = 4 << 10

	// actionWait bounds an action on the engine, leaveWait how long the end
	// waits for a terminal that takes nothing, busyWait how long after that
	// for a printer that did not get to write.
	actionWait = 5 * time.Second
	leaveWait  = 150 * time.Millisecond
	busyWait   = 650 * time.Millisecond
)

// Options are what line mode needs.
type Options struct {
	Engine   engine.Engine
	Log      engine.RequestLog // nil: the command requests is not there
	Operator string
	Commands []string // lines for a shell, shown at the start
	ReadOnly bool
	Remote   bool // the engine is not in this process: quitting ends nothing
	UTC      bool
	Input    io.Reader // nil: no commands
	Output   io.Writer
	Hangup   <-chan struct{}
}

// An End says why line mode ended.
type End uint8

// Ends.
const (
	Quit   End = iota + 1 // the operator wants the run to end
	Gone                  // nobody reads the output any more
	Engine                // the engine has ended
	Stop                  // ctx has ended
)

// Lines is line mode, told of events from Open on.
type Lines struct {
	ctx    context.Context
	cancel context.CancelFunc
	p      *printer
}

// Open subscribes, so that what happens before Show is not missed. Line mode ends
// with ctx, shown or not.
func Open(ctx context.Context, o Options) (*Lines, error) {
	inner, cancel := context.WithCancel(ctx)
	events, err := o.Engine.Subscribe(inner, engine.SubscribeOptions{Kinds: engine.KindsRequests})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("subscribe to events: %w", err)
	}
	return &Lines{ctx, cancel, &printer{o: o, events: events, answers: make(chan string, 1)}}, nil
}

// Show prints and obeys until line mode ends. It is called once. A goroutine that
// waits for a line of the input, which nothing can interrupt, may stay until the
// process ends.
func (l *Lines) Show() End {
	defer l.cancel()
	inner, cancel := context.WithCancel(l.ctx)
	defer cancel()
	o, p := &l.p.o, l.p
	ended := make(chan End, 1)
	go func() { ended <- p.run(inner, commands(inner, o.Input)) }()
	select {
	case end := <-ended:
		return end
	case <-o.Hangup:
		return Gone
	case <-l.ctx.Done():
	}
	late := time.NewTimer(leaveWait)
	defer late.Stop()
	select {
	case end := <-ended:
		return end
	case <-late.C:
	}
	if p.writing.Load() {
		return Stop
	}
	// Only a terminal may take its time: on a busy machine the last summary does.
	late.Reset(busyWait)
	select {
	case end := <-ended:
		return end
	case <-late.C:
		return Stop
	}
}

// commands reads lines until the input or ctx ends.
func commands(ctx context.Context, r io.Reader) <-chan string {
	if r == nil {
		return nil
	}
	lines := make(chan string)
	go func() {
		scanner := bufio.NewScanner(r)
		scanner.Buffer(make([]byte, 0, 256), maxCommand)
		for scanner.Scan() {
			select {
			case lines <- scanner.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}

// A printer is line mode while it runs. It belongs to one goroutine.
type printer struct {
	o       Options
	events  <-chan engine.Batch
	answers chan string // of actions that ran beside
	out     []byte
	failed  error // why nothing can be written
	writing atomic.Bool

	asked    *question // waits for y
	failures int       // lines of failed requests since the last summary
	hidden   int       // failed requests that got no line since then
	snapshot engine.Snapshot
	totals   engine.Totals // at the last summary
	told     time.Time     // of the last summary
	link     link
}

func (p *printer) run(ctx context.Context, lines <-chan string) End {
	var looks <-chan time.Time
	if linked, ok := p.o.Engine.(engine.Linked); ok {
		p.link.engine = linked
		p.link.starts = linked.Link().Restarts
		look := time.NewTicker(lookEvery)
		defer look.Stop()
		looks = look.C
	}
	p.begin(ctx)
	tick := time.NewTicker(summaryEvery)
	defer tick.Stop()
	for {
		p.flush()
		if p.failed != nil {
			return Gone
		}
		select {
		case <-ctx.Done():
			return p.leave(ctx)
		case batch, ok := <-p.events:
			if !ok {
				if ctx.Err() != nil { // the subscription ended with it
					return p.leave(ctx)
				}
				p.line(time.Now(), observe.LevelInfo, "", "the engine has ended")
				p.flush()
				return Engine
			}
			p.batch(batch)
		case now := <-looks:
			p.look(now)
		case <-tick.C:
			p.summary(ctx)
		case text := <-lines:
			if p.command(ctx, text) {
				p.flush()
				return Quit
			}
		case text := <-p.answers:
			p.say(text)
		}
	}
}

// leave says where things stand at the end.
func (p *printer) leave(ctx context.Context) End {
	p.summary(context.WithoutCancel(ctx))
	p.flush()
	return Stop
}

// begin says what this is.
func (p *printer) begin(ctx context.Context) {
	p.told = time.Now()
	if p.stale(p.told) {
		p.link.lost, p.link.since = true, p.link.engine.Link().LastData
		p.say(":help lists the commands")
		return
	}
	if p.o.Engine.Snapshot(ctx, &p.snapshot) == nil {
		s := &p.snapshot
		p.totals = s.Totals
		p.say(fmt.Sprintf("%v %s %s; :help lists the commands", s.Role, s.Name, strings.Join(s.Listen, " ")))
	}
	for _, c := range p.o.Commands {
		p.say("try: " + c)
	}
}

func (p *printer) flush() {
	if len(p.out) == 0 || p.failed != nil {
		return
	}
	p.writing.Store(true)
	_, p.failed = p.o.Output.Write(p.out)
	p.writing.Store(false)
	p.out = p.out[:0]
}

// say prints an answer.
func (p *printer) say(text string) {
	p.out = appendVisible(p.out, text)
	p.out = append(p.out, '\n')
}

// line prints what happened.
func (p *printer) line(at time.Time, level observe.Level, source, text string) {
	p.out = format.AppendTime(p.out, at, p.o.UTC)
	p.out = append(p.out, ' ')
	p.out = append(p.out, pane.LevelWord(level)...)
	p.out = append(p.out, ' ')
	if source != "" {
		p.out = appendVisible(p.out, source)
		p.out = append(p.out, "  "...)
	}
	p.say(text)
}

// batch prints events, and how many were lost before them.
func (p *printer) batch(b engine.Batch) {
	if b.Dropped > 0 {
		p.line(time.Now(), observe.LevelWarn, "dashboard", fmt.Sprintf("%d events not shown: they came faster than they were printed", b.Dropped))
	}
	for i := range b.Events {
		e := &b.Events[i]
		if e.Kind == engine.KindRequestFinished {
			if !notable(e.Request) {
				continue
			}
			if p.failures++; p.failures > mostFailures {
				p.hidden++
				continue
			}
		}
		source := observe.AppendSource(nil, e)
		message := observe.AppendMessage(nil, e)
		p.line(e.Time, observe.LevelOf(e), string(source), string(message))
	}
}

// notable: it failed, and not because the caller left.
func notable(r *engine.Request) bool {
	switch {
	case r == nil:
		return false
	case r.Status >= 500:
		return true
	}
	return r.Outcome != engine.OutcomeCompleted && r.Outcome != engine.OutcomeCallerGone && r.Outcome != engine.OutcomeNone
}

// summary prints where things stand.
func (p *printer) summary(ctx context.Context) {
	if p.hidden > 0 {
		p.line(time.Now(), observe.LevelWarn, "dashboard", fmt.Sprintf("%d more failed requests", p.hidden))
	}
	p.failures, p.hidden = 0, 0
	if p.stale(time.Now()) {
		return
	}
	if err := p.o.Engine.Snapshot(ctx, &p.snapshot); err != nil {
		p.line(time.Now(), observe.LevelWarn, "dashboard", "no data: "+err.Error())
		return
	}
	s := &p.snapshot
	clients, busy := map[string]bool{}, 0
	for i := range s.Connections {
		clients[s.Connections[i].Client] = true
		if s.Connections[i].InFlight > 0 {
			busy++
		}
	}
	seconds := s.Time.Sub(p.told).Seconds()
	if seconds <= 0 {
		return
	}
	rate := func(now, then uint64) float64 {
		if now < then {
			then = 0 // an engine that began anew
		}
		return float64(now-then) / seconds
	}
	text := make([]byte, 0, 160)
	if s.Role == engine.RoleServer {
		text = fmt.Appendf(text, "%d clients, ", len(clients))
	}
	text = fmt.Appendf(text, "%d connections (%d busy), in ", len(s.Connections), busy)
	text = format.AppendByteRate(text, rate(s.Totals.BytesIn, p.totals.BytesIn))
	text = append(text, ", out "...)
	text = format.AppendByteRate(text, rate(s.Totals.BytesOut, p.totals.BytesOut))
	text = append(text, ", "...)
	text = format.AppendRate(text, rate(s.Totals.Requests, p.totals.Requests))
	text = append(text, " requests/s, "...)
	text = format.AppendCount(text, s.Totals.Requests)
	text = append(text, " requests, "...)
	text = format.AppendCount(text, s.Totals.Failed)
	text = append(text, " failed"...)
	p.line(s.Time, observe.LevelInfo, "summary", string(text))
	p.totals, p.told = s.Totals, s.Time
}

// appendVisible appends text without what a terminal could obey, or what joins
// with its neighbours: each such character is a question mark.
func appendVisible(b []byte, text string) []byte {
	for _, r := range text {
		if r == utf8.RuneError || !unicode.IsPrint(r) || unicode.Is(unicode.M, r) {
			r = '?'
		}
		b = utf8.AppendRune(b, r)
	}
	return b
}
