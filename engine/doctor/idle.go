package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gorilla/websocket"

	"adit/engine/wire"
)

// ladder returns the silences that are tried at once, up to most: those that
// middleboxes are known to cut at, and most itself. A server takes 16 probes of one
// credential; these are at most 14, one that pings and one that sends.
func ladder(most time.Duration) []time.Duration {
	var waits []time.Duration
	for _, s := range []int{10, 15, 20, 25, 30, 45, 60, 90, 120, 180, 240, 300, 420} {
		if d := time.Duration(s) * time.Second; d < most {
			waits = append(waits, d)
		}
	}
	return append(waits, most)
}

// A silence is what has become of one WebSocket on which nothing was sent for so
// long.
type silence struct {
	wait   time.Duration
	err    error         // it could not be opened
	cut    time.Duration // after which it was seen to end; 0: it was not
	how    string        // how it ended
	lives  bool          // a message after the silence came back
	code   int           // of the Close frame that ended it; 0 none
	pinged bool          // it was not silent: it has pinged every wait
	awake  bool          // it was not silent: it has sent messages
}

// idle looks for the silence after which something on the way cuts, by WebSockets
// that are silent for different times, all at once, and by one that pings as often
// as the server has clients ping. Bound: ClientOptions.Idle and four steps. It
// finds what cuts where TCP sends nothing either: keepalives of TCP (15 s) are on,
// as they are on those of the tunnel.
func (w *way) idle(ctx context.Context, hello *wire.Probe) {
	o := w.c.o
	if ctx.Err() != nil {
		return
	}
	if o.Quick || o.Idle <= 0 {
		w.found(Finding{Check: "idle", Severity: Note, Found: "after how much silence something on the way cuts was not looked for",
			Change: "leave --quick and --idle 0 out to know"})
		return
	}
	waits := o.pace.waits
	if len(waits) == 0 {
		waits = ladder(o.Idle)
	}
	w.c.progress("waiting in silence for up to %v", o.Idle)
	interval, setting := hello.PingInterval, "ping of the server"
	if o.Classic {
		interval, setting = o.Ping, "ping of this client"
	}
	if o.pace.ping > 0 {
		interval = o.pace.ping
	}
	ends := make(chan silence, len(waits)+2)
	for _, wait := range waits {
		go func() { ends <- w.silent(ctx, wait) }()
	}
	n, most := len(waits)+1, waits[len(waits)-1]
	go func() { ends <- w.awake(ctx, most) }()
	if interval < most {
		n++
		go func() { ends <- w.pinging(ctx, interval, most) }()
	}
	var pinged, awake *silence
	var all []silence
	for range n {
		switch s := <-ends; {
		case s.pinged:
			pinged = &s
		case s.awake:
			awake = &s
		default:
			all = append(all, s)
		}
	}
	if ctx.Err() != nil {
		return
	}
	if awake.err == nil && !awake.lives {
		slices.SortFunc(all, func(a, b silence) int { return cmp.Compare(a.wait, b.wait) })
		all = awake.before(all, o.pace.unit)
		c, _ := cutOffOf(all)
		if c.dies == 0 {
			w.found(w.judgeEnd(ctx, awake, c.lives))
			return
		}
		pinged = nil // it ended with that
	}
	w.found(w.judgeIdle(all, pinged, interval, setting))
}

// quiet opens a probe for a silence.
func (w *way) quiet(ctx context.Context) (*opened, error) {
	o := w.open(ctx, w.u, pieceBuffer)
	if o.ws == nil {
		if o.status != 0 {
			return nil, fmt.Errorf("the server answers %d", o.status)
		}
		return nil, o.err
	}
	if _, _, err := o.ws.ReadMessage(); err != nil {
		_ = o.ws.Close()
		return nil, err
	}
	return o, nil
}

// silent is silent for wait, and asks then whether the other end is still there.
func (w *way) silent(ctx context.Context, wait time.Duration) silence {
	s := silence{wait: wait}
	o, err := w.quiet(ctx)
	if err != nil {
		s.err = err
		return s
	}
	began := time.Now()
	_ = o.ws.SetReadDeadline(began.Add(wait + w.c.o.pace.step))
	read := make(chan error, 1)
	go func() {
		_, _, err := o.ws.ReadMessage()
		read <- err
	}()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case err := <-read:
		s.ended(time.Since(began), err)
		_ = o.ws.Close()
		return s
	case <-ctx.Done():
		_ = o.ws.Close()
		<-read
		return s
	case <-timer.C:
	}
	_ = o.ws.SetWriteDeadline(time.Now().Add(w.c.o.pace.step))
	if err := o.ws.WriteMessage(websocket.TextMessage, []byte("still there?")); err != nil {
		_ = o.ws.Close()
	}
	if err := <-read; err == nil {
		s.lives = true
	} else {
		s.how = "nothing comes back after it"
	}
	o.close()
	return s
}

// ended notes how a connection was seen to end.
func (s *silence) ended(after time.Duration, err error) {
	s.cut, s.code, s.how = max(after, 1), closeCode(err), "it is closed without a Close frame"
	if s.code != 0 {
		s.how = fmt.Sprintf("it is closed with %d", s.code)
	}
}

// pinging sends a ping every interval until most is over, and nothing else.
func (w *way) pinging(ctx context.Context, interval, most time.Duration) silence {
	s := silence{wait: interval, pinged: true}
	o, err := w.quiet(ctx)
	if err != nil {
		s.err = err
		return s
	}
	defer o.close()
	began := time.Now()
	_ = o.ws.SetReadDeadline(began.Add(most + w.c.o.pace.step))
	read := make(chan error, 1)
	go func() {
		_, _, err := o.ws.ReadMessage()
		read <- err
	}()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	over := time.NewTimer(most)
	defer over.Stop()
	for {
		select {
		case err := <-read:
			s.ended(time.Since(began), err)
			return s
		case <-ctx.Done():
			_ = o.ws.Close()
			<-read
			return s
		case <-tick.C:
			if o.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(w.c.o.pace.step)) != nil {
				_ = o.ws.Close()
			}
		case <-over.C:
			_ = o.ws.SetWriteDeadline(time.Now().Add(w.c.o.pace.step))
			if o.ws.WriteMessage(websocket.TextMessage, []byte("still there?")) != nil {
				_ = o.ws.Close()
			}
			s.lives = <-read == nil
			return s
		}
	}
}

// A cutOff is the silence after which something cuts: between lives, which the
// longest that lived has borne, and dies. at is exact where the end was seen.
type cutOff struct {
	lives, dies time.Duration // 0: none lived, none died
	at          time.Duration // 0: not known
	how         string
}

// cutOffOf reads a cut-off out of silences in ascending order.
func cutOffOf(all []silence) (c cutOff, opened int) {
	for i := range all {
		s := &all[i]
		if s.err != nil {
			continue
		}
		opened++
		if s.lives {
			continue
		}
		if c.dies == 0 {
			c.dies, c.how = s.wait, s.how
		}
		if s.cut > 0 && (c.at == 0 || s.cut < c.at) {
			c.at, c.how = s.cut, s.how
		}
	}
	for i := range all {
		if s := &all[i]; s.lives && (c.dies == 0 || s.wait < c.dies) {
			c.lives = s.wait
		}
	}
	return c, opened
}

// judgeIdle says what silence the way bears, and whether the pings suffice. It sorts
// all.
func (w *way) judgeIdle(all []silence, pinged *silence, interval time.Duration, setting string) Finding {
	unit := w.c.o.pace.unit
	slices.SortFunc(all, func(a, b silence) int { return cmp.Compare(a.wait, b.wait) })
	f := Finding{Check: "idle", Severity: OK}
	c, opened := cutOffOf(all)
	switch {
	case opened == 0:
		f.Severity = Note
		f.Found = "after how much silence something on the way cuts is not known: no further connection is let in: " + errorText(all[0].err)
		f.Change = "try again in a minute"
		return f
	case c.dies == 0:
		f.Found = fmt.Sprintf("a WebSocket on which nothing is sent for %v still lives; pings go every %v", c.lives, interval)
		return f
	}
	cut := c.dies
	switch {
	case c.at > 0:
		cut = c.at.Round(unit)
		f.Found = fmt.Sprintf("something on the way cuts an idle WebSocket after %v: %s", cut, c.how)
	case c.lives == 0:
		f.Found = fmt.Sprintf("something on the way drops an idle WebSocket within %v, without a word", c.dies)
	default:
		f.Found = fmt.Sprintf("something on the way drops an idle WebSocket after %v to %v, without a word", c.lives, c.dies)
		cut = c.lives
	}
	want := max((cut * 2 / 5).Truncate(unit), unit)
	f.Settings = []string{"ping"}
	f.Change = fmt.Sprintf("set ping: %v at the server (--ping %v there: it tells its clients), or raise the time-out on the way; nginx: proxy_read_timeout 1h; haproxy: timeout tunnel 1h", want, want)
	if setting == "ping of this client" {
		f.Change = fmt.Sprintf("set --ping %v, or raise the time-out on the way; nginx: proxy_read_timeout 1h; haproxy: timeout tunnel 1h", want)
	}
	switch {
	case interval >= cut:
		f.Severity = Warning
		f.Means = fmt.Sprintf("the %s is %v: a tunnel in which nothing happens is cut before the next ping, again and again, and requests on it are lost", setting, interval)
	case pinged != nil && pinged.err == nil && !pinged.lives:
		f.Severity = Failure
		f.Means = fmt.Sprintf("pings every %v, as the %s has it, do not keep a tunnel alive: it was cut all the same", interval, setting)
		f.Change = "raise the time-out on the way (nginx: proxy_read_timeout 1h; haproxy: timeout tunnel 1h); if it does not count pings, no setting of adit helps"
	case 2*interval > cut:
		f.Severity = Warning
		f.Means = fmt.Sprintf("pings every %v, as the %s has it, keep a tunnel alive, but closely: they come up to a fifth later, and one that is late or lost ends it", interval, setting)
	default:
		f.Severity = Note
		f.Means = fmt.Sprintf("pings every %v, as the %s has it, keep a tunnel alive", interval, setting)
		f.Change, f.Settings = "", nil
	}
	return f
}
