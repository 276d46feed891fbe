package client

import (
	"io"
	"net/http"
	"testing"

	"adit/engine"
)

func TestOnlySlowExchangesAreAnnouncedLate(t *testing.T) {
	release := make(chan struct{})
	addr := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			io.WriteString(w, "begin")
			w.(http.Flusher).Flush()
			<-release
		}
	})
	g := newRig(t, Options{Live: Live{Rules: anyRules(t)}})
	events := g.subscribe(t, engine.SubscribeOptions{Late: true, Kinds: engine.KindSet(engine.KindRequestStarted, engine.KindRequestFinished)})
	const fast = 20
	for range fast {
		if _, _, err := g.do(t, request("GET", addr, "/fast")); err != nil {
			t.Fatal(err)
		}
	}
	x := g.open(t, t.Context(), request("GET", addr, "/slow"), true)
	if _, err := x.ReadResponse(); err != nil {
		t.Fatal(err)
	}
	starts := 0
	var begun *engine.Request
	for ended := 0; ended < fast || begun == nil; {
		e := next(t, events)
		switch {
		case e.Kind == engine.KindRequestFinished:
			ended++
		case e.Request.ID == fast+1:
			begun = e.Request
		default:
			starts++
		}
	}
	if starts == fast {
		t.Error("every fast exchange was announced")
	}
	if begun.Target != "http://"+addr+"/slow" || begun.Live == nil || begun.Live.Over.Load() || begun.Live.Connection.Load() != uint64(begun.Connection) {
		t.Errorf("announced: %+v", begun)
	}
	close(release)
	if content, err := io.ReadAll(x); err != nil || string(content) != "begin" {
		t.Fatalf("%q, %v", content, err)
	}
	x.Close()
	if e := next(t, events); e.Kind != engine.KindRequestFinished || e.Request.ID != fast+1 || !begun.Live.Over.Load() || begun.Live.ResponseBytes.Load() != 5 {
		t.Errorf("the end: %v %+v", e.Kind, e.Request)
	}
}
