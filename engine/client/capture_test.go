package client

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"adit/engine"
	"adit/engine/wire"
)

// kept returns what was captured of a record.
func kept(t *testing.T, r *engine.Request) *engine.Content {
	t.Helper()
	var c engine.Content
	if r.Captured == nil || !r.Captured.Content(&c) {
		t.Fatalf("nothing is kept of %+v", r)
	}
	return &c
}

func TestContentIsKeptAtTheClient(t *testing.T) {
	big := strings.Repeat("big ", 50_000)
	addr := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/small":
			fmt.Fprintf(w, "read %s", body)
		case "/big":
			io.WriteString(w, big)
		case "/events":
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "data: 1\n\ndata: 2\n\n")
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		}
	})
	g := newRig(t, Options{Live: Live{Rules: anyRules(t)}, Capture: engine.Capture{Mode: engine.CaptureContent}})
	x := g.open(t, t.Context(), request("POST", addr, "/small", wire.Field{Name: "content-length", Value: "5"}), false)
	io.WriteString(x, "hello")
	x.CloseWrite(nil)
	if _, err := x.ReadResponse(); err != nil {
		t.Fatal(err)
	}
	io.ReadAll(x)
	x.Close()
	for _, path := range []string{"/big", "/events", "/none"} {
		if _, _, err := g.do(t, request("GET", addr, path)); err != nil {
			t.Fatal(err)
		}
	}
	all := g.records()
	if c := kept(t, all[0]); string(c.Request.Data) != "hello" || string(c.Response.Data) != "read hello" || !c.Request.Whole() || !c.Response.Whole() {
		t.Errorf("small: %+v", c)
	}
	if c := kept(t, all[1]); string(c.Response.Data) != big[:engine.MaxContent] || c.Response.Size != int64(len(big)) || !c.Response.Over || !c.Request.Whole() {
		t.Errorf("big: %d bytes of %d", len(c.Response.Data), c.Response.Size)
	}
	if c := kept(t, all[2]); len(c.Messages) != 2 || string(c.Messages[1].Data) != "data: 2" || c.Messages[1].FromCaller {
		t.Errorf("events: %+v", c)
	}
	if c := kept(t, all[3]); !c.Request.Whole() || !c.Response.Whole() || len(c.Response.Data) > 0 {
		t.Errorf("none: %+v", c)
	}
}

// Content whose length is known is whole with its last byte: its END may come in
// a piece of its own that nobody reads.
func TestRequestOfKnownLengthIsKeptWhole(t *testing.T) {
	addr := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
	})
	g := newRig(t, Options{Live: Live{Rules: anyRules(t)}, Capture: engine.Capture{Mode: engine.CaptureContent}})
	const n = 5000
	x := g.open(t, t.Context(), request("POST", addr, "/", wire.Field{Name: "content-length", Value: fmt.Sprint(n)}), false)
	io.WriteString(x, strings.Repeat("x", n))
	if _, err := x.ReadResponse(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(x); len(got) != n || err != nil {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	x.CloseWrite(nil)
	x.Close()
	if c := kept(t, g.records()[0]); !c.Request.Whole() || c.Request.Size != n {
		t.Errorf("%d bytes of %d, over %v", len(c.Request.Data), c.Request.Size, c.Request.Over)
	}
}

func TestStreamIsKeptAtTheClient(t *testing.T) {
	addr := listen(t, func(c *net.TCPConn) {
		defer c.Close()
		io.WriteString(c, "banner ")
		io.Copy(c, c)
	})
	g := newRig(t, Options{Live: Live{Rules: anyRules(t)}})
	if err := g.client.SetCapture(t.Context(), engine.Capture{Mode: engine.CaptureOff, Content: []string{"method:CONNECT"}}, by("ann")); err != nil {
		t.Fatal(err)
	}
	x := g.connect(t, 0, addr)
	if _, err := x.ReadResponse(); err != nil {
		t.Fatal(err)
	}
	io.WriteString(x, "hello")
	x.CloseWrite(nil)
	if got, err := io.ReadAll(x); string(got) != "banner hello" || err != nil {
		t.Fatalf("read %q, %v", got, err)
	}
	x.Close()
	g.do(t, request("GET", "none.invalid", "/"))
	all := g.records()
	c := kept(t, all[0])
	if string(c.Request.Data) != "hello" || string(c.Response.Data) != "banner hello" || !c.Request.Whole() || !c.Response.Whole() ||
		len(c.Messages) < 2 || c.Messages[0].Kind != engine.MessageBytes {
		t.Errorf("kept %+v", c)
	}
	if all[1].Captured != nil {
		t.Errorf("what no filter selects is kept: %+v", all[1])
	}
	var s engine.Snapshot
	if g.client.Snapshot(t.Context(), &s); s.Capture.Mode != engine.CaptureOff || len(s.Capture.Content) != 1 || len(s.Instance) != 16 {
		t.Errorf("snapshot %+v", s)
	}
}
