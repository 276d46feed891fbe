package control

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"adit/engine"
	"adit/engine/filter"
)

// Bounds of a stream of deltas.
const (
	soonestDelta = 100 * time.Millisecond
	latestDelta  = time.Second // however much there is to say
	latestUnix   = soonestDelta * 5 / 2
	longestAsked = 2 * time.Second // a silence that long is no sign of a dead link yet
	budget       = 17_000          // bytes a second for deltas, as they go over the wire
)

// A lines writes lines to one who may not read.
type lines struct {
	control *http.ResponseController
	zip     *gzip.Writer // nil: not compressed
	out     io.Writer
	written int // bytes since the last reset, as they go over the wire
}

// errFellBehind ends a stream whose reader is too slow.
var errFellBehind = errors.New("fell behind")

// newLines begins an answer that does not end by itself.
func newLines(x *exchange) *lines {
	l := &lines{control: http.NewResponseController(x.w), out: x.w}
	// Reading on is how net/http learns that the other end has left.
	_ = l.control.SetReadDeadline(time.Time{})
	h := x.w.Header()
	h.Set("Content-Type", "application/x-ndjson")
	h.Set("X-Accel-Buffering", "no")
	if takesGzip(x.r) {
		h.Set("Content-Encoding", "gzip")
		h.Add("Vary", "Accept-Encoding")
		l.zip = zippers.Get().(*gzip.Writer)
		l.zip.Reset(l)
	}
	return l
}

// Write counts; it is what the compressor writes to.
func (l *lines) Write(b []byte) (int, error) {
	n, err := l.out.Write(b)
	l.written += n
	return n, err
}

// send writes what are whole lines and waits for at most twice as long as a
// reader may take: who took longer than that, but came back, is told why it ends.
func (l *lines) send(b []byte) error {
	begun := time.Now()
	_ = l.control.SetWriteDeadline(begun.Add(2 * writeWait))
	if err := l.put(b); err != nil {
		return err
	}
	if time.Since(begun) <= writeWait {
		return nil
	}
	_ = l.control.SetWriteDeadline(time.Now().Add(writeWait / 2))
	if err := l.put([]byte(`{"kind":"fell_behind"}` + "\n")); err != nil {
		return err
	}
	return errFellBehind
}

func (l *lines) put(b []byte) error {
	if l.zip == nil {
		if _, err := l.Write(b); err != nil {
			return err
		}
	} else {
		if _, err := l.zip.Write(b); err != nil {
			return err
		}
		if err := l.zip.Flush(); err != nil {
			return err
		}
	}
	return l.control.Flush()
}

func (l *lines) close() {
	if l.zip != nil {
		_ = l.control.SetWriteDeadline(time.Now().Add(writeWait / 2))
		_ = l.zip.Close()
		l.zip.Reset(nil)
		zippers.Put(l.zip)
		l.zip = nil
	}
}

// enter takes one of the places for streams; leave gives it back.
func (s *Server) enter() (leave func(), err error) {
	if s.streams.Add(1) > maxStreams {
		s.streams.Add(-1)
		return nil, fail(http.StatusServiceUnavailable, "%d streams are open, and there are no more; end one of them", maxStreams)
	}
	return func() { s.streams.Add(-1) }, nil
}

// parseKinds reads a set of kinds: its name, or those of kinds.
func parseKinds(text string, otherwise engine.Kinds) (engine.Kinds, error) {
	switch text {
	case "":
		return otherwise, nil
	case "all":
		return engine.KindsAll, nil
	case "requests":
		return engine.KindsRequests, nil
	case "lifecycle":
		return engine.KindsLifecycle, nil
	}
	var set engine.Kinds
	for name := range strings.SplitSeq(text, ",") {
		k := kindNamed(strings.TrimSpace(name))
		if k == 0 {
			return 0, fail(http.StatusBadRequest, "kinds=%s: want all, requests, lifecycle, or kinds of events with commas", engine.Bound(name))
		}
		set |= engine.KindSet(k)
	}
	return set, nil
}

// stream feeds a dashboard: who this is, everything, then what changes, and events.
func (s *Server) stream(x *exchange) error {
	interval := soonestDelta
	if text := x.query("interval"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			return fail(http.StatusBadRequest, "interval=%s: want a duration like 100ms", engine.Bound(text))
		}
		interval = min(max(d, soonestDelta), longestAsked)
	}
	kinds, err := parseKinds(x.query("kinds"), engine.KindsLifecycle)
	if err != nil {
		return err
	}
	heads, err := x.flag("heads")
	if err != nil {
		return err
	}
	dashboard, err := x.flag("dashboard")
	if err != nil {
		return err
	}
	since, err := x.number("since", math.MaxUint64)
	if err != nil {
		return err
	}
	sel := &selection{s: s, subject: filter.Requests}
	if sel.filter, err = filter.Parse(filter.Requests, x.query("filter")); err != nil {
		return err
	}
	if err := x.by.mayFilter(sel.filter); err != nil {
		return err
	}
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithCancel(x.r.Context())
	defer cancel()
	// First, so that nothing falls between: what comes before the snapshot is both
	// told and counted, as missed at most.
	batches, err := s.o.Engine.Subscribe(ctx, engine.SubscribeOptions{Kinds: kinds, Heads: heads || sel.filter.Needs()&filter.NeedsHeads != 0})
	if err != nil {
		return err
	}
	snap, err := s.take(ctx)
	if err != nil {
		return err
	}
	if dashboard {
		s.attached.Add(1)
		defer s.attached.Add(-1)
	}

	f := &feeder{s: s, begun: time.Now(), lines: newLines(x), by: x.by, heads: heads, requests: sel, interval: interval, latest: latestDelta}
	if p, ok := ctx.Value(peerKey{}).(*peer); ok && p.unix {
		f.latest = latestUnix
	}
	defer f.lines.close()
	if x.query("instance") != snap.Instance {
		since = 0 // of a process that is gone
	}
	if err := f.hello(snap, since); err == nil {
		f.run(ctx, batches)
	}
	return nil
}

// A feeder serves one stream.
type feeder struct {
	s        *Server
	begun    time.Time
	lines    *lines
	by       operator
	heads    bool       // of requests, are wanted
	requests *selection // those that are wanted
	interval time.Duration
	latest   time.Duration
	encoder  encoder
	now, was engine.Snapshot
	told     bool // was is what the other end knows
	attached int
}

// hello says who this is, and how many events came after one: of all kinds, and
// without those of requests.
func (f *feeder) hello(snap *engine.Snapshot, since uint64) error {
	e := &f.encoder
	e.b = append(e.b[:0], `{"hello":{`...)
	f.s.identity(e, snap, f.by)
	e.uint("seq", snap.Seq, 0)
	e.uint("missed", snap.Seq-min(since, snap.Seq), 0)
	e.uint("missed_lifecycle", f.s.ledger.after(since), 0)
	e.int("interval_us", f.interval.Microseconds(), 0)
	e.raw("}}\n")
	return f.lines.send(e.b)
}

func (f *feeder) run(ctx context.Context, batches <-chan engine.Batch) {
	var pause time.Duration // the first delta is everything, and due at once
	t := time.NewTimer(pause)
	defer t.Stop()
	for {
		select {
		case b, open := <-batches:
			if !open {
				if ctx.Err() == nil && f.delta(ctx) == nil {
					_ = f.lines.send([]byte(`{"end":{"reason":"the engine has ended"}}` + "\n"))
				}
				return
			}
			if f.events(ctx, b) != nil {
				return
			}
		case <-t.C:
			f.lines.written = 0
			begun := time.Now()
			if f.delta(ctx) != nil {
				return
			}
			// What it costs is bounded too: of 10,000 connections, to 1/20.
			pause = max(time.Duration(f.lines.written)*time.Second/budget, 20*time.Since(begun))
			t.Reset(min(max(pause, f.interval), max(f.latest, f.interval)))
		case <-ctx.Done():
			return
		}
	}
}

// delta sends what has changed; something always has, if only the time.
func (f *feeder) delta(ctx context.Context) error {
	if err := f.s.takeInto(ctx, &f.now); err != nil {
		return err
	}
	f.encoder.elapsed = time.Since(f.begun)
	var before *engine.Snapshot
	if f.told {
		before = &f.was
	}
	attached := -1
	if n := f.s.Attached(); n != f.attached || !f.told {
		attached, f.attached = n, n
	}
	if err := f.encoder.delta(&f.now, before, attached, func(line []byte) error {
		return f.lines.send(append(line, '\n'))
	}); err != nil {
		return err
	}
	f.now, f.was, f.told = f.was, f.now, true
	return nil
}

// events sends a batch, in lines of a bounded length.
func (f *feeder) events(ctx context.Context, b engine.Batch) error {
	e := &f.encoder
	dropped := b.Dropped
	for {
		e.compare = false
		e.b = append(e.b[:0], `{"events":[`...)
		n := 0
		for n < len(b.Events) && len(e.b) < maxChunk {
			v := &b.Events[n]
			n++
			if v.Request != nil && !f.requests.filter.Empty() && !f.requests.takes(ctx, v) {
				continue
			}
			e.item()
			e.event(v, f.heads, !f.by.readOnly)
		}
		last := len(b.Events) == n
		b.Events = b.Events[n:]
		if e.last() == '[' && dropped == 0 {
			if last {
				return nil
			}
			continue
		}
		e.raw("]")
		if dropped > 0 {
			e.raw(`,"dropped":` + strconv.FormatUint(dropped, 10))
			dropped = 0
		}
		e.raw("}\n")
		if err := f.lines.send(e.b); err != nil || last {
			return err
		}
	}
}

// maxLedger is how many events are counted for those who come back.
const maxLedger = 4096

// A ledger knows which events there were, but those of requests: who comes back
// after its link was lost is told how many it has missed.
type ledger struct {
	mu     sync.Mutex
	seqs   []uint64 // ascending
	before uint64   // that are no longer in seqs
}

// follow counts until the server or the engine ends.
func (l *ledger) follow(s *Server) {
	if s.o.Engine == nil {
		return
	}
	batches, err := s.o.Engine.Subscribe(s.ctx, engine.SubscribeOptions{Kinds: engine.KindsLifecycle, Slots: 1024})
	if err != nil {
		return // it has ended
	}
	s.wg.Go(func() {
		for b := range batches {
			l.add(b)
		}
	})
}

func (l *ledger) add(b engine.Batch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.before += b.Dropped
	for i := range b.Events {
		l.seqs = append(l.seqs, b.Events[i].Seq)
	}
	if over := len(l.seqs) - maxLedger; over > 0 {
		l.before += uint64(over)
		l.seqs = append(l.seqs[:0], l.seqs[over:]...)
	}
}

// after returns how many events came after one.
func (l *ledger) after(seq uint64) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, found := slices.BinarySearch(l.seqs, seq)
	if found {
		i++
	}
	n := uint64(len(l.seqs) - i)
	if i == 0 && seq == 0 {
		n += l.before
	}
	return n
}
