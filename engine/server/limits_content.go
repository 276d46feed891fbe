package server

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"adit/engine"
)

// callerReached tells of a limit that the caller of c has run into.
func (c *call) callerReached(id limitID, why string) {
	key, _ := c.s.keyOf(c.rec.Caller)
	c.s.limits.reached(id, "", key, why)
}

// headTooBig says what is too big of the head that was made for c; "" nothing.
// The bytes are bounded by net/http already, by what was in force when the server
// was made: they are counted where it is less now.
func (s *Server) headTooBig(c *call) string {
	caps := &s.live().Caps
	if n := c.sent.fields; caps.HeaderFields > 0 && n > caps.HeaderFields {
		text := fmt.Sprintf("the request head has %d fields: at most %d pass", n, caps.HeaderFields)
		c.callerReached(limitHeaderFields, text)
		return text
	}
	if caps.HeaderBytes >= s.o.Caps.HeaderBytes {
		return ""
	}
	n := len(c.sent.Method) + len(c.sent.Path)
	for _, f := range c.sent.Fields[:c.sent.fields] {
		n += len(f.Name) + len(f.Value) + len(": \r\n")
	}
	if n > caps.HeaderBytes {
		text := fmt.Sprintf("the request head has %d bytes: at most %d pass", n, caps.HeaderBytes)
		c.callerReached(limitHeaderBytes, text)
		return text
	}
	return ""
}

// headDidNotPass tells of a head that is within our bounds but not within those
// of the tunnel.
func (s *Server) headDidNotPass(c *call) {
	id := limitHeaderBytes
	if c.sent.fields > 200 {
		id = limitHeaderFields
	}
	c.callerReached(id, explain(engine.ReasonHeadTooBig))
}

// contentTooBig says why content whose length is told is not taken; "" it is.
func (s *Server) contentTooBig(r *http.Request, c *call) string {
	most := s.live().Caps.Body
	if most <= 0 || r.ContentLength <= most {
		return ""
	}
	text := tooMuchContent(most)
	c.callerReached(limitBody, text)
	return text
}

func tooMuchContent(most int64) string {
	return fmt.Sprintf("the content is too big: at most %d bytes are taken", most)
}

// tooBig reports whether n bytes more are too many, and ends the exchange then:
// the origin gets no end, and so does not take a part for the whole.
func (u *upload) tooBig(n int) bool {
	most := u.c.s.live().Caps.Body
	if most <= 0 || u.n+int64(n) <= most {
		return false
	}
	u.c.callerReached(limitBody, tooMuchContent(most))
	u.fail(engine.ReasonContentTooBig, "content too big")
	return true
}

// A stallWatch ends a stream of HTTP/2 where a call that waits for its caller
// takes longer than Caps.Stall; callerConn does it for a whole connection, which
// is what HTTP/1 needs. The deadlines of net/http would do as well for streams
// that never pause: they run on between two calls. nil watches nothing.
type stallWatch struct {
	stall time.Duration
	fire  func()

	mu     sync.Mutex
	timer  *time.Timer
	begun  time.Time
	on     bool
	closed bool
	fired  bool
}

// newStallWatch watches writes of an answer.
func newStallWatch(c *call, w http.ResponseWriter, r *http.Request) *stallWatch {
	if r.ProtoMajor != 2 {
		return nil
	}
	return &stallWatch{stall: c.s.live().Caps.Stall, fire: func() {
		c.callerReached(limitStall, "a caller does not take what is sent to it")
		http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0))
	}}
}

// newReadWatch watches reads of content.
func newReadWatch(c *call, w http.ResponseWriter, r *http.Request) *stallWatch {
	return &stallWatch{stall: c.s.live().Caps.Stall, fire: func() { pastReadDeadline(w) }}
}

// begin says that a call begins.
func (x *stallWatch) begin() {
	if x == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.on, x.begun = true, time.Now()
	if x.timer == nil {
		x.timer = time.AfterFunc(x.stall, x.expired)
	} else {
		x.timer.Reset(x.stall)
	}
}

// end says that it has returned.
func (x *stallWatch) end() {
	if x == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.on = false
	if x.timer != nil {
		x.timer.Stop()
	}
}

func (x *stallWatch) expired() {
	x.mu.Lock()
	defer x.mu.Unlock()
	// It may be late: of a call that has returned, while the next one runs.
	if x.on && !x.closed && time.Since(x.begun) >= x.stall {
		x.fired = true
		x.fire() // a stream that its handler has left must not be touched
	}
}

func (x *stallWatch) hasFired() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.fired
}

// close ends the watch, before the handler returns.
func (x *stallWatch) close() {
	if x == nil {
		return
	}
	x.end()
	x.mu.Lock()
	x.closed = true
	x.mu.Unlock()
}
