package origin

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"

	"adit/engine"
	"adit/engine/tcp"
)

const (
	maxResponseHead    = 64 << 10         // bytes
	continueTimeout    = time.Second      // wait for 100 Continue
	tlsTimeout         = 10 * time.Second // TLS handshake
	defaultIdle        = 64
	defaultIdleTimeout = 60 * time.Second
	http2Ping          = 30 * time.Second // of a silent HTTP/2 connection
	maxKnownHTTP2      = 1024             // https origins remembered to speak HTTP/2
)

// A Transport sends requests and keeps idle connections.
type Transport struct {
	dial    Dial
	options Options
	classes classes
	http1   *http1
	buffers sync.Pool // of *[contentBuffer]byte

	// The https origins that spoke HTTP/2 when last heard, at most
	// maxKnownHTTP2 of them; see Transport.http.
	http2Mu sync.RWMutex
	http2   map[origin]struct{}

	// base ends with Close, and with it the dials that outlive the request
	// that began them.
	base   context.Context
	cancel context.CancelFunc
	dialMu sync.Mutex // orders the last Add before Wait
	dials  sync.WaitGroup
}

type origin struct {
	class Class
	addr  string
}

// New returns a transport. Close ends it.
func New(o Options) *Transport {
	t := &Transport{dial: o.Dial, http2: make(map[origin]struct{})}
	t.buffers.New = func() any { return new([contentBuffer]byte) }
	t.base, t.cancel = context.WithCancel(context.Background())
	if o.MaxIdle <= 0 {
		o.MaxIdle = defaultIdle
	}
	if o.IdleTimeout <= 0 {
		o.IdleTimeout = defaultIdleTimeout
	}
	t.http1 = newHTTP1(t, o)
	t.options = o
	return t
}

func (t *Transport) newHTTP(o Options, class Class, protocols func(*http.Protocols)) *http.Transport {
	tlsConfig := &tls.Config{}
	if o.TLS != nil {
		tlsConfig = o.TLS.Clone()
	}
	tlsConfig.NextProtos = nil // net/http sets them from Protocols
	h := &http.Transport{
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			c, err := t.dialTCP(ctx, class, addr)
			if err != nil {
				return nil, err
			}
			return &conn{Conn: c}, nil
		},
		TLSClientConfig:        tlsConfig,
		TLSHandshakeTimeout:    tlsTimeout,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    o.MaxIdle,
		IdleConnTimeout:        o.IdleTimeout,
		ResponseHeaderTimeout:  o.HeadTimeout,
		ExpectContinueTimeout:  continueTimeout,
		MaxResponseHeaderBytes: maxResponseHead,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: http2Ping},
		Protocols:              new(http.Protocols),
	}
	protocols(h.Protocols)
	return h
}

// dialTCP dials within ctx and until Close.
func (t *Transport) dialTCP(ctx context.Context, class Class, addr string) (net.Conn, error) {
	t.dialMu.Lock()
	if t.base.Err() != nil {
		t.dialMu.Unlock()
		return nil, engine.Fail("dial origin", engine.ReasonDraining, engine.ErrClosed)
	}
	t.dials.Add(1)
	t.dialMu.Unlock()
	defer t.dials.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.base, cancel)()
	c, err := t.dial(ctx, class, addr)
	if err != nil {
		return nil, err
	}
	return tcp.Wrap(c), nil
}

// DialTCP opens a raw stream. Its errors are those of Send.
func (t *Transport) DialTCP(ctx context.Context, class Class, addr string) (Raw, error) {
	c, err := t.dialTCP(ctx, class, addr)
	if err != nil {
		return nil, classify(ctx, "dial origin", err)
	}
	return &raw{Reader: c, conn: c}, nil
}

// Close ends idle connections and dials, and returns when no dial runs. What is
// under way goes on, but nothing can be dialled any more.
func (t *Transport) Close() {
	t.dialMu.Lock()
	t.cancel()
	t.dialMu.Unlock()
	t.dials.Wait()
	t.http1.conns.close()
	t.classes.close()
}

// pick returns the transport for r and the scheme that it knows it by.
func (t *Transport) pick(r *Request) (*http.Transport, string, error) {
	c := t.class(r.Class)
	switch {
	case r.Scheme == "https" && r.Upgrade == "":
		return c.tls, "https", nil
	case r.Scheme == "https":
		// An upgrade is of HTTP/1.1 (RFC 9113 §8.6).
		return c.http1, "https", nil
	case r.Scheme == "h2c" && r.Upgrade == "":
		return c.h2c, "http", nil
	case r.Scheme == "http", r.Scheme == "h2c":
		return c.http1, "http", nil
	}
	return nil, "", engine.Fail("send request", engine.ReasonMalformed, nil)
}

func (t *Transport) speaksHTTP2(o origin) bool {
	t.http2Mu.RLock()
	defer t.http2Mu.RUnlock()
	_, ok := t.http2[o]
	return ok
}

func (t *Transport) learn(o origin, http2 bool) {
	if t.speaksHTTP2(o) == http2 {
		return
	}
	t.http2Mu.Lock()
	defer t.http2Mu.Unlock()
	switch {
	case !http2:
		delete(t.http2, o)
	case len(t.http2) < maxKnownHTTP2:
		t.http2[o] = struct{}{}
	}
}
