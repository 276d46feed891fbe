package origin

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"time"

	"adit/engine"
)

// maxAttempts bounds how often a request is tried of which nothing was sent.
const maxAttempts = 8

// An attempt is one RoundTrip. net/http calls its hooks.
type attempt struct {
	httptrace.ClientTrace
	start     time.Time
	connected time.Duration
	reused    bool
	conn      *conn     // nil until there is one
	tls       *tls.Conn // above it; nil: none
	written   int64     // by conn before this attempt
	content   *content
	shared    bool // conn is of HTTP/2: it carries other exchanges too

	mu      sync.Mutex
	over    bool  // Send has returned
	refusal error // of tell
	tell    func(status int, fields textproto.MIMEHeader) error
}

func (a *attempt) gotConn(info httptrace.GotConnInfo) {
	a.reused = info.Reused
	if !a.reused {
		a.connected = time.Since(a.start)
	}
	a.conn = below(info.Conn)
	if a.conn == nil {
		return
	}
	a.written = a.conn.written.Load()
	a.tls, _ = info.Conn.(*tls.Conn)
	switch {
	case a.shared:
	case a.content == nil:
		a.conn.sending.Store(nil)
	case a.tls == nil || a.tls.ConnectionState().NegotiatedProtocol != "h2":
		a.conn.sending.Store(a.content)
	}
}

func (a *attempt) got1xx(status int, header textproto.MIMEHeader) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return errStopped
	}
	a.refusal = a.tell(status, header)
	return a.refusal
}

// finish returns what the informed party refused with; net/http's HTTP/2 puts an
// error of its own in its place.
func (a *attempt) finish() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	return a.refusal
}

// nothingSent reports whether the request can be sent again: a kept connection
// turned out to be closed, no byte was written to it, and nothing was taken
// from the content.
func (a *attempt) nothingSent() bool {
	return a.reused && a.conn != nil && a.conn.written.Load() == a.written &&
		(a.content == nil || a.content.untouched())
}

// Send sends r and returns the final response head (or 101). An early response
// returns at once, whether or not Content was read to its end. Cancelling ctx ends
// the exchange, also while Content is read. Errors are *engine.Error:
// ReasonDenied (from Dial), ReasonOriginFailed, ReasonTimedOut, ReasonCallerGone
// (ctx); then r.Join. When Send's caller has closed Response.Content nothing
// reads Request.Content any more.
//
// A request is sent at most once: it is tried again only if no byte of it was
// written.
func (t *Transport) Send(ctx context.Context, r *Request) (*Response, error) {
	if r.Scheme == "http" || r.Scheme == "h2c" && r.Upgrade != "" {
		return t.http1.send(ctx, r)
	}
	return t.sendNetHTTP(ctx, r)
}

// sendNetHTTP is Send through net/http, which can do all.
func (t *Transport) sendNetHTTP(ctx context.Context, r *Request) (*Response, error) {
	via, scheme, err := t.pick(r)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	for try := 1; ; try++ {
		a := &attempt{start: start, shared: r.Scheme == "h2c" && r.Upgrade == ""}
		req := t.newRequest(r, scheme)
		a.content, _ = req.Body.(*content)
		r.content = a.content
		a.GotConn = a.gotConn
		if r.Informational != nil {
			a.tell = func(status int, header textproto.MIMEHeader) error {
				return r.Informational(status, fieldsOf(http.Header(header), nil, false))
			}
			a.Got1xxResponse = a.got1xx
		}
		resp, err := via.RoundTrip(req.WithContext(httptrace.WithClientTrace(ctx, &a.ClientTrace)))
		refusal := a.finish()
		if err == nil {
			if scheme == "https" && r.Upgrade == "" {
				t.learn(origin{r.Class, r.Address}, resp.ProtoMajor == 2)
			}
			return newResponse(ctx, r, a, resp)
		}
		if try < maxAttempts && ctx.Err() == nil && a.nothingSent() {
			continue
		}
		if refusal != nil {
			err = refusal
		}
		if errors.Is(err, errStopped) {
			if cause := a.content.stopCause(); cause != nil {
				err = cause
			}
		}
		return nil, classify(ctx, "send request", err)
	}
}

func newResponse(ctx context.Context, r *Request, a *attempt, resp *http.Response) (*Response, error) {
	out := &Response{
		Status:    resp.StatusCode,
		Connected: a.connected,
		FirstByte: time.Since(a.start),
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		stream, ok := resp.Body.(io.Reader)
		if !ok || r.Upgrade == "" || a.conn == nil {
			resp.Body.Close()
			return nil, engine.Fail("read response", engine.ReasonOriginFailed,
				errors.New("101 to a request without upgrade"))
		}
		out.Fields = fieldsOf(resp.Header, nil, true)
		out.Content = http.NoBody
		out.Raw = newUpgraded(stream, a)
		return out, nil
	}
	out.Fields = fieldsOf(resp.Header, resp.Trailer, false)
	content := &responseContent{ctx: ctx, r: r, body: resp.Body}
	out.Content = content
	switch {
	case r.Method == http.MethodHead, resp.StatusCode == http.StatusNoContent,
		resp.StatusCode == http.StatusNotModified, resp.Body == http.NoBody:
		content.none = true
	default:
		out.Length = resp.ContentLength
		out.Trailers = func() []field { return trailersOf(resp.Trailer) }
	}
	return out, nil
}

// newUpgraded takes the connection over from net/http, which has buffered the
// first bytes of the other protocol and gives the rest up.
func newUpgraded(stream io.Reader, a *attempt) *raw {
	a.conn.sending.Store(nil)
	c := net.Conn(a.conn)
	if a.tls != nil {
		c = a.tls
	}
	return &raw{Reader: stream, conn: c}
}

// responseContent joins the request's content when it is closed, and names its
// errors.
type responseContent struct {
	ctx  context.Context
	r    *Request
	body io.ReadCloser
	none bool // there can't be any, whatever content-length says (RFC 9110 §6.4.1)
}

func (c *responseContent) Read(p []byte) (int, error) {
	if c.none {
		return 0, io.EOF
	}
	n, err := c.body.Read(p)
	if err == nil || err == io.EOF && c.ctx.Err() == nil {
		return n, err
	}
	// An origin that saw the cancel may have ended its answer because of it:
	// that is no true end.
	return n, classify(c.ctx, "read response", err)
}

func (c *responseContent) Close() error {
	if c.r.content != nil {
		// net/http may wait for its own reader of the content.
		c.r.content.stop(nil)
	}
	err := c.body.Close()
	c.r.Join()
	return err
}

// classify makes err an *engine.Error: a reason that a lower layer gave stays.
func classify(ctx context.Context, op string, err error) error {
	var own *engine.Error
	if errors.As(err, &own) {
		return own
	}
	if ctx.Err() != nil {
		cause := context.Cause(ctx)
		switch {
		case errors.As(cause, &own):
			return own
		case errors.Is(cause, context.DeadlineExceeded):
			return engine.Fail(op, engine.ReasonTimedOut, cause)
		}
		return engine.Fail(op, engine.ReasonCallerGone, cause)
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return engine.Fail(op, engine.ReasonTimedOut, err)
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return engine.Fail(op, engine.ReasonOriginFailed, err)
}
