package origin

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/wire"
)

// An origin that says nothing gets the content after a second.
func TestContinueIsNotWaitedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := enginetest.Pipe()
		defer far.Close()
		var after time.Duration
		go func() {
			r := bufio.NewReader(far)
			head(r)
			start := time.Now()
			io.ReadFull(r, make([]byte, 5))
			after = time.Since(start)
			io.WriteString(far, ok("Content-Length: 0\r\n\r\n"))
		}()
		tr := New(dialled(near))
		defer tr.Close()
		r := post("origin.example:80", strings.NewReader("hello"), 5)
		r.Fields = []wire.Field{{Name: "Expect", Value: "100-continue"}}
		exchange(t, tr, r)
		if after != time.Second {
			t.Errorf("content came after %v", after)
		}
	})
}

// The deadline of the head counts from the end of the request.
func TestHeadTimeoutFollowsTheContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := enginetest.Pipe()
		defer far.Close()
		go io.Copy(io.Discard, far)
		o := dialled(near)
		o.HeadTimeout = 5 * time.Second
		tr := New(o)
		defer tr.Close()
		content := &paused{rest: make(chan string)}
		go func() {
			time.Sleep(time.Minute)
			content.rest <- "hello"
			close(content.rest)
		}()
		start := time.Now()
		r := post("origin.example:80", content, 5)
		_, err := tr.Send(t.Context(), r)
		r.Join()
		if took := time.Since(start); engine.ReasonOf(err) != engine.ReasonTimedOut || took != 65*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// A head that came late leaves no deadline behind for the content.
func TestHeadTimeoutEndsWithTheHead(t *testing.T) {
	for _, content := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			near, far := enginetest.Pipe()
			defer far.Close()
			go func() {
				r := bufio.NewReader(far)
				for range 2 {
					head(r)
					if content {
						io.ReadFull(r, make([]byte, 5))
					}
					io.WriteString(far, "HTTP/1.1 103 Early Hints\r\n\r\n"+ok("Content-Length: 5\r\n\r\n"))
					time.Sleep(time.Minute)
					io.WriteString(far, "hello")
				}
			}()
			o := dialled(near)
			o.HeadTimeout, o.IdleTimeout = 5*time.Second, time.Hour
			tr := New(o)
			defer tr.Close()
			for range 2 {
				r := get("origin.example:80", "/")
				if content {
					r = post("origin.example:80", strings.NewReader("hello"), 5)
				}
				if _, text := exchange(t, tr, r); text != "hello" {
					t.Errorf("got %q", text)
				}
				time.Sleep(time.Minute)
			}
		})
	}
}

// A cancel that comes when all is over must not hit who has the connection next.
func TestLateCancelHitsNobody(t *testing.T) {
	s := newScript(t, answers(ok("Content-Length: 5\r\n\r\nhello")))
	tr := newTransport(t, Options{})
	for range 2000 {
		ctx, cancel := context.WithCancel(t.Context())
		resp, err := tr.Send(ctx, get(s.addr, "/"))
		if err != nil {
			t.Fatal(err)
		}
		go cancel()
		io.Copy(io.Discard, resp.Content)
		resp.Content.Close()
	}
	if s.conns.Load() != 1 {
		t.Errorf("%d connections", s.conns.Load())
	}
}

// Nor does a request that ends after its answer has begun.
func TestHeadTimeoutSparesAnEarlyResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := enginetest.Pipe()
		defer far.Close()
		go func() {
			r := bufio.NewReader(far)
			head(r)
			io.WriteString(far, ok("Content-Length: 5\r\n\r\n"))
			io.ReadFull(r, make([]byte, 5))
			time.Sleep(time.Minute)
			io.WriteString(far, "hello")
		}()
		o := dialled(near)
		o.HeadTimeout = 5 * time.Second
		tr := New(o)
		defer tr.Close()
		content := &paused{rest: make(chan string)}
		go func() {
			time.Sleep(time.Second)
			content.rest <- "hello"
			close(content.rest)
		}()
		if _, text := exchange(t, tr, post("origin.example:80", content, 5)); text != "hello" {
			t.Errorf("got %q", text)
		}
	})
}

// An origin that saw the cancel may have ended its answer because of it.
func TestEndAfterCancelIsNoEnd(t *testing.T) {
	s := newScript(t, func(c *net.TCPConn, r *bufio.Reader) {
		head(r)
		io.WriteString(c, ok("\r\nhello")) // until close
	})
	tr := newTransport(t, Options{})
	for _, answer := range []string{"", ok("Content-Length: 5\r\n\r\nhello"), chunked("5\r\nhello\r\n0\r\n\r\n")} {
		if answer != "" {
			s = newScript(t, answers(answer))
		}
		ctx, cancel := context.WithCancel(t.Context())
		resp, err := tr.Send(ctx, get(s.addr, "/"))
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if content, err := io.ReadAll(resp.Content); engine.ReasonOf(err) != engine.ReasonCallerGone {
			t.Errorf("%q: %q, %v", answer, content, err)
		}
		resp.Content.Close()
	}
}

// A slow dial takes nothing off the time that the origin has.
func TestHeadTimeoutFollowsTheDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := enginetest.Pipe()
		defer far.Close()
		go func() {
			head(bufio.NewReader(far))
			time.Sleep(4 * time.Second)
			io.WriteString(far, ok("Content-Length: 5\r\n\r\nhello"))
		}()
		o := Options{HeadTimeout: 5 * time.Second, Dial: func(context.Context, Class, string) (net.Conn, error) {
			time.Sleep(4 * time.Second)
			return near, nil
		}}
		tr := New(o)
		defer tr.Close()
		resp, text := exchange(t, tr, get("origin.example:80", "/"))
		if text != "hello" || resp.Connected != 4*time.Second || resp.FirstByte != 8*time.Second {
			t.Errorf("got %q, connected after %v, first byte after %v", text, resp.Connected, resp.FirstByte)
		}
	})
}

// A connection keeps the deadline of an earlier request, to spare the socket a
// new one: it must cut off neither a later head nor content, and a silent origin
// still has no more time than is meant.
func TestDeadlineOfAnEarlierRequest(t *testing.T) {
	const pause, limit = 600 * time.Millisecond, time.Second
	s := newScript(t, func(c *net.TCPConn, r *bufio.Reader) {
		for n := 0; ; n++ {
			if _, err := head(r); err != nil {
				return
			}
			switch n {
			case 0:
				io.WriteString(c, ok("Content-Length: 5\r\n\r\nhello"))
			case 1: // here the deadline of the first passes before the head
				time.Sleep(pause)
				io.WriteString(c, ok("Content-Length: 5\r\n\r\nhello"))
			case 2: // and here, of the second, before the content
				io.WriteString(c, ok("Content-Length: 5\r\n\r\n"))
				time.Sleep(limit + pause)
				io.WriteString(c, "hello")
			}
		}
	})
	tr := newTransport(t, Options{HeadTimeout: limit})
	for n := range 3 {
		if _, text := exchange(t, tr, get(s.addr, "/")); text != "hello" {
			t.Errorf("request %d: got %q", n, text)
		}
		if n == 0 {
			time.Sleep(pause)
		}
	}
	start := time.Now()
	_, err := tr.Send(t.Context(), get(s.addr, "/"))
	if took := time.Since(start); engine.ReasonOf(err) != engine.ReasonTimedOut || took < limit || took > 2*limit {
		t.Errorf("%v after %v", err, took)
	}
	if s.conns.Load() != 1 {
		t.Errorf("%d connections", s.conns.Load())
	}
}
