package client

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"adit/engine"
)

// Over wsp the handler must return for the connection to carry the next
// request, whatever became of the content of the one before.
func TestClassicConnectionIsUsedAgain(t *testing.T) {
	addr := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/early":
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			io.WriteString(w, "big")
		case "/echo":
			http.NewResponseController(w).EnableFullDuplex()
			io.Copy(w, r.Body)
		default:
			io.WriteString(w, "hello")
		}
	})
	g := newRig(t, Options{Live: Live{Rules: anyRules(t)}, Protocol: engine.ProtocolClassic})
	for range 10 {
		if resp, content, err := g.do(t, request("GET", addr, "/")); err != nil || resp.Status != 200 || content != "hello" {
			t.Fatalf("get: %v %q %v", resp, content, err)
		}
		awaitSlot(t, g)
		// Of unknown length: else the origin may have answered all of it before
		// the frame that ends it was written, which costs the connection.
		x := g.open(t, t.Context(), request("POST", addr, "/echo"), false)
		var upload sync.WaitGroup
		upload.Go(func() {
			io.WriteString(x, strings.Repeat("x", 100_000))
			x.CloseWrite(nil)
		})
		if _, err := x.ReadResponse(); err != nil {
			t.Fatalf("echo: %v", err)
		}
		if n, err := io.Copy(io.Discard, x); n != 100_000 || err != nil {
			t.Fatalf("echo: %d bytes, %v", n, err)
		}
		upload.Wait()
		x.Close()
		awaitSlot(t, g)
	}
	x := g.open(t, t.Context(), request("POST", addr, "/early"), false)
	go func() {
		for {
			if _, err := x.Write(make([]byte, 32<<10)); err != nil {
				return
			}
		}
	}()
	if resp, err := x.ReadResponse(); err != nil || resp.Status != 413 {
		t.Fatalf("early: %v %v", resp, err)
	}
	if content, err := io.ReadAll(x); string(content) != "big" || err != nil {
		t.Errorf("early: %q, %v", content, err)
	}
	x.Close()
	<-g.conn.Done() // a request that was not sent to its end costs the connection
	for i, rec := range g.records() {
		if rec.Outcome != engine.OutcomeCompleted && i < 20 || rec.Protocol != engine.ProtocolClassic {
			t.Errorf("record %d: %+v", i, rec)
		}
	}
}

// awaitSlot returns when the classic connection is idle again.
func awaitSlot(t *testing.T, g *rig) {
	t.Helper()
	for !g.conn.Reserve() {
		select {
		case <-g.conn.Done():
			code, reason := g.conn.Ended()
			t.Fatalf("the connection ended: %d %s", code, reason)
		case <-t.Context().Done():
			t.Fatal("the connection stays busy")
		default:
		}
	}
	g.conn.Unreserve()
}
