package origin

import (
	"errors"
	"io"
	"net/http"
	"net/textproto"
	"sync"

	"golang.org/x/net/http/httpguts"
)

const contentBuffer = 32 << 10

var errStopped = errors.New("the origin takes no more content")

// content is a request's content as net/http reads it. A goroutine of its own
// reads the source, because a source that waits for the caller must not hold up
// the end of the exchange: net/http returns no error before its own reader has
// returned.
type content struct {
	t       *Transport
	r       *Request
	trailer http.Header // filled at EOF; nil: none can be sent

	mu      sync.Mutex
	changed sync.Cond
	started bool   // the goroutine runs or ran: something was taken from the source
	done    bool   // it has returned
	piece   []byte // read and not yet taken; the goroutine waits until it is empty
	err     error  // after piece: io.EOF, or why the source ended
	parked  bool   // the origin's socket is broken for writing
	stopped bool
	cause   error // why it was stopped
}

func newContent(t *Transport, r *Request, trailer http.Header) *content {
	c := &content{t: t, r: r, trailer: trailer}
	c.changed.L = &c.mu
	return c
}

// Read begins the goroutine at the first call: until then nothing is taken,
// which 100 Continue and a second attempt need.
func (c *content) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.started && !c.stopped && !c.parked {
		c.started = true
		go c.pump()
	}
	for !c.stopped && (c.parked || len(c.piece) == 0 && c.err == nil) {
		c.changed.Wait()
	}
	if c.stopped {
		return 0, errStopped
	}
	if len(c.piece) == 0 {
		if c.err == io.EOF {
			c.addTrailers()
		}
		return 0, c.err
	}
	n := copy(p, c.piece)
	c.piece = c.piece[n:]
	if len(c.piece) == 0 {
		c.changed.Broadcast()
	}
	return n, nil
}

// pump reads the source until it ends or the content is stopped.
func (c *content) pump() {
	buf := c.t.buffers.Get().(*[contentBuffer]byte)
	for {
		n, err := c.r.Content.Read(buf[:])
		c.mu.Lock()
		c.piece, c.err = buf[:n], err
		c.changed.Broadcast()
		for len(c.piece) > 0 && !c.stopped {
			c.changed.Wait()
		}
		if err != nil || c.stopped {
			c.piece = nil
			c.done = true
			c.changed.Broadcast()
			c.mu.Unlock()
			c.t.buffers.Put(buf)
			return
		}
		c.mu.Unlock()
	}
}

// addTrailers is called once, at EOF, on the goroutine that then writes the
// trailer section.
func (c *content) addTrailers() {
	if c.trailer == nil || c.r.Trailers == nil {
		return
	}
	for _, f := range c.r.Trailers() {
		if httpguts.ValidTrailerHeader(f.Name) {
			c.trailer.Add(textproto.CanonicalMIMEHeaderKey(f.Name), f.Value)
		}
	}
	c.r.Trailers, c.trailer = nil, nil
}

// park makes Read wait until stop.
func (c *content) park() {
	c.mu.Lock()
	c.parked = true
	c.changed.Broadcast()
	c.mu.Unlock()
}

// stop makes Read return; the first cause stays.
func (c *content) stop(cause error) {
	c.mu.Lock()
	if !c.stopped {
		c.stopped = true
		c.cause = cause
		c.changed.Broadcast()
	}
	c.mu.Unlock()
}

// Close is net/http's way to stop.
func (c *content) Close() error {
	c.stop(nil)
	return nil
}

// untouched reports whether nothing was taken from the source; nothing will be.
func (c *content) untouched() bool {
	c.stop(nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.started
}

func (c *content) stopCause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// join stops, closes the source unless it has ended, and waits for the goroutine. That
// may have returned before, with a piece that nobody took: its source goes on.
func (c *content) join() {
	c.stop(nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	if closer, ok := c.r.Content.(io.Closer); ok && c.err != io.EOF {
		c.mu.Unlock()
		closer.Close()
		c.mu.Lock()
	}
	for c.started && !c.done {
		c.changed.Wait()
	}
}

// nothing is the content of a request without any. Being neither nil nor
// http.NoBody it keeps net/http from sending the request a second time after
// the origin may have seen it (R2); WriteTo keeps it from using a buffer.
type nothing struct{}

func (nothing) Read([]byte) (int, error)         { return 0, io.EOF }
func (nothing) WriteTo(io.Writer) (int64, error) { return 0, nil }
func (nothing) Close() error                     { return nil }
