package tunnel

import (
	"context"
	"sync"
	"time"
)

// An incomingContext is the context of an [Incoming]. It is a part of it, makes
// its channel only for who asks, and knows AfterFunc, which package context
// looks for: with context.WithCancel each request cost six allocations and a
// lock that all of a connection share.
type incomingContext struct {
	prev, next *incomingContext // in the connection's list, guarded by its mutex

	mu    sync.Mutex
	err   error
	done  chan struct{} // nil: nobody has asked
	calls []*endCall
	room  [1]*endCall
	first endCall
}

// An endCall is what AfterFunc was given.
type endCall struct {
	c *incomingContext
	f func() // nil: stopped, or on its way
}

var _ context.Context = (*incomingContext)(nil)

func (c *incomingContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (c *incomingContext) Value(any) any               { return nil }

func (c *incomingContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
		}
	}
	return c.done
}

func (c *incomingContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// AfterFunc is [context.AfterFunc] for this context.
func (c *incomingContext) AfterFunc(f func()) (stop func() bool) {
	call := &c.first
	c.mu.Lock()
	defer c.mu.Unlock()
	if call.c != nil {
		call = new(endCall)
	}
	call.c = c
	if c.err != nil {
		go f()
		return call.stop
	}
	call.f = f
	if c.calls == nil {
		c.calls = c.room[:0]
	}
	c.calls = append(c.calls, call)
	return call.stop
}

// stop takes the call back and reports whether it was not made yet.
func (k *endCall) stop() bool {
	k.c.mu.Lock()
	defer k.c.mu.Unlock()
	waiting := k.f != nil
	k.f = nil
	return waiting
}

// end cancels the context. It does not wait for what it calls.
func (c *incomingContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = context.Canceled
	if c.done != nil {
		close(c.done)
	}
	for _, call := range c.calls {
		if f := call.f; f != nil {
			call.f = nil
			go f()
		}
	}
	c.calls = nil
}

// A contextList has the contexts of the handlers that run; the conn's mutex
// guards it. The zero value is empty.
type contextList struct{ first *incomingContext }

func (r *contextList) add(c *incomingContext) {
	if c.next = r.first; c.next != nil {
		c.next.prev = c
	}
	r.first = c
}

func (r *contextList) remove(c *incomingContext) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		r.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
}

// all returns the contexts.
func (r *contextList) all() []*incomingContext {
	var all []*incomingContext
	for c := r.first; c != nil; c = c.next {
		all = append(all, c)
	}
	return all
}
