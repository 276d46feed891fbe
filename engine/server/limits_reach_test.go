package server

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
)

// echoed reports whether a caller of a port is carried: what it says comes back.
func (b *bench) echoed(port uint16) (io.Closer, bool) {
	b.t.Helper()
	conn, err := b.dialPort(port)
	if errors.Is(err, syscall.ECONNRESET) {
		return io.NopCloser(nil), false // turned away before the dial had returned
	}
	if err != nil {
		b.t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, "hello")
	_, err = bufio.NewReader(conn).ReadByte()
	return conn, err == nil
}

func (b *bench) tighten(change func(*Caps)) {
	l := *b.s.live()
	change(&l.Caps)
	b.s.Update(l, engine.Operator{Name: "test"})
}

// A caller of a TCP port is an exchange of the client's like any other.
func TestExchangesOfTCPCallersAreBounded(t *testing.T) {
	port := enginetest.FreePort(t)
	b := serveDistant(t, withPorts(port, port))
	if _, err := b.tryDial(greeting("edge", engine.Expose{TCP: port}), echoRaw); err != nil {
		t.Fatal(err)
	}
	b.awaitMember("edge")
	b.tighten(func(c *Caps) { c.ExchangesPerClient = 2 })
	var first io.Closer
	for i := range 2 {
		conn, ok := b.echoed(port)
		defer conn.Close()
		if !ok {
			t.Fatalf("caller %d is not carried", i)
		}
		first = conn
	}
	if conn, ok := b.echoed(port); ok {
		t.Error("a third caller is carried")
	} else {
		conn.Close()
	}
	if e := b.await(engine.KindLimitReached, 1); e.Target != limitExchanges.String() || e.Client != "edge" {
		t.Errorf("told: %+v", e)
	}
	first.Close()
	b.eventually("another takes the place of who left", func() bool {
		conn, ok := b.echoed(port)
		conn.Close()
		return ok
	})
}

// Who is not an HTTP request takes memory too.
func TestNothingNewIsTakenWithoutMemory(t *testing.T) {
	port := enginetest.FreePort(t)
	b := serveDistant(t, withPorts(port, port))
	m := &b.s.limits.memory
	used := uint64(1)
	m.used, m.soft, m.free = func() uint64 { return used }, func(int64) int64 { return 1 << 62 }, func() {}
	if _, err := b.tryDial(greeting("edge", engine.Expose{Host: "app"}, engine.Expose{TCP: port}), echoRaw); err != nil {
		t.Fatal(err)
	}
	b.awaitMember("edge")
	running, ok := b.echoed(port)
	defer running.Close()
	if !ok {
		t.Fatal("a caller is not carried")
	}
	b.tighten(func(c *Caps) { c.Memory = 1 << 20 })
	now := func(n uint64) {
		m.mu.Lock()
		used = n
		m.mu.Unlock()
		m.look()
	}
	replay := engine.Replay{Way: engine.WayHost, Method: "GET", Target: "http://" + appHost + "/"}
	tries := map[string]func() error{
		"a caller of a port": func() error {
			conn, ok := b.echoed(port)
			conn.Close()
			if !ok {
				return errors.New("503") // a reset says no more
			}
			return nil
		},
		"a registration": func() error {
			s, err := b.tryDial(greeting("other"), hello)
			if err == nil {
				s.Close(engine.CloseNormal, "")
			}
			return err
		},
		"a replay": func() error {
			_, err := b.s.Replay(t.Context(), replay, by("ann"))
			if errors.Is(err, engine.ErrTooMuch) && strings.Contains(err.Error(), "memory") {
				return errors.New("503")
			}
			return err
		},
	}
	now(1<<20 + 1)
	for name, try := range tries {
		if err := try(); err == nil || !strings.Contains(err.Error(), "503") {
			t.Errorf("%s without memory: %v", name, err)
		}
	}
	now(1)
	for name, try := range tries {
		if err := try(); err != nil {
			t.Errorf("%s when there is memory again: %v", name, err)
		}
	}
	if n := b.s.limits.counts[limitMemory].Load(); n < 3 {
		t.Errorf("told of %d", n)
	}
}

// What no caller may send nobody may send again.
func TestContentOfAReplayIsBounded(t *testing.T) {
	b := exposed(t, hello)
	b.tighten(func(c *Caps) { c.Body = 1000 })
	r := engine.Replay{Way: engine.WayHost, Method: "POST", Target: "http://" + appHost + "/", Content: make([]byte, 1001)}
	if _, err := b.s.Replay(t.Context(), r, by("ann")); !errors.Is(err, engine.ErrTooMuch) || !strings.Contains(err.Error(), "1000") {
		t.Errorf("1001 bytes of at most 1000: %v", err)
	}
	if e := b.await(engine.KindLimitReached, 1); e.Target != limitBody.String() {
		t.Errorf("told: %+v", e)
	}
	r.Content = r.Content[:1000]
	id, err := b.s.Replay(t.Context(), r, by("ann"))
	if err != nil {
		t.Fatal(err)
	}
	if rec := b.finished(1); rec.ID != id || rec.Status != 200 {
		t.Errorf("%+v", rec)
	}
}
