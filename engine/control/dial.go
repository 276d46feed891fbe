package control

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"adit/engine"
)

// Bounds of a Remote.
const (
	firstRetry    = 500 * time.Millisecond
	longestRetry  = 30 * time.Second
	stuckAfter    = 20               // tries
	silence       = 5 * time.Second  // without a byte: the link is dead
	oneLine       = 30 * time.Second // for a line, however slowly it comes
	maxLine       = 1 << 20          // bytes
	maxSnapshot   = 16 << 20         // bytes of lines that belong together
	maxAnswer     = 16 << 20         // bytes of an answer to a question
	maxErrorText  = 16 << 10
	maxNoticeText = 512
)

// DialOptions of a Remote.
type DialOptions struct {
	Token  string      // over TCP
	TLS    *tls.Config // over TCP; nil: the system's authorities
	Client string      // who this is, for the audit where the other end knows nothing better: "root@host"
	Logger *slog.Logger

	Dashboard bool // somebody looks at a screen, and counts as attached

	// DialContext opens sockets; nil: to the address. For tests and for those who
	// have a way of their own.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
}

// A Remote is the engine of another process, and its log.
type Remote struct {
	o       DialOptions
	base    string // of addresses of calls: "https://host:port"
	local   bool   // over a Unix socket
	http    *http.Client
	patient *http.Client // for calls that take longer than a dead link is waited for
	cache   cache
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	retry   chan struct{} // capacity 1: try now
	closing sync.Once
	done    chan struct{} // closed by Close
	wg      sync.WaitGroup

	mu       sync.Mutex // a leaf
	known    engine.Snapshot
	have     bool // known is of some moment
	link     engine.Link
	seq      uint64 // of the newest event, or that a snapshot includes
	subs     map[*subscription]struct{}
	carried  wish               // what the stream that is opened or runs was asked to carry
	carries  wish               // what the stream that runs carries; nothing while none does
	interval time.Duration      // between deltas, asked for where the link is slow; 0 the other end's own
	did      time.Time          // when something was done last: answers of before are old
	again    context.CancelFunc // ends the stream that runs, so that another is opened at once
	changed  chan struct{}      // closed, and replaced, when the link's state changes
}

var (
	_ engine.Linked     = (*Remote)(nil)
	_ engine.RequestLog = (*Remote)(nil)
)

// Dial returns the engine at address: the path of a Unix socket, or
// https://host:port. It answers at once: an engine that is not there yet is a
// Remote whose link is lost. An error says what is wrong with the address. Close
// releases it; so does the end of ctx.
func Dial(ctx context.Context, address string, o DialOptions) (*Remote, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Remote{o: o, retry: make(chan struct{}, 1), done: make(chan struct{}),
		subs: map[*subscription]struct{}{}, changed: make(chan struct{})}
	transport := &http.Transport{
		MaxIdleConns: 4, MaxConnsPerHost: 16, IdleConnTimeout: 30 * time.Second,
		TLSHandshakeTimeout: silence, ResponseHeaderTimeout: silence,
		MaxResponseHeaderBytes: 64 << 10, DisableCompression: true,
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}, // HTTP/1.1 only
	}
	shown := address
	path, isUnix := strings.CutPrefix(address, "unix:")
	u, err := url.Parse(address)
	switch {
	case isUnix, strings.HasPrefix(address, "/"), strings.HasPrefix(address, "."):
		if path == "" || len(path) > maxSocketPath {
			return nil, fmt.Errorf("address %s: the path of a Unix socket has 1 to %d bytes", engine.Bound(address), maxSocketPath)
		}
		r.base, r.local = "http://adit", true
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			d := net.Dialer{Timeout: silence}
			return d.DialContext(ctx, "unix", path)
		}
	case err == nil && u.Scheme == "https" && u.Host != "" && strings.Trim(u.Path, "/") == "":
		r.base, shown = "https://"+u.Host, "https://"+u.Host
		if r.o.Token == "" && u.User != nil {
			if secret, ok := u.User.Password(); ok {
				r.o.Token = secret
			} else {
				r.o.Token = u.User.Username()
			}
		}
		transport.TLSClientConfig = o.TLS.Clone()
		transport.DialContext = (&net.Dialer{Timeout: silence, KeepAlive: 15 * time.Second}).DialContext
	case err == nil && u.Scheme == "http":
		return nil, errors.New("address http://…: plain HTTP would carry the token in the clear; use https://HOST:PORT, or the path of a Unix socket")
	default:
		return nil, fmt.Errorf("address %q: want the path of a Unix socket, or https://HOST:PORT", engine.Bound(withoutUser(address)))
	}
	if o.DialContext != nil {
		transport.DialContext = o.DialContext
	}
	r.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // the token is for this address alone
	}}
	slow := transport.Clone()
	slow.ResponseHeaderTimeout, slow.DisableKeepAlives = 0, true
	r.patient = &http.Client{Transport: slow, CheckRedirect: r.http.CheckRedirect}
	r.link = engine.Link{Address: shown, Lost: true, Since: time.Now(), Cause: "not connected yet"}
	r.carried = wish{kinds: engine.KindsLifecycle}
	r.ctx, r.cancel = context.WithCancel(ctx)
	r.wg.Go(r.run)
	return r, nil
}

// withoutUser takes what may be a credential out of what may be an address.
func withoutUser(s string) string {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		return "…" + s[i:]
	}
	return s
}

// Close ends the link and returns when its goroutines have ended.
func (r *Remote) Close() {
	r.cancel()
	r.wg.Wait()
	r.http.CloseIdleConnections()
}

// Done implements [engine.Engine]: it is closed when the Remote is. An engine at
// the other end that has ended is a link that is lost: it may come back.
func (r *Remote) Done() <-chan struct{} { return r.done }

// Link implements [engine.Linked].
func (r *Remote) Link() engine.Link {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.link
}

// Retry implements [engine.Linked].
func (r *Remote) Retry() {
	r.mu.Lock()
	again, old := r.again, !r.link.Lost && time.Since(r.link.LastData) > noticed
	r.mu.Unlock()
	if old && again != nil {
		again() // a stream that is stuck or late is not waited for
		return
	}
	select {
	case r.retry <- struct{}{}:
	default:
	}
}

// Wait returns when data has come, or with why not when ctx ends.
func (r *Remote) Wait(ctx context.Context) error {
	for {
		r.mu.Lock()
		link, have, changed := r.link, r.have, r.changed
		r.mu.Unlock()
		if have && !link.Lost {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return r.lost(&link)
		case <-r.ctx.Done():
			return fmt.Errorf("%s: %w", link.Address, engine.ErrClosed)
		}
	}
}

// lost says that nothing comes, and why.
func (r *Remote) lost(l *engine.Link) error {
	return &lostError{address: l.Address, cause: l.Cause, refused: l.Stuck}
}

// A lostError is engine.ErrLost with its cause.
type lostError struct {
	address, cause string
	refused        bool
}

func (e *lostError) Error() string { return e.address + ": " + e.cause }
func (e *lostError) Unwrap() error { return engine.ErrLost }

// Snapshot implements [engine.Engine]: what is known, without asking. While the
// link is lost that is of the time when data came last; [engine.ErrLost] if none
// ever did.
func (r *Remote) Snapshot(ctx context.Context, into *engine.Snapshot) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.have {
		return r.lost(&r.link)
	}
	copySnapshot(into, &r.known)
	return nil
}

// copySnapshot copies from into into, reusing into's slices.
func copySnapshot(into, from *engine.Snapshot) {
	listen, connections, servers := into.Listen[:0], into.Connections[:0], into.Servers[:0]
	expose, banned, closes, limits := into.Expose[:0], into.Banned[:0], into.Closes[:0], into.Limits[:0]
	content := into.Capture.Content[:0]
	*into = *from
	into.Listen = append(listen, from.Listen...)
	into.Connections = append(connections, from.Connections...)
	into.Servers = append(servers, from.Servers...)
	into.Expose = append(expose, from.Expose...)
	into.Banned = append(banned, from.Banned...)
	into.Closes = append(closes, from.Closes...)
	into.Limits = append(limits, from.Limits...)
	into.Capture.Content = append(content, from.Capture.Content...)
}

// tell says that the link's state has changed. mu is held.
func (r *Remote) tell() {
	close(r.changed)
	r.changed = make(chan struct{})
}
