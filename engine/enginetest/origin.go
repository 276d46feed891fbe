package enginetest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// An Origin is an HTTP origin server that does what its callers ask for in the
// request target, and remembers every token that it saw:
//
//	/echo                    the request's content, type and digest; digest in a trailer
//	/size?n=N[&chunked=1][&plain=1]  N bytes of the token's pattern; digest in a field, chunked also in a trailer, unless plain
//	/early[?code=413][&keep=1]   answers at once, reads nothing, closes unless keep
//	/abort?n=N&at=M[&chunked=1]  promises N bytes of the pattern, cuts after M
//	/slow?n=N&every=D        N bytes, one at a time, one every D (a duration)
//	/hang                    nothing, until the request is cancelled
//	/hang?head=1             a head, then nothing, until the request is cancelled
//	/sse?n=N&every=D         N server-sent events "data: I"; N=0 is for ever
//	/trailers                announced and unannounced trailers; echoes the request's as Echo-NAME
//	/hints                   103 with Link, then 200
//	/upgrade                 101 to whatever was asked for, then echoes raw bytes
//	/redirect                302 to /size?n=5
//	/status?code=C           an empty response with that code
//	/duplex                  echoes content as it comes
//	/fields                  the request head as the origin got it, as text
type Origin struct {
	mu      sync.Mutex
	seen    map[Token]Seen
	changed chan struct{} // made by who waits, closed by the next change
	total   int
	unnamed int
	crossed []string
}

// Seen is what an [Origin] knows of one token.
type Seen struct {
	Requests  int   // that carried it: more than one is a duplicate
	Content   int64 // bytes of content read
	Complete  bool  // content was read to its end
	Cancelled bool  // the request's context ended before the handler
	Ended     bool  // the handler returned
}

// NewOrigin returns an origin. It is an [http.Handler].
func NewOrigin() *Origin { return &Origin{seen: map[Token]Seen{}} }

// Serve answers on ln, HTTP/1.1 and h2c, until stop is called, which returns
// when every handler has ended.
func (o *Origin) Serve(ln net.Listener) (stop func()) {
	srv := &http.Server{Handler: o, Protocols: new(http.Protocols), ReadHeaderTimeout: 10 * time.Second}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	var mu sync.Mutex
	ended := sync.NewCond(&mu)
	running, stopped := 0, false
	srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		if stopped {
			mu.Unlock()
			return
		}
		running++
		mu.Unlock()
		defer func() {
			mu.Lock()
			running--
			ended.Broadcast()
			mu.Unlock()
		}()
		o.ServeHTTP(w, r)
	})
	ctx, cancel := context.WithCancel(context.Background())
	srv.BaseContext = func(net.Listener) context.Context { return ctx }
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(ln)
	}()
	return func() {
		cancel()
		_ = srv.Close()
		<-done
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		for running > 0 {
			ended.Wait()
		}
	}
}

// Seen returns what is known of a token.
func (o *Origin) Seen(t Token) Seen {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.seen[t]
}

// Requests returns how many requests came, and how many of them without a token.
func (o *Origin) Requests() (total, unnamed int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.total, o.unnamed
}

// Crossed returns the requests whose content began with another token than
// their field said.
func (o *Origin) Crossed() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.crossed...)
}

// Await waits until what is known of a token satisfies ok.
func (o *Origin) Await(ctx context.Context, t Token, ok func(Seen) bool) (Seen, error) {
	for {
		o.mu.Lock()
		if o.changed == nil {
			o.changed = make(chan struct{})
		}
		s, changed := o.seen[t], o.changed
		o.mu.Unlock()
		if ok(s) {
			return s, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return s, fmt.Errorf("wait for token %v: %w", t, context.Cause(ctx))
		}
	}
}

func (o *Origin) note(t Token, change func(*Seen)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.seen[t]
	change(&s)
	o.seen[t] = s
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
}

// ServeHTTP implements [http.Handler].
func (o *Origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, err := ParseToken(r.Header.Get(TokenField))
	o.mu.Lock()
	o.total++
	if err != nil {
		o.unnamed++
	}
	o.mu.Unlock()
	named := err == nil
	if named {
		w.Header().Set(TokenField, token.String())
		o.note(token, func(s *Seen) { s.Requests++ })
	}
	ctx := r.Context()
	if !named {
		o.route(w, r, token, newDigest())
		return
	}
	content := newDigest()
	defer func() {
		if at := string(content.head); len(at) == TokenSize && at != token.String() {
			if other, err := ParseToken(at); err == nil {
				o.mu.Lock()
				o.crossed = append(o.crossed, fmt.Sprintf("the request with field %v had content of %v", token, other))
				o.mu.Unlock()
			}
		}
		o.note(token, func(s *Seen) {
			s.Content = content.n
			s.Cancelled = s.Cancelled || ctx.Err() != nil
			s.Ended = true
		})
	}()
	o.route(w, r, token, content)
}

func (o *Origin) route(w http.ResponseWriter, r *http.Request, token Token, content *digest) {
	q := r.URL.Query()
	n, _ := strconv.ParseInt(q.Get("n"), 10, 64)
	every, _ := time.ParseDuration(q.Get("every"))
	switch r.URL.Path {
	case "/echo":
		o.echo(w, r, token, content)
	case "/size":
		if o.drain(r, token, content) == nil {
			size(w, r, token, n, n, q.Has("chunked"))
		}
	case "/early":
		code, _ := strconv.Atoi(q.Get("code"))
		if code == 0 {
			code = http.StatusRequestEntityTooLarge
		}
		if !q.Has("keep") {
			w.Header().Set("Connection", "close")
		}
		w.WriteHeader(code)
	case "/abort":
		if o.drain(r, token, content) != nil {
			return
		}
		at, _ := strconv.ParseInt(q.Get("at"), 10, 64)
		size(w, r, token, n, at, q.Has("chunked"))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case "/slow":
		slow(w, r, token, n, every)
	case "/hang":
		o.hang(w, r, token, content)
	case "/sse":
		sse(w, r, n, every)
	case "/trailers":
		if o.drain(r, token, content) == nil {
			trailers(w, r)
		}
	case "/hints":
		w.Header().Set("Link", "</style.css>; rel=preload; as=style")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, "hinted")
	case "/upgrade":
		upgrade(w, r)
	case "/redirect":
		http.Redirect(w, r, "/size?n=5", http.StatusFound)
	case "/status":
		code, err := strconv.Atoi(q.Get("code"))
		if err != nil || code < 200 || code > 599 {
			code = http.StatusBadRequest
		}
		if o.drain(r, token, content) == nil {
			w.WriteHeader(code)
		}
	case "/duplex":
		o.duplex(w, r, token, content)
	case "/fields":
		_, _ = fmt.Fprintf(w, "%s %s %s\nHost: %s\n", r.Method, r.RequestURI, r.Proto, r.Host)
		_ = r.Header.Write(w)
	default:
		http.NotFound(w, r)
	}
}

// drain reads the request's content to its end.
func (o *Origin) drain(r *http.Request, token Token, content *digest) error {
	if _, err := io.Copy(content, r.Body); err != nil {
		return err
	}
	o.note(token, func(s *Seen) { s.Complete = true })
	return nil
}

func (o *Origin) hang(w http.ResponseWriter, r *http.Request, token Token, content *digest) {
	// net/http sees the caller go only when nothing is left to read.
	if o.drain(r, token, content) != nil {
		return
	}
	if r.URL.Query().Has("head") {
		w.WriteHeader(http.StatusOK)
		if http.NewResponseController(w).Flush() != nil || r.Method == http.MethodHead {
			return // the head was all of it: the next request may be on its way
		}
	}
	<-r.Context().Done()
}

func (o *Origin) echo(w http.ResponseWriter, r *http.Request, token Token, content *digest) {
	var held strings.Builder
	if _, err := io.Copy(io.MultiWriter(&held, content), r.Body); err != nil {
		return
	}
	o.note(token, func(s *Seen) { s.Complete = true })
	h := w.Header()
	h.Set("Content-Type", r.Header.Get("Content-Type"))
	h.Set(DigestField, content.hex())
	h.Set("Trailer", "X-Trailer-Sha256")
	w.WriteHeader(http.StatusOK)
	_, _ = io.WriteString(w, held.String())
	h.Set("X-Trailer-Sha256", content.hex())
}

// size promises n bytes and writes at of them.
func size(w http.ResponseWriter, r *http.Request, token Token, n, at int64, chunked bool) {
	h := w.Header()
	if !r.URL.Query().Has("plain") {
		h.Set(DigestField, PatternDigest(token, n))
	}
	h.Set("Content-Type", "application/octet-stream")
	if chunked {
		h.Set("Trailer", "X-Trailer-Sha256")
	} else {
		h.Set("Content-Length", strconv.FormatInt(n, 10))
	}
	w.WriteHeader(http.StatusOK)
	if chunked {
		_ = http.NewResponseController(w).Flush()
	}
	if r.Method != http.MethodHead {
		_, _ = io.CopyN(w, NewPattern(token, n), min(n, at))
	}
	if chunked {
		h.Set("X-Trailer-Sha256", h.Get(DigestField))
	}
}

func slow(w http.ResponseWriter, r *http.Request, token Token, n int64, every time.Duration) {
	w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	rc := http.NewResponseController(w)
	p := NewPattern(token, n)
	var b [1]byte
	for i := int64(0); i < n; i++ {
		if i > 0 && !wait(r.Context(), every) {
			return
		}
		_, _ = p.Read(b[:])
		if _, err := w.Write(b[:]); err != nil || rc.Flush() != nil {
			return
		}
	}
}

func sse(w http.ResponseWriter, r *http.Request, n int64, every time.Duration) {
	w.Header().Set("Content-Type", "text/event-stream")
	rc := http.NewResponseController(w)
	for i := int64(0); n == 0 || i < n; i++ {
		if i > 0 && !wait(r.Context(), every) {
			return
		}
		if _, err := fmt.Fprintf(w, "data: %d\n\n", i); err != nil || rc.Flush() != nil {
			return
		}
	}
}

func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func trailers(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Trailer", "Announced")
	_, _ = io.WriteString(w, "with trailers")
	_ = http.NewResponseController(w).Flush()
	h.Set("Announced", "yes")
	h.Set(http.TrailerPrefix+"Unannounced", "as well")
	for name, values := range r.Trailer {
		h[http.TrailerPrefix+"Echo-"+name] = values
	}
}

func upgrade(w http.ResponseWriter, r *http.Request) {
	protocol := r.Header.Get("Upgrade")
	if protocol == "" {
		w.Header().Set("Upgrade", "echo")
		w.WriteHeader(http.StatusUpgradeRequired)
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "cannot upgrade", http.StatusNotImplemented)
		return
	}
	defer conn.Close()
	stop := context.AfterFunc(r.Context(), func() { _ = conn.Close() })
	defer stop()
	if _, err := fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", protocol); err != nil || rw.Flush() != nil {
		return
	}
	EchoRaw(conn, rw.Reader)
}

// EchoRaw writes back what it reads from r, which reads from conn, until EOF
// and then half-closes. The caller closes conn.
func EchoRaw(conn net.Conn, r *bufio.Reader) {
	b := make([]byte, 32<<10)
	for {
		n, err := r.Read(b)
		if n > 0 {
			if _, err := conn.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				closeWrite(conn)
			}
			return
		}
	}
}

func (o *Origin) duplex(w http.ResponseWriter, r *http.Request, token Token, content *digest) {
	rc := http.NewResponseController(w)
	_ = rc.EnableFullDuplex() // HTTP/2 always is
	w.WriteHeader(http.StatusOK)
	if rc.Flush() != nil {
		return
	}
	b := make([]byte, 32<<10)
	for {
		n, err := r.Body.Read(b)
		_, _ = content.Write(b[:n])
		if n > 0 {
			if _, werr := w.Write(b[:n]); werr != nil || rc.Flush() != nil {
				return
			}
		}
		if err == io.EOF {
			o.note(token, func(s *Seen) { s.Complete = true })
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}
