package server

import (
	"context"
	"fmt"
	"sync"
	"time"

	"adit/engine"
	"adit/engine/limit"
)

// A clientBook is what all connections of one client id share.
type clientBook struct {
	links int // guarded by clientBooks.mu
	to    limit.Pacer
	from  limit.Pacer
}

// clientBooks has a book for each client id that has a connection.
type clientBooks struct {
	mu  sync.Mutex
	all map[string]*clientBook
}

// open gives l a place among the connections of its client; otherwise the
// closing handshake says why not.
func (x *limits) open(l *link) *refusal {
	most := x.s.live().Caps.ConnectionsPerClient
	if x.clients.enter(l, most) {
		return nil
	}
	text := fmt.Sprintf("%d connections of this client id are open already", most)
	x.reached(limitConnectionsPerClient, l.client, limit.Key{}, text)
	return &refusal{engine.CloseTryLater, text}
}

// enter writes l into the book of its client, where there are fewer than most; there
// is no bound where that is negative.
func (b *clientBooks) enter(l *link, most int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	book := b.all[l.client]
	links := 0
	if book != nil {
		links = book.links
	}
	if most >= 0 && links >= most {
		return false
	}
	if book == nil {
		if b.all == nil {
			b.all = make(map[string]*clientBook)
		}
		book = new(clientBook)
		b.all[l.client] = book
	}
	book.links++
	l.book = book
	return true
}

// leave takes back what open gave, once.
func (x *limits) leave(l *link) {
	b := &x.clients
	b.mu.Lock()
	defer b.mu.Unlock()
	if l.book == nil || l.left {
		return
	}
	l.left = true
	if l.book.links--; l.book.links == 0 {
		delete(b.all, l.client)
	}
}

const (
	paceFree  = 16 << 10               // bytes of an exchange that go first
	paceAhead = 500 * time.Millisecond // how far they may run ahead of the rate
	paceSlice = 100 * time.Millisecond // for so long a wait does not look up
)

// pace waits until n bytes more, behind passed of the same exchange and direction,
// may go to the client (up) or be passed on that came from it. It ends early when
// ctx or the connection ends or over says so: whoever passes them on finds out why.
//
// Waiting here, for one exchange, holds up no other one: what is not read gives
// its peer no credit, and what is not sent fills no queue.
func (l *link) pace(ctx context.Context, s *Server, up bool, passed int64, n int, over func() bool) {
	rate := s.live().Caps.Bandwidth
	if rate <= 0 || l.book == nil {
		return
	}
	p := &l.book.from
	if up {
		p = &l.book.to
	}
	ahead := time.Duration(0)
	if passed < paceFree {
		ahead = paceAhead
	}
	wait := p.Take(n, rate, ahead)
	if wait == 0 {
		return
	}
	s.limits.reached(limitBandwidth, l.client, limit.Key{}, "bytes have to wait")
	until := time.Now().Add(wait)
	timer := time.NewTimer(min(wait, paceSlice))
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		case <-l.conn.Done():
			return
		}
		left := time.Until(until)
		if left <= 0 || over() {
			return
		}
		timer.Reset(min(left, paceSlice))
	}
}
