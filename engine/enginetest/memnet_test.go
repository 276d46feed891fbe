package enginetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestPipeKeepsBytesInOrder(t *testing.T) {
	a, b := Pipe()
	want := make([]byte, 1<<20)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range want {
		want[i] = byte(rng.Uint32())
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for rest := want; len(rest) > 0; {
			n := min(1+rng.IntN(100_000), len(rest))
			if _, err := a.Write(rest[:n]); err != nil {
				t.Error(err)
				return
			}
			rest = rest[n:]
		}
		_ = a.Close()
	})
	got, err := io.ReadAll(b)
	wg.Wait()
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("read %d bytes, %v; want the %d written", len(got), err, len(want))
	}
}

func TestPipeBoundsWhatItHolds(t *testing.T) {
	a, b := Pipe()
	defer b.Close()
	_ = a.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
	n, err := a.Write(make([]byte, 2*PipeBuffer))
	if n != PipeBuffer || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("wrote %d, %v", n, err)
	}
	if a.Buffered() != PipeBuffer {
		t.Fatalf("buffered %d", a.Buffered())
	}
}

func TestPipeDeadlineWakesReaderInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe()
		defer a.Close()
		defer b.Close()
		began := time.Now()
		_ = a.SetReadDeadline(began.Add(time.Hour))
		_, err := a.Read(make([]byte, 1))
		var ne net.Error
		if !errors.As(err, &ne) || !ne.Timeout() || time.Since(began) != time.Hour {
			t.Fatalf("%v after %v", err, time.Since(began))
		}
		_ = a.SetReadDeadline(time.Time{})
		go b.Write([]byte{7})
		var p [1]byte
		if _, err := a.Read(p[:]); err != nil || p[0] != 7 {
			t.Fatalf("after the deadline was taken back: %v, %v", p, err)
		}
		_ = a.SetReadDeadline(time.Now().Add(-time.Second))
		if _, err := a.Read(p[:]); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("past deadline: %v", err)
		}
	})
}

func TestPipeHalfCloseLeavesOtherDirection(t *testing.T) {
	a, b := Pipe()
	_, _ = a.Write([]byte("question"))
	_ = a.CloseWrite()
	if _, err := a.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Fatalf("write after CloseWrite: %v", err)
	}
	q, err := io.ReadAll(b)
	if err != nil || string(q) != "question" {
		t.Fatalf("%q, %v", q, err)
	}
	_, _ = b.Write([]byte("answer"))
	_ = b.Close()
	got, err := io.ReadAll(a)
	if err != nil || string(got) != "answer" {
		t.Fatalf("%q, %v", got, err)
	}
	_ = a.Close()
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("read after close: %v", err)
	}
}

func TestPipeCloseWakesBlockedPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe()
		var reader, writer error
		go func() { _, reader = b.Read(make([]byte, 1)) }()
		go func() { _, writer = b.Write(make([]byte, 2*PipeBuffer)) }()
		synctest.Wait()
		_ = a.Close()
		synctest.Wait()
		if reader != io.EOF || !errors.Is(writer, syscall.EPIPE) {
			t.Fatalf("reader %v, writer %v", reader, writer)
		}
	})
}

func TestPipeResetLosesWhatIsBuffered(t *testing.T) {
	a, b := Pipe()
	_, _ = a.Write([]byte("lost"))
	a.Reset()
	if n, err := b.Read(make([]byte, 10)); n != 0 || !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("peer read %d, %v", n, err)
	}
	if _, err := b.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("peer wrote: %v", err)
	}
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("own read: %v", err)
	}
	if _, err := a.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("own write: %v", err)
	}
}

func TestListenerServesHTTPInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewNetwork()
		ln := n.Listen("origin.test:80")
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, r.Host)
		})}
		var served error
		go func() { served = srv.Serve(ln) }()
		tr := &http.Transport{DialContext: n.DialContext}
		resp, err := (&http.Client{Transport: tr}).Get("http://origin.test/")
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if string(got) != "origin.test" {
			t.Fatalf("got %q", got)
		}
		tr.CloseIdleConnections()
		_ = srv.Close()
		synctest.Wait()
		if served != http.ErrServerClosed {
			t.Fatal(served)
		}
		if _, err := n.DialContext(t.Context(), "tcp", "origin.test:80"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("dial after close: %v", err)
		}
		if _, err := n.DialContext(t.Context(), "tcp", "nobody.test:80"); err == nil {
			t.Fatal("dialled an unknown host")
		}
	})
}

func TestListenerCloseResetsBacklog(t *testing.T) {
	ln := NewListener(80)
	c, err := ln.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("not accepted, then closed: %v", err)
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("accept: %v", err)
	}
}

func TestDialWaitsForBacklogUntilContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := NewListener(80)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for i := range 128 {
			if _, err := ln.Dial(ctx); err != nil {
				t.Fatalf("dial %d: %v", i, err)
			}
		}
		if _, err := ln.Dial(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("dial 129: %v", err)
		}
		_ = ln.Close()
	})
}
