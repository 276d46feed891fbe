package server

import (
	"time"

	"adit/engine/limit"
)

// headMark is what net/http holds for the time that a request head may take. It
// asks for deadlines so far away, by which callerConn knows what they are for and
// takes the time that is in force.
const headMark = 200 * 365 * 24 * time.Hour

// headTooBig is what net/http writes, with no handler, where a head is longer than
// MaxHeaderBytes. Every answer of a handler has a Date.
const headTooBig = "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: text/plain; charset=utf-8\r\n" +
	"Connection: close\r\n\r\n431 Request Header Fields Too Large"

// ofHead returns the deadline that t stands for, and whether it is for a head.
func (c *callerConn) ofHead(t time.Time) (time.Time, bool) {
	if t.IsZero() || t.Sub(c.epoch) < headMark/2 {
		return t, false
	}
	return t.Add(c.s.live().Caps.HeaderTimeout - headMark), true
}

// inForce returns the read deadline that t stands for; under mu. That between
// requests is what net/http was given when the server was made, moved by what has
// changed since.
func (c *callerConn) inForce(t time.Time) time.Time {
	if t.IsZero() {
		c.heading = false
		return t
	}
	if t, c.heading = c.ofHead(t); !c.heading && c.idle {
		t = t.Add(c.s.live().Caps.KeepAlive - c.s.o.Caps.KeepAlive)
	}
	c.idle = false
	return t
}

// rest says that a request is over and none has begun.
func (c *callerConn) rest() {
	c.mu.Lock()
	c.idle, c.begun = true, false
	c.mu.Unlock()
}

// reached tells of a limit that this caller has run into.
func (c *callerConn) reached(id limitID, why string) {
	c.s.limits.reached(id, "", limit.KeyOf(addressOf(c.RemoteAddr())), why)
}
