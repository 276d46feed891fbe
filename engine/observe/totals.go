package observe

import (
	"sync/atomic"

	"adit/engine"
)

// Totals counts what ended in this process. Its methods may be called from any
// goroutine. The zero value is ready.
type Totals struct {
	requests, failed    atomic.Uint64
	bytesIn, bytesOut   atomic.Uint64
	framesIn, framesOut frames
}

type frames struct {
	text, binary, continuation, close, ping, pong atomic.Uint64
}

// RequestEnded counts a request.
func (t *Totals) RequestEnded(o engine.Outcome) {
	t.requests.Add(1)
	if o != engine.OutcomeCompleted {
		t.failed.Add(1)
	}
}

// ConnectionEnded adds the traffic of a connection that ended.
func (t *Totals) ConnectionEnded(tr engine.Traffic) {
	t.bytesIn.Add(tr.BytesIn)
	t.bytesOut.Add(tr.BytesOut)
	t.framesIn.add(tr.FramesIn)
	t.framesOut.add(tr.FramesOut)
}

// Load returns the sums; whoever takes a snapshot adds the open connections.
// Failed is never above Requests.
func (t *Totals) Load() engine.Totals {
	failed := t.failed.Load() // first: it is counted last
	return engine.Totals{
		Requests:  t.requests.Load(),
		Failed:    failed,
		BytesIn:   t.bytesIn.Load(),
		BytesOut:  t.bytesOut.Load(),
		FramesIn:  t.framesIn.load(),
		FramesOut: t.framesOut.load(),
	}
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
