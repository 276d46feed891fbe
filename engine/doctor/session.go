package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"adit/engine"
	"adit/engine/policy"
	"adit/engine/wire"
)

// session goes on where the server can be reached: TLS, handshake, credential, and
// all that a probe is needed for.
func (w *way) session(ctx context.Context) {
	if w.secure && !w.tls(ctx) || ctx.Err() != nil {
		return
	}
	w.c.progress("opening a WebSocket")
	o := w.open(ctx, w.u, wholeBuffer)
	if ctx.Err() != nil {
		o.close()
		return
	}
	var readings []reading
	if skew, ok := dateOf(o.header, o.sent, o.got); ok {
		readings = append(readings, reading{"the Date of the answer", skew})
	}
	if o.ws == nil {
		w.found(w.judge(o))
		w.otherScheme(ctx, o)
		w.clock(readings)
		return
	}
	hello := w.selected(o)
	if hello == nil {
		o.close()
		w.clock(readings)
		return
	}
	if !hello.Time.IsZero() {
		readings = append(readings, reading{"the server", hello.Time.Sub(time.Now().Round(0))})
	}
	w.clock(readings)
	w.scope(hello)
	w.frames(ctx, o)
	o.close()
	w.idle(ctx, hello)
}

// close ends a WebSocket without a word to wait for.
func (o *opened) close() {
	if o.ws == nil {
		return
	}
	_ = o.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Second))
	_ = o.ws.Close()
}

// otherScheme tries wss where a handshake in clear did not pass: what is on the way
// cannot look into that. The credential is shown only to a certificate that holds.
func (w *way) otherScheme(ctx context.Context, failed *opened) {
	if w.secure || failed.isAdit() && !failed.stripped() {
		return
	}
	u := *w.u
	u.Scheme = "wss"
	addr := w.address
	if w.u.Port() == "" || w.u.Port() == "80" {
		u.Host = w.host
		if strings.Contains(w.host, ":") {
			u.Host = "[" + w.host + "]"
		}
		addr = net.JoinHostPort(w.host, "443")
	}
	// A port that holds back its answer has been waited for once.
	ctx, cancel := context.WithTimeout(ctx, w.c.o.pace.step)
	defer cancel()
	other := w.at(addr)
	o := other.open(ctx, &u, pieceBuffer)
	defer o.close()
	if o.ws == nil {
		return
	}
	w.found(Finding{Check: "websocket", Severity: Note, Found: "by " + engine.Bound(u.String()) + " the handshake passes",
		Means: "what is on the way can't look into TLS, and leaves it alone", Change: "use that in --server", Settings: []string{"server"}})
}

// selected says what answered a handshake that passed, and returns what the server
// says of itself, nil where it can't be probed.
func (w *way) selected(o *opened) *wire.Probe {
	f := Finding{Check: "websocket", Took: o.got.Sub(o.sent)}
	switch protocol := o.ws.Subprotocol(); {
	case len(o.header.Values("Sec-Websocket-Extensions")) > 0:
		f.extended(o)
	case protocol == wire.ProbeSubprotocol:
		return w.probed(o, &f)
	case protocol == wire.Subprotocol:
		f.Severity = Note
		f.Found = "the handshake passes; the server is an adit that is too old to be probed"
		f.Means = "messages of all sizes, the idle cut-off and what the credential may are left out"
		f.Change = "update the server"
	case w.c.o.Native:
		f.Severity = Failure
		f.Found = "the server speaks wsp, and --protocol adit does not"
		f.Change = "leave --protocol out, or use an adit server"
		f.Settings = []string{"protocol"}
	case len(w.c.o.Expose) > 0:
		f.Severity = Failure
		f.Found = "the server speaks wsp, which exposes no names and no ports"
		f.Means = "the WebSocket handshake passes, but adit client would not go on"
		f.Change = "use --allow in place of --expose, or an adit server"
		f.Settings = []string{"expose"}
	default:
		f.Severity = Note
		f.Found = "the handshake passes; the server speaks wsp, or is another WebSocket service" + o.by()
		f.Means = "it can't be probed: messages of all sizes, the idle cut-off and what the credential may are left out"
		f.Change = "with an adit server adit doctor can say more"
	}
	w.found(f)
	return nil
}

// probed reads what the server says of itself.
func (w *way) probed(o *opened, f *Finding) *wire.Probe {
	kind, text, err := o.ws.ReadMessage()
	if err != nil || kind != websocket.TextMessage {
		f.Severity = Failure
		w.judgeHello(f, err)
		w.found(*f)
		return nil
	}
	hello, err := wire.ParseProbe([]byte(w.hide(string(text))))
	if err != nil {
		f.Severity, f.Found = Failure, "what the server says of itself comes changed: "+errorText(err)
		f.Means = "something on the way rewrites the content of WebSockets"
		f.Change = "use wss://, which it can't look into, or take it out of the way"
		f.Settings = []string{"server"}
		w.found(*f)
		return nil
	}
	f.Severity = OK
	f.Found = fmt.Sprintf("the handshake passes in %v; adit %s %s answers", round(f.Took), engine.Bound(hello.Version), quoted(engine.Bound(hello.Server)))
	if how := between(o.local, hello.Peer, w.through != ""); how != "" {
		f.Found += ", and sees this machine as " + engine.Bound(hello.Peer) + " (" + how + ")"
	}
	w.found(*f)
	if w.c.o.Native && !slices.Contains(hello.Protocols, wire.Subprotocol) || w.c.o.Classic && !slices.Contains(hello.Protocols, "wsp") {
		w.found(Finding{Check: "websocket", Severity: Failure, Found: "the server takes " + engine.Bound(strings.Join(hello.Protocols, ", ")) + " only, and --protocol wants another one",
			Change: "leave --protocol out", Settings: []string{"protocol"}})
	}
	return hello
}

// judgeHello says why the server does not say what it is.
func (w *way) judgeHello(f *Finding, err error) {
	how := w.messageText(err)
	switch code := closeCode(err); {
	case f.over(code, how):
	case code != 0:
		f.Found = "the handshake passes, and then " + how
		f.Means = "the server ends the probe, or something on the way does"
		f.Change = "try again; the log of the server says whether it was its doing"
	case err == nil || errors.Is(err, websocket.ErrReadLimit):
		f.Found = "the handshake passes, and then comes what no adit sends: " + how
		f.Means = "what answers there is no adit, or something on the way rewrites the content of WebSockets"
		f.Change = "check host, port and path in --server"
		f.Settings = []string{"server"}
	default:
		f.Found = "the handshake passes, and then nothing comes: " + how
		f.Means = "something on the way holds back or cuts what is no page"
		f.Change = "let the proxy pass WebSockets on unbuffered; nginx: proxy_buffering off"
	}
}

// closeCode returns the code of a Close frame that came, 0 for none.
func closeCode(err error) int {
	var closed *websocket.CloseError
	if errors.As(err, &closed) && closed.Code != websocket.CloseAbnormalClosure {
		return closed.Code
	}
	return 0
}

// over fills in that the server has ended a probe by its own will, and reports
// whether code says so.
func (f *Finding) over(code int, how string) bool {
	switch code {
	case websocket.CloseGoingAway, websocket.CloseServiceRestart, websocket.CloseTryAgainLater:
		f.Found = "the server stops or starts anew in the midst: " + how
		f.Means = "what is on the way was not probed to its end"
		f.Change = "try again when it is up"
	case websocket.ClosePolicyViolation:
		f.Found = "the server does not let the probe go on: " + how
		f.Means = "it does that when the credential is revoked or expires, and to a probe that has carried too much"
		f.Change = "ask the operator of the server whether the credential holds"
		f.Settings = []string{"secret"}
	default:
		return false
	}
	f.Severity = Failure
	return true
}

// between says what is on the way, judged by how the server sees this machine.
func between(local net.Addr, peer string, proxied bool) string {
	at, err := netip.ParseAddrPort(peer)
	own, err2 := netip.ParseAddrPort(local.String())
	if err != nil || err2 != nil || at.Addr().Unmap() == own.Addr().Unmap() && at.Port() == own.Port() {
		return ""
	}
	switch a := at.Addr().Unmap(); {
	case proxied:
		return "through the proxy"
	case a == own.Addr().Unmap():
		return "a reverse proxy on this machine"
	case a.IsLoopback() || a.IsPrivate() && !own.Addr().Unmap().IsPrivate():
		return "a reverse proxy stands before the server"
	}
	return "NAT or a proxy is between"
}

func (w *way) messageText(err error) string {
	var closed *websocket.CloseError
	switch {
	case err == nil:
		return "a message of another kind comes"
	case errors.As(err, &closed) && closed.Code == websocket.CloseAbnormalClosure:
		return "the connection is cut"
	case errors.As(err, &closed):
		return strings.TrimSpace(fmt.Sprintf("it is closed with %d %s", closed.Code, engine.Bound(w.hide(closed.Text))))
	case errors.Is(err, websocket.ErrReadLimit):
		return "a message longer than any that was sent"
	case isTimeout(err):
		return "no message comes in time"
	}
	return errorText(err)
}

// scope says whether the credential covers what the client would register with, and
// the server has what it exposes.
func (w *way) scope(p *wire.Probe) {
	o := w.c.o
	f := Finding{Check: "credential", Severity: OK, Found: "the server takes the credential " + quoted(engine.Bound(p.Credential))}
	if p.Credential == "" {
		f.Found = "the server wants no credential"
	}
	scope, err := policy.NewScope(p.IDs, p.Hosts, p.Ports, p.Destinations)
	var expose []engine.Expose
	for i := range o.Expose {
		expose = append(expose, engine.Expose{Host: o.Expose[i].Host, TCP: o.Expose[i].TCP})
	}
	switch refused := ""; {
	case err != nil || p.Cut:
		f.Severity, f.Means = Note, "what it may is more than can be shown: whether it covers this client is not known"
	default:
		if p.Credential != "" {
			f.Found += "; it covers " + engine.Bound(scope.String())
		}
		if refused = scope.Refuse(o.ID, expose); refused != "" {
			f.Severity = Failure
			f.Found = refused
			f.Means = "the credential " + quoted(engine.Bound(p.Credential)) + " covers " + engine.Bound(scope.String()) + " only: the server would refuse this client"
			f.Change = "make a token that covers it (adit token new --for client), or change --id and --expose to what it covers"
			f.Settings = []string{"id", "expose", "secret"}
		} else if len(o.Expose) == 0 && len(scope.Destinations) == 0 && !scope.AnyDestination() {
			f.Severity = Warning
			f.Means = "it covers no destinations: what --allow names is reached by nobody through this server"
			f.Change = "make a token with destinations (adit token new --destination)"
			f.Settings = []string{"secret", "allow"}
		}
	}
	w.found(f)
	if left := time.Until(p.Expires); !p.Expires.IsZero() && left < endsSoon {
		w.found(Finding{Check: "credential", Severity: Warning, Settings: []string{"secret"},
			Found:  fmt.Sprintf("the credential %s ends %s, at %s", quoted(engine.Bound(p.Credential)), inTime(left), stamp(p.Expires)),
			Means:  "then the server closes the connections of this client and lets it in no more",
			Change: "ask for a new one in time (adit token new --for client); a changed @FILE is read without a restart"})
	}
	w.routes(p)
}

// routes says whether the server has what the client exposes.
func (w *way) routes(p *wire.Probe) {
	for i := range w.c.o.Expose {
		e := &w.c.o.Expose[i]
		f := Finding{Check: "expose", Severity: Failure, Settings: []string{"expose"}}
		switch port := int(e.TCP); {
		case e.Host != "" && p.Domain == "":
			f.Found = "the name " + quoted(engine.Bound(e.Host)) + " can't be exposed: the server has no domain"
			f.Change = "start the server with --domain tunnels.example.com"
			f.Settings = append(f.Settings, "domain")
		case e.Host != "":
			f.Severity, f.Settings = OK, nil
			f.Found = "callers reach " + engine.Bound(e.Origin) + " as " + e.Host + "." + engine.Bound(p.Domain)
		case p.TCPFirst == 0:
			f.Found = fmt.Sprintf("port %d can't be exposed: the server gives no ports to clients", port)
			f.Change = "start the server with --tcp-ports FIRST-LAST"
			f.Settings = append(f.Settings, "tcp-ports")
		case port < p.TCPFirst || port > p.TCPLast:
			f.Found = fmt.Sprintf("port %d can't be exposed: the server gives ports %d to %d to clients", port, p.TCPFirst, p.TCPLast)
			f.Change = "choose a port of these, or start the server with other --tcp-ports"
			f.Settings = append(f.Settings, "tcp-ports")
		default:
			f.Severity, f.Settings = OK, nil
			f.Found = fmt.Sprintf("callers reach %s at port %d of the server", engine.Bound(e.Origin), port)
		}
		w.found(f)
	}
}
