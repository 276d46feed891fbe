package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"adit/engine"
	"adit/engine/egress"
	"adit/engine/wire"
)

const (
	wholeBuffer = wire.ProbeMessage + 64 // a message is one frame
	pieceBuffer = 4 << 10                // a message is many
	shownBody   = 120                    // bytes of what an answer says that are shown
)

// An opened is what an opening handshake has come to.
type opened struct {
	ws        *websocket.Conn // nil: none
	local     net.Addr
	status    int // of the answer; 0: there was none
	header    http.Header
	body      string // its first KiB
	err       error
	sent, got time.Time
}

// open performs an opening handshake as a client would, with its credential, and
// offers a probe, and the native protocol to tell older servers from others. Where
// the certificate does not hold nothing is sent. Bound: three steps.
func (w *way) open(ctx context.Context, to *url.URL, buffer int) *opened {
	ctx, cancel := context.WithTimeout(ctx, 3*w.c.o.pace.step)
	defer cancel()
	o := &opened{}
	var head *boundedHead
	stop := func() bool { return true }
	dial := func(ctx context.Context, _, addr string, secure bool) (net.Conn, error) {
		c, err := w.at(addr).conn(ctx)
		if err != nil {
			return nil, err
		}
		// The library heeds only the deadline of its context.
		stop = context.AfterFunc(ctx, func() { _ = c.Close() })
		o.local = c.LocalAddr()
		if secure {
			s := tls.Client(c, w.tlsConfig())
			if err := s.HandshakeContext(ctx); err != nil {
				_ = c.Close()
				return nil, err
			}
			c = s
		}
		head = &boundedHead{Conn: c}
		head.left.Store(maxHead)
		o.sent = time.Now()
		return head, nil
	}
	d := websocket.Dialer{
		NetDialContext:    func(ctx context.Context, n, a string) (net.Conn, error) { return dial(ctx, n, a, false) },
		NetDialTLSContext: func(ctx context.Context, n, a string) (net.Conn, error) { return dial(ctx, n, a, true) },
		Subprotocols:      []string{wire.ProbeSubprotocol, wire.Subprotocol},
		ReadBufferSize:    4 << 10, WriteBufferSize: buffer,
	}
	header := http.Header{"User-Agent": {w.c.o.UserAgent}}
	if w.c.o.Secret != "" {
		header.Set("X-Secret-Key", w.c.o.Secret)
	}
	defer func() { stop() }() // before cancel
	var resp *http.Response
	o.ws, resp, o.err = d.DialContext(ctx, to.String(), header)
	o.got = time.Now()
	end, _ := ctx.Deadline()
	switch {
	case o.err == nil || resp != nil:
	case ctx.Err() != nil:
		// Closing it was our own doing, whatever the library makes of half an answer.
		o.err = ctx.Err()
	case !o.got.Before(end):
		// The socket, whose deadline it is too, was told first.
		o.err = context.DeadlineExceeded
	case head != nil && head.left.Load() == 0:
		o.err = errLongHead
	}
	if resp != nil {
		o.status, o.header = resp.StatusCode, w.hideIn(resp.Header)
		if o.err != nil {
			text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
			o.body = w.hide(string(text))
		}
	}
	if o.ws != nil {
		head.left.Store(-1)
		o.ws.SetReadLimit(2 * wire.ProbeMessage)
		_ = o.ws.SetReadDeadline(time.Now().Add(w.c.o.pace.step))
	}
	return o
}

// at returns the way to another port of the same server.
func (w *way) at(addr string) *way {
	if addr == w.address {
		return w
	}
	other := *w
	other.address = addr
	return &other
}

var errLongHead = errors.New("the answer to the opening handshake is too long")

// boundedHead refuses more bytes than left while that is not negative.
type boundedHead struct {
	net.Conn
	left atomic.Int64
}

func (b *boundedHead) Read(p []byte) (int, error) {
	left := b.left.Load()
	if left == 0 {
		return 0, errLongHead
	}
	if left > 0 && int64(len(p)) > left {
		p = p[:left]
	}
	n, err := b.Conn.Read(p)
	if left > 0 {
		b.left.CompareAndSwap(left, left-int64(n))
	}
	return n, err
}

// isAdit reports whether an answer is one of adit's own.
func (o *opened) isAdit() bool {
	return strings.HasPrefix(o.header.Get("Proxy-Status"), "adit;") || strings.Contains(strings.Join(o.header.Values("Www-Authenticate"), " "), `realm="adit"`) ||
		strings.HasPrefix(o.body, "/register wants a websocket handshake") || strings.HasPrefix(o.body, "nothing is here: send GET /request")
}

// says quotes what the answer says, cut.
func (o *opened) says() string {
	text := strings.Join(strings.Fields(o.body), " ")
	if len(text) > shownBody {
		text = strings.ToValidUTF8(text[:shownBody], "") + "…"
	}
	if text == "" {
		return ""
	}
	return ", and says " + quoted(text)
}

// by names what answered, as far as it says so.
func (o *opened) by() string {
	for _, name := range []string{"Server", "Via"} {
		if v := o.header.Get(name); v != "" {
			return " (" + name + ": " + engine.Bound(v) + ")"
		}
	}
	return ""
}

// stripped reports whether the server was asked for a page although a handshake was
// sent.
func (o *opened) stripped() bool {
	body := strings.ToLower(o.body)
	return o.status == http.StatusUpgradeRequired ||
		o.status == http.StatusBadRequest && (strings.Contains(body, "websocket") || strings.Contains(body, "upgrade"))
}

// judge says why an opening handshake failed. The cause comes first.
func (w *way) judge(o *opened) Finding {
	f := Finding{Check: "websocket", Severity: Failure, Took: o.got.Sub(o.sent)}
	if o.status == 0 {
		w.judgeSilence(&f, o.err)
		return f
	}
	adit := o.isAdit()
	answer := fmt.Sprintf("%d %s", o.status, http.StatusText(o.status))
	switch {
	case o.status == http.StatusSwitchingProtocols && len(o.header.Values("Sec-Websocket-Extensions")) > 0:
		f.extended(o)
	case o.status == http.StatusSwitchingProtocols:
		f.Found = "the answer is 101, but no WebSocket handshake: " + whyNoHandshake(o)
		f.Means = "something on the way answers in the server's place, or rewrites what it says"
		f.Change = "take it out of the way, or have it pass WebSockets on untouched"
	case o.stripped():
		f.Found = "something on the way takes the WebSocket upgrade out: a handshake was sent, and the server was asked for a page (it answers " + answer + o.says() + ")"
		f.Means = "a reverse proxy before the server does not pass Upgrade and Connection on; no client can connect through it"
		f.Change = `let the proxy pass them on; nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";`
	case o.status == http.StatusUnauthorized && adit, o.status == 526:
		w.judgeCredential(&f, o)
	case o.status == http.StatusUnauthorized:
		f.Found = "something before the server wants a login of its own: it answers " + answer + o.by()
		f.Means = "it is not adit that refuses"
		f.Change = "let " + w.u.Path + " through there without a login: adit asks for a credential itself"
	case o.status == http.StatusProxyAuthRequired:
		f.Check, f.Found = "proxy", "a proxy on the way wants a user and password: it answers "+answer+o.by()
		f.Change = "name it, with them, with --proxy @FILE"
		f.Settings = []string{"proxy"}
	case o.status == http.StatusForbidden && adit:
		f.Check, f.Found = "credential", "the server refuses this client: "+answer+o.says()
		f.Change = "ask the operator of the server"
	case o.status == http.StatusForbidden:
		f.Found = "something before the server forbids it: it answers " + answer + o.by() + o.says()
		f.Change = "let WebSockets to " + w.u.Path + " through there"
	case o.status == http.StatusTooManyRequests:
		f.Found = "the server answers " + answer + o.says()
		f.Means = "too many have registered from this address, or with wrong credentials; or too many doctors are at work"
		f.Change = "try again in a minute" + retryAfter(o)
		f.Settings = []string{"handshake-rate", "failure-rate"}
	case o.status == http.StatusNotFound && adit:
		f.Check, f.Found = "http", "an adit server answers, but not at the path "+quoted(engine.Bound(w.u.Path))
		f.Change = "write the path /register in --server: " + w.u.Scheme + "://" + w.u.Host + "/register"
		f.Settings = []string{"server"}
	case o.status == http.StatusNotFound, o.status == http.StatusMethodNotAllowed:
		f.Check, f.Found = "http", "what answers is no adit at this path: "+answer+o.by()
		f.Means = "another site has that name or port, or a reverse proxy does not lead " + w.u.Path + " to adit"
		f.Change = "check host, port and path in --server; at a reverse proxy lead " + w.u.Path + " to adit"
		f.Settings = []string{"server"}
	case o.status/100 == 3:
		w.judgeRedirect(&f, o, answer)
	case o.status == http.StatusNetworkAuthenticationRequired:
		f.captive("it answers " + answer)
	case o.status == http.StatusServiceUnavailable && adit:
		f.Found = "the server answers " + answer + o.says()
		f.Means = "it is stopping, or has no room"
		f.Change = "try again" + retryAfter(o)
	case o.status == http.StatusBadGateway, o.status == http.StatusServiceUnavailable, o.status == http.StatusGatewayTimeout:
		f.Found = "a proxy before the server does not reach it: it answers " + answer + o.by()
		f.Means = "adit server does not run, or listens elsewhere than that proxy believes"
		f.Change = "start adit server, or correct where the proxy leads to"
	case o.status == http.StatusBadRequest && !w.secure && strings.Contains(o.body, "HTTPS"):
		f.Check, f.Found = "http", "what answers there speaks TLS"
		f.Change = "use wss:// in --server"
		f.Settings = []string{"server"}
	case o.status/100 == 2:
		f.captive("it answers " + answer + " with a page" + o.by())
	default:
		f.Found = "the handshake is answered with " + answer + o.by() + o.says()
		f.Change = "check host, port and path in --server"
		f.Settings = []string{"server"}
	}
	return f
}

// extended is the finding that WebSocket extensions were answered that nobody has
// asked for.
func (f *Finding) extended(o *opened) {
	f.Severity = Failure
	f.Found = "something on the way adds WebSocket extensions to the answer: " + engine.Bound(o.header.Get("Sec-Websocket-Extensions"))
	f.Means = "adit has asked for none and does not go on"
	f.Change = "turn compression of WebSockets off there"
}

// captive is the finding that something answers for every site.
func (f *Finding) captive(how string) {
	f.Check = "http"
	f.Found = "a page answers where a server of adit should: " + how
	f.Means = "a captive portal wants you to log in first, or another site has that name or port"
	f.Change = "open any http:// page in a browser here and log in; else check host, port and path in --server"
	f.Settings = []string{"server"}
}

func (w *way) judgeRedirect(f *Finding, o *opened, answer string) {
	f.Check, f.Settings = "http", []string{"server"}
	location, err := w.httpURL().Parse(o.header.Get("Location"))
	if err != nil || o.header.Get("Location") == "" {
		f.captive("it answers " + answer)
		return
	}
	location.User, location.RawQuery, location.Fragment = nil, "", ""
	to := engine.Bound(location.String())
	if strings.EqualFold(location.Hostname(), w.host) {
		f.Found = "the server sends elsewhere, to " + to
		f.Means = "a client follows no redirect"
		f.Change = "write it in --server: " + strings.Replace(to, "http", "ws", 1)
		return
	}
	f.captive("it sends to " + to)
}

func (w *way) httpURL() *url.URL {
	u := *w.u
	u.Scheme = strings.Replace(u.Scheme, "ws", "http", 1)
	return &u
}

func retryAfter(o *opened) string {
	if v := o.header.Get("Retry-After"); v != "" && len(v) < 40 {
		return "; it asks to wait for " + v + " s"
	}
	return ""
}

func whyNoHandshake(o *opened) string {
	switch {
	case o.header.Get("Sec-Websocket-Accept") == "":
		return "Sec-WebSocket-Accept is missing"
	case !strings.EqualFold(o.header.Get("Upgrade"), "websocket"):
		return "Upgrade is missing"
	case o.header.Get("Connection") == "":
		return "Connection is missing"
	}
	return "Sec-WebSocket-Accept is that of another one"
}

// judgeSilence says why there was no answer.
func (w *way) judgeSilence(f *Finding, err error) {
	var e *egress.Error
	switch {
	case errors.As(err, &e):
		f.Check = "proxy"
		w.judgeProxy(f, err)
	case isTimeout(err):
		f.Found = fmt.Sprintf("the handshake is not answered within %v", 3*w.c.o.pace.step)
		f.Means = "something lets the connection open and holds back what is sent: a proxy that waits for the end of the request, or a server that speaks no HTTP"
		f.Change = "check host and port in --server; have the proxy pass WebSockets on"
		f.Settings = []string{"server"}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), isReset(err):
		f.Found = "the connection is cut in place of an answer to the handshake"
		f.Means = "a firewall that does not like WebSockets does that; a port that speaks TLS too, where it is asked in clear"
		f.Change = "use wss:// in --server where the server has a certificate"
		f.Settings = []string{"server"}
	case strings.Contains(err.Error(), "malformed HTTP"):
		f.Check, f.Found = "http", "what answers there speaks no HTTP"
		if strings.Contains(err.Error(), `\x15\x03`) {
			f.Found = "what answers there speaks TLS"
		}
		f.Change = "check host and port in --server; use wss:// where it speaks TLS"
		f.Settings = []string{"server"}
	default:
		f.Found = "the handshake fails: " + w.hide(errorText(err))
		if f.Change = egress.Advice(err); f.Change == "" {
			f.Change = "check host, port and path in --server"
		}
	}
}

func (w *way) judgeCredential(f *Finding, o *opened) {
	f.Check, f.Settings = "credential", []string{"secret"}
	switch {
	case strings.Contains(o.body, "expired"):
		f.Found = "the credential has expired"
		f.Change = "ask the operator of the server for a new one (adit token new --for client), and give it with --secret @FILE"
	case strings.Contains(o.body, "certificate"):
		f.Found = "the server does not take the certificate of this client" + o.says()
		f.Change = "check --tls-cert, or give a token with --secret @FILE"
		f.Settings = []string{"secret", "tls-cert"}
	case w.c.o.Secret == "":
		f.Found = "the server wants a credential, and none is given"
		f.Change = "give the server's secret, or a token of it (adit token new --for client), with --secret @FILE"
	default:
		f.Found = "the secret is wrong: the server does not know that of " + w.c.o.SecretAt
		f.Means = "it is mistyped, of another server, or revoked"
		f.Change = "compare it with --secret of the server, or make a new token there (adit token new --for client)"
	}
	if o.status == 526 {
		f.Found += " (526: as wsp answers)"
	}
}
