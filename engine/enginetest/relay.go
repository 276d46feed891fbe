package enginetest

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Toxics are what a [Relay] does to the bytes that pass it, in both directions
// and on every connection. The zero value relays faithfully.
type Toxics struct {
	Latency time.Duration // added one way
	Jitter  time.Duration // latency varies by ± this; order is kept
	Slice   int           // writes of 1 to Slice bytes; 0 leaves them whole
	Rate    int           // bytes a second in each direction of each connection; 0 unlimited
	Depth   int           // chunks of 16 KiB on their way in each direction of a new connection; 0 is 64

	// ResetAfter resets a connection once that many bytes have passed it, both
	// directions together, counted from when it was set; 0 never.
	ResetAfter int64
	SlowClose  time.Duration // passes a FIN on that much later
	// Blackhole moves no byte, no FIN and no reset in either direction until it
	// is taken back, and neither does a new connection get further than being
	// accepted.
	Blackhole bool
}

// Traffic is what went through a [Relay]. Up is from who dialled the relay to
// who is behind it.
type Traffic struct {
	Accepted, Open int
	BytesUp        int64
	BytesDown      int64
	Resets         int // by the relay
	DialsFailed    int
}

// relayQueue and relayChunk bound what one direction of a relayed connection
// holds, unless Toxics.Depth says more: 64 chunks of 16 KiB.
const (
	relayQueue = 64
	relayChunk = 16 << 10
)

// A Relay passes connections on with faults that can be set while it runs. The
// same seed, connections and bytes give the same jitter and slices.
type Relay struct {
	ln     net.Listener
	dial   func(context.Context) (net.Conn, error)
	seed   uint64
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	toxics  Toxics
	changed chan struct{} // closed, and replaced, by every change
	links   map[*link]struct{}
	count   Traffic

	up, down atomic.Int64
}

// NewRelay starts a relay from ln, which it owns from here on, to what dial
// reaches. Close stops it.
func NewRelay(ln net.Listener, dial func(context.Context) (net.Conn, error), seed uint64) *Relay {
	r := &Relay{ln: ln, dial: dial, seed: seed, changed: make(chan struct{}), links: map[*link]struct{}{}}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.wg.Go(r.accept)
	return r
}

// NewTCPRelay starts a relay from a free loopback port to addr.
func NewTCPRelay(addr string, seed uint64) (*Relay, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	return NewRelay(ln, func(ctx context.Context) (net.Conn, error) {
		return d.DialContext(ctx, "tcp", addr)
	}, seed), nil
}

// Addr returns where the relay accepts.
func (r *Relay) Addr() net.Addr { return r.ln.Addr() }

// Set replaces the toxics, for open connections too.
func (r *Relay) Set(t Toxics) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.toxics = t
	for l := range r.links {
		l.passed.Store(0)
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// Traffic returns the counts so far.
func (r *Relay) Traffic() Traffic {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.count
	c.Open = len(r.links)
	c.BytesUp, c.BytesDown = r.up.Load(), r.down.Load()
	return c
}

// ResetAll resets every open connection towards both ends and returns how many
// there were.
func (r *Relay) ResetAll() int {
	links := r.open()
	for _, l := range links {
		l.reset()
	}
	return len(links)
}

// CloseWriteAll sends a FIN on every open connection, to who is behind the
// relay if up, else to who dialled it, and leaves the other direction open.
func (r *Relay) CloseWriteAll(up bool) {
	for _, l := range r.open() {
		if up {
			closeWrite(l.behind)
		} else {
			closeWrite(l.front)
		}
	}
}

func (r *Relay) open() []*link {
	r.mu.Lock()
	defer r.mu.Unlock()
	links := make([]*link, 0, len(r.links))
	for l := range r.links {
		links = append(links, l)
	}
	return links
}

// Close stops accepting, cuts every connection and returns when every goroutine
// has ended.
func (r *Relay) Close() error {
	r.cancel()
	err := r.ln.Close()
	for _, l := range r.open() {
		l.shut()
	}
	r.wg.Wait()
	return err
}

func (r *Relay) now() (Toxics, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.toxics, r.changed
}

// pause waits while the blackhole is on. False means that the relay closes.
func (r *Relay) pause(done <-chan struct{}) (Toxics, bool) {
	for {
		t, changed := r.now()
		if !t.Blackhole {
			return t, r.ctx.Err() == nil
		}
		select {
		case <-changed:
		case <-done:
			return t, false
		case <-r.ctx.Done():
			return t, false
		}
	}
}

func (r *Relay) sleep(d time.Duration, done <-chan struct{}) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-done:
	case <-r.ctx.Done():
	}
	return false
}

func (r *Relay) accept() {
	for {
		front, err := r.ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || !r.sleep(5*time.Millisecond, nil) {
				return
			}
			continue
		}
		r.mu.Lock()
		r.count.Accepted++
		n := uint64(r.count.Accepted)
		r.mu.Unlock()
		r.wg.Go(func() { r.serve(front, n) })
	}
}

// A link is one relayed connection.
type link struct {
	r             *Relay
	front, behind net.Conn
	passed        atomic.Int64 // bytes since the toxics were set
	once          sync.Once
	done          chan struct{} // closed by shut
}

func (r *Relay) serve(front net.Conn, n uint64) {
	if _, ok := r.pause(nil); !ok {
		_ = front.Close()
		return
	}
	behind, err := r.dial(r.ctx)
	if err != nil {
		r.mu.Lock()
		r.count.DialsFailed++
		r.mu.Unlock()
		abort(front)
		return
	}
	l := &link{r: r, front: front, behind: behind, done: make(chan struct{})}
	r.mu.Lock()
	r.links[l] = struct{}{}
	r.mu.Unlock()
	if r.ctx.Err() != nil {
		l.shut()
	}
	var wg sync.WaitGroup
	wg.Go(func() { l.pass(front, behind, &r.up, rand.New(rand.NewPCG(r.seed, 2*n))) })
	wg.Go(func() { l.pass(behind, front, &r.down, rand.New(rand.NewPCG(r.seed, 2*n+1))) })
	wg.Wait()
	l.shut()
	r.mu.Lock()
	delete(r.links, l)
	r.mu.Unlock()
}

// shut closes both ends.
func (l *link) shut() {
	l.once.Do(func() {
		close(l.done)
		_ = l.front.Close()
		_ = l.behind.Close()
	})
}

// reset makes both ends see a reset.
func (l *link) reset() {
	l.once.Do(func() {
		l.r.mu.Lock()
		l.r.count.Resets++
		l.r.mu.Unlock()
		close(l.done)
		abort(l.front)
		abort(l.behind)
	})
}

// A chunk is what one read brought, to be written when it is due. A nil b is
// the FIN.
type chunk struct {
	b   []byte
	due time.Time
}

// pass moves one direction: a reader stamps what comes, a writer lets it go
// when it is due, so that latency does not cost throughput.
func (l *link) pass(from, to net.Conn, count *atomic.Int64, rng *rand.Rand) {
	depth := relayQueue
	if t, ok := l.r.pause(l.done); ok && t.Depth > 0 {
		depth = t.Depth
	}
	queue := make(chan chunk, depth) // closed by the reader
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(queue)
		l.read(from, queue, rng.Uint64())
	})
	defer wg.Wait()
	if !l.write(to, queue, count, rng) {
		l.shut()
	}
}

func (l *link) read(from net.Conn, queue chan<- chunk, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 0))
	var last time.Time
	for {
		if _, ok := l.r.pause(l.done); !ok {
			return
		}
		b := make([]byte, relayChunk)
		n, err := from.Read(b)
		t, ok := l.r.pause(l.done)
		if !ok {
			return
		}
		if n > 0 {
			due := time.Now().Add(t.Latency)
			if t.Jitter > 0 {
				due = due.Add(time.Duration(rng.Int64N(2*int64(t.Jitter)+1)) - t.Jitter)
			}
			if due.Before(last) {
				due = last
			}
			last = due
			select {
			case queue <- chunk{b[:n], due}:
			case <-l.done:
				return
			}
		}
		switch {
		case err == io.EOF:
			select {
			case queue <- chunk{nil, time.Now().Add(t.Latency + t.SlowClose)}:
			case <-l.done:
			}
			return
		case err != nil:
			l.reset() // what an end does to one side reaches the other
			return
		}
	}
}

// write returns false when the link is broken.
func (l *link) write(to net.Conn, queue <-chan chunk, count *atomic.Int64, rng *rand.Rand) bool {
	for c := range queue {
		if !l.r.sleep(time.Until(c.due), l.done) {
			return false
		}
		if c.b == nil {
			if _, ok := l.r.pause(l.done); !ok {
				return false
			}
			closeWrite(to)
			continue
		}
		for len(c.b) > 0 {
			t, ok := l.r.pause(l.done)
			if !ok {
				return false
			}
			n := len(c.b)
			if t.Slice > 0 {
				n = min(n, 1+rng.IntN(t.Slice))
			}
			if t.Rate > 0 {
				n = min(n, max(1, t.Rate/20))
				if !l.r.sleep(time.Duration(n)*time.Second/time.Duration(t.Rate), l.done) {
					return false
				}
			}
			full := false
			if t.ResetAfter > 0 {
				room := t.ResetAfter - l.passed.Load()
				if int64(n) >= room {
					n, full = int(max(room, 0)), true
				}
			}
			// Counted first: who has read them finds them in the counts.
			count.Add(int64(n))
			l.passed.Add(int64(n))
			if n > 0 {
				if _, err := to.Write(c.b[:n]); err != nil {
					l.reset()
					return false
				}
			}
			if full {
				l.reset()
				return false
			}
			c.b = c.b[n:]
		}
	}
	return true
}

func closeWrite(c net.Conn) {
	if h, ok := c.(interface{ CloseWrite() error }); ok {
		_ = h.CloseWrite()
		return
	}
	_ = c.Close()
}

// abort closes c so that its peer sees a reset.
func abort(c net.Conn) {
	switch c := c.(type) {
	case interface{ Reset() }:
		c.Reset()
	case *net.TCPConn:
		_ = c.SetLinger(0)
		_ = c.Close()
	default:
		_ = c.Close()
	}
}
