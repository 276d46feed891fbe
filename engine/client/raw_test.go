package client

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"adit/engine"
	"adit/engine/wire"
)

func TestUpgradeIsCarried(t *testing.T) {
	addr := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "echo" {
			w.WriteHeader(http.StatusUpgradeRequired)
			return
		}
		c, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello ")
		io.Copy(c, buffered)
	})
	g := newRig(t, Options{Live: Live{Rules: anyRules(t)}})
	x := g.open(t, t.Context(), request("GET", addr, "/", wire.Field{Name: "upgrade", Value: "echo"}), false)
	resp, err := x.ReadResponse()
	if err != nil || resp.Status != 101 || wire.Get(resp.Fields, "upgrade") != "echo" {
		t.Fatalf("got %v, %v", resp, err)
	}
	io.WriteString(x, "world")
	x.CloseWrite(nil)
	if got, err := io.ReadAll(x); string(got) != "hello world" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	x.Close()
	if rec := g.records()[0]; !rec.Upgraded || rec.Status != 101 || rec.Outcome != engine.OutcomeCompleted ||
		rec.RequestBytes != 5 || rec.ResponseBytes != 11 {
		t.Errorf("record %+v", rec)
	}
}

// listen serves each TCP connection by f.
func listen(t testing.TB, f func(*net.TCPConn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				f(c.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		wg.Wait()
	})
	return ln.Addr().String()
}

func TestStreamsHaveHalfClose(t *testing.T) {
	// The origin answers only once the caller has ended its side, and the
	// other way round.
	after := listen(t, func(c *net.TCPConn) {
		all, _ := io.ReadAll(c)
		fmt.Fprintf(c, "got %d", len(all))
	})
	heard := make(chan struct{})
	before := listen(t, func(c *net.TCPConn) {
		defer close(heard)
		io.WriteString(c, "bye")
		c.CloseWrite()
		all, _ := io.ReadAll(c)
		if len(all) != 1<<20 {
			t.Errorf("the origin got %d bytes after its end", len(all))
		}
	})
	g := newRig(t, Options{Live: Live{Rules: anyRules(t)}, Expose: []Expose{{TCP: 5432, Origin: after}, {Host: "a", Origin: "http://" + after}}})
	for _, route := range []uint64{0, 1} {
		x := g.connect(t, route, after)
		resp, err := x.ReadResponse()
		if err != nil || resp.Status != 200 {
			t.Fatalf("route %d: %v %v", route, resp, err)
		}
		x.Write(make([]byte, 1<<20))
		x.CloseWrite(nil)
		if got, err := io.ReadAll(x); string(got) != fmt.Sprint("got ", 1<<20) || err != nil {
			t.Errorf("route %d: read %q, %v", route, got, err)
		}
		x.Close()
	}
	x := g.connect(t, 0, before)
	if _, err := x.ReadResponse(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(x); string(got) != "bye" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	x.Write(make([]byte, 1<<20))
	x.CloseWrite(nil)
	<-heard
	x.Close()
	for _, refused := range []struct {
		route  uint64
		target string
	}{{2, ""}, {9, ""}} {
		x := g.connect(t, refused.route, refused.target)
		if _, err := x.ReadResponse(); engine.ReasonOf(err) != engine.ReasonDenied {
			t.Errorf("route %d: %v", refused.route, err)
		}
	}
	recs := g.records()
	if len(recs) != 5 {
		t.Fatalf("%d records", len(recs))
	}
	for i, rec := range recs[:3] {
		if rec.Outcome != engine.OutcomeCompleted || rec.RequestBytes != 1<<20 || rec.Method != "CONNECT" {
			t.Errorf("record %d: %+v", i, rec)
		}
	}
}

// RST on one side is RST on the other: a stream that was cut must not look
// ended.
func TestStreamsPassResetsOn(t *testing.T) {
	ready := make(chan struct{}, 1)
	ended := make(chan error, 1)
	addr := listen(t, func(c *net.TCPConn) {
		r := bufio.NewReader(c)
		if line, _ := r.ReadString('\n'); line == "die\n" {
			c.SetLinger(0)
			return
		}
		ready <- struct{}{}
		_, err := io.Copy(io.Discard, r)
		ended <- err
	})
	g := newRig(t, Options{Live: Live{Rules: anyRules(t)}})
	x := g.connect(t, 0, addr)
	if _, err := x.ReadResponse(); err != nil {
		t.Fatal(err)
	}
	io.WriteString(x, "die\n")
	if _, err := io.ReadAll(x); engine.ReasonOf(err) != engine.ReasonOriginFailed {
		t.Errorf("the origin's reset arrives as %v", err)
	}
	x = g.connect(t, 0, addr)
	if _, err := x.ReadResponse(); err != nil {
		t.Fatal(err)
	}
	io.WriteString(x, "live\n")
	<-ready
	x.Reset(wire.ResetCancelled, "caller reset")
	if err := <-ended; err == nil {
		t.Error("the caller's reset arrives as an end")
	}
	x.Close()
	recs := g.records()
	if recs[0].Outcome != engine.OutcomeTruncated || recs[1].Outcome != engine.OutcomeCallerGone {
		t.Errorf("records %+v, %+v", recs[0], recs[1])
	}
}
