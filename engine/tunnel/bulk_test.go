package tunnel

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// newBare returns a connection without goroutines and an exchange on it.
func newBare(server bool) (*conn, *exchange) {
	c := newConn(&socket{server: server, limits: DefaultLimits(), opened: time.Now()}, 1, nil, nil)
	return c, bareExchange(c)
}

func bareExchange(c *conn) *exchange {
	x := newExchange(c, nil)
	x.credit = 1 << 30
	x.final = true
	c.highest++
	x.id = c.highest
	c.exchanges[x.id] = x
	return x
}

// Messages that are kept instead of copied must not hold much more memory than
// the window lets in, and nothing may be written over what they hold.
func TestKeptMessages(t *testing.T) {
	c, x := newBare(true)
	x.inCredit, x.window = 1<<40, 1<<40
	rng := rand.New(rand.NewPCG(1, 2))
	var sent, read byte // content counts up
	content := func(n int) []byte {
		p := make([]byte, n)
		for i := range p {
			p[i] = sent
			sent++
		}
		return p
	}
	sizes := []int{1, 100, 2 << 10, 16 << 10, 16<<10 + 1, 20 << 10, 32 << 10, 50 << 10, PieceSize, 64 << 10, 100 << 10}
	kept := 0
	for range 5000 {
		var b []byte
		for range 1 + rng.IntN(2) {
			b = append(b, rec(3, false, 1, content(sizes[rng.IntN(len(sizes))]))...)
		}
		msg := newChunk(max(len(b), messageSize))
		msg.data = append(msg.data, b...)
		if end, ok := c.gotBinary(&msg); !ok {
			t.Fatal(end)
		}
		if msg == nil {
			kept++
		}
		msg.free()
		if wasted := x.in.memory - x.in.size; wasted >= 2*messageSize {
			t.Fatalf("%d bytes of content lie in %d bytes of memory", x.in.size, x.in.memory)
		}
		for rng.IntN(3) > 0 && x.Buffered() {
			p, err := x.Next()
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range p {
				if b != read {
					t.Fatalf("content is %d, want %d", b, read)
				}
				read++
			}
		}
	}
	if kept == 0 {
		t.Error("every message was copied")
	}
	x.release()
	if x.in.memory != 0 || x.in.size != 0 {
		t.Errorf("an empty queue counts %d bytes in %d", x.in.size, x.in.memory)
	}
}

// take returns how much of each exchange the next message holds.
func take(t *testing.T, c *conn) (order []*exchange, size map[*exchange]int) {
	t.Helper()
	size = map[*exchange]int{}
	c.mu.Lock()
	parts, scratch := c.collect(nil, nil)
	c.mu.Unlock()
	total := len(scratch)
	for i := range parts {
		order = append(order, parts[i].x)
		size[parts[i].x] += len(parts[i].payload)
		total += len(parts[i].payload)
	}
	if total > messageSize {
		t.Errorf("a message of %d bytes", total)
	}
	c.copied(parts, time.Now())
	return order, size
}

func queue(x *exchange, n int) {
	x.c.mu.Lock()
	defer x.c.mu.Unlock()
	x.piece = make([]byte, n)
	x.queueLocked()
}

// Large pieces take turns of a whole message; a small one waits for none of
// them, and any number of small ones leave room for a large one.
func TestTurns(t *testing.T) {
	c, a := newBare(false)
	b, small := bareExchange(c), bareExchange(c)
	queue(a, PieceSize)
	queue(b, PieceSize)
	if order, size := take(t, c); len(order) != 1 || size[a] != PieceSize {
		t.Errorf("the first message has %d pieces, %d bytes of the first exchange", len(order), size[a])
	}
	queue(a, PieceSize)
	queue(small, 100)
	order, size := take(t, c)
	if len(order) != 2 || order[0] != small || size[b] != fairPiece {
		t.Errorf("beside %d small bytes, %d pieces and %d large bytes", size[small], len(order), size[b])
	}
	if _, size := take(t, c); size[a] != PieceSize {
		t.Errorf("the next turn has %d bytes of the exchange that waited, %d of the other", size[a], size[b])
	}
	if _, size := take(t, c); size[b] != PieceSize-fairPiece {
		t.Errorf("%d bytes were left", size[b])
	}

	queue(a, PieceSize)
	for range 100 {
		queue(bareExchange(c), 2<<10)
	}
	if _, size := take(t, c); size[a] < fairPiece-1<<10 {
		t.Errorf("among many small ones a large one may send %d bytes", size[a])
	}
}

// Content is not cut into crumbs by what is left of a window, and is never kept
// back for good.
func TestLeastCredit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, x := newBare(false)
		queued := func() int {
			synctest.Wait()
			c.mu.Lock()
			defer c.mu.Unlock()
			return len(x.piece)
		}
		x.credit = leastCredit - 1
		done := make(chan error, 1)
		go func() {
			_, err := x.Write(make([]byte, 64<<10))
			done <- err
		}()
		if n := queued(); n != 0 {
			t.Errorf("%d bytes for little credit", n)
		}
		c.gotWindow(x.id, 1)
		if n := queued(); n != leastCredit {
			t.Errorf("%d bytes for enough credit", n)
		}
		take(t, c)
		c.gotWindow(x.id, 60<<10)
		if n := queued(); n != 60<<10 {
			t.Errorf("%d bytes, all that is left", n)
		}
		take(t, c)
		if err := <-done; err != nil {
			t.Error(err)
		}
		c.gotWindow(x.id, 10)
		if n, err := x.Write(make([]byte, 10)); n != 10 || err != nil {
			t.Errorf("the credit is enough for all: %d, %v", n, err)
		}
	})
}

// What was read and not granted is lost to a peer far away: of a small window
// that may be half, of a large one an eighth. A window grows only if its reader
// has had to wait for it.
func TestGrants(t *testing.T) {
	for window, at := range map[int64]int64{64 << 10: 32 << 10, 512 << 10: 256 << 10, 1 << 20: 256 << 10, 8 << 20: 1 << 20} {
		c, x := newBare(true)
		x.window = window
		if x.consumeLocked(int(at - 1)); x.grant != 0 {
			t.Errorf("window %d: %d granted for %d read", window, x.grant, at-1)
		}
		if !x.consumeLocked(1) || x.grant != at || len(c.out.grants) != 1 {
			t.Errorf("window %d: %d granted for %d read", window, x.grant, at)
		}
	}
	for _, starved := range []bool{false, true} {
		c, x := newBare(true)
		c.growth = NewBudget(1 << 30)
		for range 2 {
			x.starved = starved
			x.consumeLocked(int(x.window / 2))
		}
		if grown := x.window > int64(c.limits.Window); grown != starved {
			t.Errorf("starved %v: the window is %d", starved, x.window)
		}
	}
}
