package store

import (
	"errors"
	"testing"
	"time"

	"adit/engine"
)

type said string

func (s said) Content(into *engine.Content) bool {
	into.Response = engine.Part{Data: []byte(s), Size: int64(len(s))}
	return true
}

// Whoever looks at a stream that runs on must not lose it because a ring of
// requests went by.
func TestStreamThatTheRingPushedOutGoesOn(t *testing.T) {
	l := empty(8, 1<<20)
	stream, other := started(1), started(2)
	stream.Request.Arrived = time.Now().Add(-time.Hour)
	put(l, stream, other)
	live := stream.Request.Live
	var kept engine.Captured = said("data: 1")
	live.Captured.Store(&kept)
	for id := 3; id < 40; id++ {
		put(l, started(id), finished(id))
	}
	live.ResponseBytes.Store(77)
	live.Status.Store(200)
	live.Answered.Store(&engine.Answered{Client: "edge", Upgraded: true, Heads: &engine.Heads{Response: "upgrade: websocket\n"}})
	r, err := l.Request(t.Context(), 1)
	if err != nil || r.Live != live || r.ResponseBytes != 77 || r.Status != 200 || r.LastByte < time.Hour || r.Heads == nil || !r.Upgraded || r.Outcome != engine.OutcomeNone {
		t.Errorf("%+v, %v", r, err)
	}
	var c engine.Content
	if err := l.Content(t.Context(), 1, &c); err != nil || string(c.Response.Data) != "data: 1" {
		t.Errorf("content %q, %v", c.Response.Data, err)
	}
	if page := ask(t, l, engine.RequestQuery{}); page.Matched != 8 {
		t.Errorf("%d are listed", page.Matched)
	}

	put(l, finished(1))
	other.Request.Live.Over.Store(true)
	l.mu.Lock()
	l.distrust(false)
	l.mu.Unlock()
	for _, id := range []engine.RequestID{1, 2} {
		if r, err := l.Request(t.Context(), id); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("ended, or may have: %+v, %v", r, err)
		}
	}
	if n := len(l.ring.aloft); n > 0 {
		t.Errorf("%d are kept for ever", n)
	}
}

func TestStreamsThatTheRingPushedOutAreBounded(t *testing.T) {
	l := empty(8, 1<<20)
	for id := 1; id < 2*maxAloft; id++ {
		put(l, started(id))
	}
	if n := len(l.ring.aloft); n != maxAloft {
		t.Errorf("%d are kept", n)
	}
	l.mu.Lock()
	l.distrust(true)
	l.mu.Unlock()
	if n := len(l.ring.aloft); n > 0 {
		t.Errorf("%d at the end", n)
	}
}
