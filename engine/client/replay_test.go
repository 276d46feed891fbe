package client

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/policy"
)

func by(name string) engine.Operator { return engine.Operator{Name: name} }

// replayed sends r and waits for its record.
func (g *rig) replayed(t *testing.T, r engine.Replay) *engine.Request {
	t.Helper()
	id, err := g.client.Replay(t.Context(), r, by("ann"))
	if err != nil {
		t.Fatal(err)
	}
	return g.record(t, id)
}

// awaitURLs waits until the client knows by what URLs callers reach it.
func (g *rig) awaitURLs(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		var s engine.Snapshot
		if g.client.Snapshot(t.Context(), &s); s.Expose[0].URL != "" {
			return
		}
	}
	t.Fatal("no url of what is exposed")
}

// record waits for the record of an exchange.
func (g *rig) record(t *testing.T, id engine.RequestID) *engine.Request {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		g.mu.Lock()
		i := slices.IndexFunc(g.finished, func(r *engine.Request) bool { return r.ID == id })
		var rec *engine.Request
		if i >= 0 {
			rec = g.finished[i]
		}
		g.mu.Unlock()
		if rec != nil {
			return rec
		}
	}
	t.Fatalf("%v never ended", id)
	return nil
}

func echoOrigin(t *testing.T) *httptest.Server {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %s %v %s", r.Method, r.Host, r.URL.RequestURI(), r.Header.Get("X-Test"), r.ContentLength, body)
	}))
	t.Cleanup(origin.Close)
	return origin
}

func TestReplayReachesTheOrigin(t *testing.T) {
	origin := echoOrigin(t)
	address := strings.TrimPrefix(origin.URL, "http://")
	rules, err := (&policy.RuleSet{Allow: []string{address}}).Compile()
	if err != nil {
		t.Fatal(err)
	}
	g := newRig(t, Options{Live: Live{Rules: rules}, Capture: engine.Capture{Mode: engine.CaptureOff}, FirstRequest: 5000,
		Expose: []Expose{{Host: "app", Origin: origin.URL}}})
	g.awaitURLs(t)
	fields := []engine.Field{{Name: "x-test", Value: "1"}, {Name: "connection", Value: "close"}, {Name: "content-length", Value: "9"}}
	for _, k := range []struct {
		target, host string
		status       int
	}{
		{"http://app0.example:8080/a?b=c", "app0.example:8080", 200}, // as the rig's welcome says
		{origin.URL + "/x", address, 200},
		{"http://forbidden.example/x", "", 403},
	} {
		rec := g.replayed(t, engine.Replay{Of: 17, Method: "PUT", Target: k.target, Fields: fields, Content: []byte("hello")})
		if rec.ID < 5000 || rec.Status != k.status || !rec.Replay || rec.Caller != "replay by ann" || rec.Connection != 0 || rec.Captured == nil {
			t.Errorf("%s: record %+v", k.target, rec)
		}
		if k.status != 200 {
			continue
		}
		var c engine.Content
		rec.Captured.Content(&c)
		path := k.target[strings.LastIndex(k.target, "/"):]
		if want := "PUT " + k.host + " " + path + " 1 5 hello"; string(c.Response.Data) != want || !c.Response.Whole() {
			t.Errorf("%s: the origin answered %q, want %q", k.target, c.Response.Data, want)
		}
		if string(c.Request.Data) != "hello" || !c.Request.Whole() || rec.RequestBytes != 5 {
			t.Errorf("%s: sent %q", k.target, c.Request.Data)
		}
	}
	if _, err := g.client.Replay(t.Context(), engine.Replay{Method: "GET", Target: origin.URL, Client: "other"}, by("ann")); err == nil {
		t.Error("a replay by another client is taken")
	}
	if _, err := g.client.Replay(t.Context(), engine.Replay{Method: "GET", Target: origin.URL, Content: make([]byte, 2<<20)}, by("ann")); !errors.Is(err, engine.ErrTooMuch) {
		t.Errorf("too much content: %v", err)
	}
	g.stop()
	if _, err := g.client.Replay(t.Context(), engine.Replay{Method: "GET", Target: origin.URL}, by("ann")); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

func TestReplayIsBoundedAndEnds(t *testing.T) {
	piece := bytes.Repeat([]byte("x"), 64<<10)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/big":
			for range 160 {
				w.Write(piece)
			}
		case "/stuck":
			io.WriteString(w, "so far")
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		default:
			<-r.Context().Done()
		}
	}))
	defer origin.Close()
	g := newRig(t, Options{Grace: 10 * time.Millisecond, Expose: []Expose{{Host: "app", Origin: origin.URL}}})
	g.awaitURLs(t)
	g.client.replays.every = 50 * time.Millisecond
	if rec := g.replayed(t, engine.Replay{Method: "GET", Target: "http://app0.example/silent"}); rec.Outcome != engine.OutcomeTimedOut || rec.Status != 504 {
		t.Errorf("of a silent origin: %+v", rec)
	}
	g.client.replays.every = replayIdle
	rec := g.replayed(t, engine.Replay{Method: "GET", Target: "http://app0.example/big"})
	var c engine.Content
	if rec.Captured.Content(&c); c.Response.Size != 10<<20 || len(c.Response.Data) != engine.MaxContent || rec.ResponseBytes != 10<<20 {
		t.Errorf("of a big answer %d bytes of %d are kept", len(c.Response.Data), c.Response.Size)
	}
	var ids []engine.RequestID
	for range maxReplays {
		id, err := g.client.Replay(t.Context(), engine.Replay{Method: "GET", Target: "http://app0.example/stuck"}, by("ann"))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if _, err := g.client.Replay(t.Context(), engine.Replay{Method: "GET", Target: "http://app0.example/stuck"}, by("ann")); !errors.Is(err, engine.ErrTooMuch) {
		t.Errorf("one too many: %v", err)
	}
	if err := g.client.CancelExchange(t.Context(), ids[0], by("bob")); err != nil {
		t.Error(err)
	}
	if rec := g.record(t, ids[0]); rec.Reason != engine.ReasonOperator.String() {
		t.Errorf("cancelled: %+v", rec)
	}
	g.stop() // after the grace period it waits for none of them
	for _, id := range ids[1:] {
		if rec := g.record(t, id); rec.Outcome == engine.OutcomeCompleted || rec.Outcome == engine.OutcomeNone {
			t.Fatalf("cut at the end: %+v", rec)
		}
	}
}
