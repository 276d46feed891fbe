package observe

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	"adit/engine"
)

// Totals counts what ended in this process. Its methods may be called from any
// goroutine. The zero value is ready.
type Totals struct {
	requests            requests
	bytesIn, bytesOut   atomic.Uint64
	framesIn, framesOut frames

	mu     sync.Mutex          // a leaf
	closes []engine.CloseCount // in order of code
}

type frames struct {
	text, binary, continuation, close, ping, pong atomic.Uint64
}

// RequestEnded counts a request. Of its record it needs Way, Status, Outcome and
// the waterfall.
func (t *Totals) RequestEnded(r *engine.Request) { t.requests.add(r) }

// StatusClass returns status / 100, 0 for what is below 100. What is above 599
// counts as 5 (RFC 9110 §15).
func StatusClass(status int) int { return min(max(status, 0)/100, 5) }

// ConnectionEnded adds the traffic of a connection that ended, and its code.
func (t *Totals) ConnectionEnded(tr engine.Traffic, code engine.CloseCode) {
	t.closed(code)
	t.bytesIn.Add(tr.BytesIn)
	t.bytesOut.Add(tr.BytesOut)
	t.framesIn.add(tr.FramesIn)
	t.framesOut.add(tr.FramesOut)
}

// maxCloses bounds the close codes that are told apart: peers choose them.
const maxCloses = 32

// closed counts a close code, under 0 where it would be one too many.
func (t *Totals) closed(code engine.CloseCode) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, known := t.findClose(code)
	if !known && len(t.closes) >= maxCloses-1 {
		code = 0
		i, known = t.findClose(code)
	}
	if !known {
		t.closes = slices.Insert(t.closes, i, engine.CloseCount{Code: code})
	}
	t.closes[i].Count++
}

func (t *Totals) findClose(code engine.CloseCode) (int, bool) {
	return slices.BinarySearchFunc(t.closes, code, func(c engine.CloseCount, code engine.CloseCode) int {
		return cmp.Compare(c.Code, code)
	})
}

// Closes appends how often connections ended with which code, in order of code,
// to into.
func (t *Totals) Closes(into []engine.CloseCount) []engine.CloseCount {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append(into, t.closes...)
}

// Load returns the sums; whoever takes a snapshot adds the open connections.
// Failed is never above Requests, which is the sum of Statuses.
func (t *Totals) Load() engine.Totals {
	sum := engine.Totals{
		BytesIn:   t.bytesIn.Load(),
		BytesOut:  t.bytesOut.Load(),
		FramesIn:  t.framesIn.load(),
		FramesOut: t.framesOut.load(),
	}
	sum.Statuses, sum.Failed = t.requests.statuses()
	for _, n := range sum.Statuses {
		sum.Requests += n
	}
	return sum
}

func (f *frames) add(n engine.Frames) {
	f.text.Add(n.Text)
	f.binary.Add(n.Binary)
	f.continuation.Add(n.Continuation)
	f.close.Add(n.Close)
	f.ping.Add(n.Ping)
	f.pong.Add(n.Pong)
}

func (f *frames) load() engine.Frames {
	return engine.Frames{
		Text:         f.text.Load(),
		Binary:       f.binary.Load(),
		Continuation: f.continuation.Load(),
		Close:        f.close.Load(),
		Ping:         f.ping.Load(),
		Pong:         f.pong.Load(),
	}
}
