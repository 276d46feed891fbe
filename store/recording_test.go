package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/store"
	"adit/store/playback"
)

// kept is a log that knows the heads and the content of one request.
type kept struct {
	engine.RequestLog
	id engine.RequestID
}

func (k kept) Request(ctx context.Context, id engine.RequestID) (engine.Request, error) {
	if id != k.id {
		return engine.Request{}, engine.ErrNotFound
	}
	return engine.Request{ID: id, Heads: &engine.Heads{Request: "accept: */*\n", Response: "x-answer: 42\n"}}, nil
}

func (k kept) Content(ctx context.Context, id engine.RequestID, into *engine.Content) error {
	if id != k.id {
		return engine.ErrNotFound
	}
	into.Response = engine.Part{Data: []byte("forty-two"), Size: 9, Over: true}
	return nil
}

// What an engine tells while it is recorded can be played, with what was there
// before and what was captured.
func TestRecordingIsPlayed(t *testing.T) {
	now := time.Now()
	f := enginetest.NewFake(engine.Snapshot{
		Role: engine.RoleServer, Name: "edge", Version: "1", Instance: "i-7", Started: now.Add(-time.Hour),
		Connections: []engine.Connection{{ID: 5, Client: "pi", Peer: "192.0.2.1:7", Protocol: engine.ProtocolNative, State: engine.StateIdle, Opened: now.Add(-time.Minute), GreetingReady: now.Add(-time.Minute), Greeting: &engine.Greeting{ID: "pi", Hostname: "raspberry"}}},
		Capture:     engine.CaptureState{Capture: engine.Capture{Mode: engine.CaptureContent}},
	})
	path := filepath.Join(t.TempDir(), "incident.db")
	done := make(chan error)
	go func() { done <- store.Record(t.Context(), f, kept{id: 12}, path) }()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil || time.Now().After(end) {
			break
		}
	}
	for id := engine.RequestID(11); id <= 13; id++ {
		f.Publish(engine.Event{Kind: engine.KindRequestFinished, Connection: 5, Client: "pi", Request: &engine.Request{
			ID: id, Connection: 5, Client: "pi", Method: "GET", Target: "http://x/", Status: 200, Arrived: time.Now(), LastByte: time.Millisecond, Outcome: engine.OutcomeCompleted,
		}})
	}
	f.Publish(engine.Event{Kind: engine.KindOperatorAction, Action: engine.ActionKill, Target: "c-5", Operator: "eva"})
	f.Update(func(s *engine.Snapshot) { s.Totals.Requests = 3; s.Connections[0].BytesIn = 77 })
	time.Sleep(1200 * time.Millisecond)                                  // a sample is taken once a second
	f.Update(func(s *engine.Snapshot) { s.Connections[0].BytesIn = 78 }) // and at the end
	f.End()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := store.Record(t.Context(), f, kept{}, path); !errors.Is(err, os.ErrExist) {
		t.Errorf("an existing file is not refused: %v", err)
	}

	r, err := playback.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.Pause(true)
	r.Seek(time.Now())
	var s engine.Snapshot
	var page engine.RequestPage
	var events engine.EventPage
	var content engine.Content
	if err := errors.Join(r.Snapshot(t.Context(), &s), r.Requests(t.Context(), engine.RequestQuery{Count: 9, Complete: true}, &page),
		r.Events(t.Context(), engine.EventQuery{Count: 9, Filter: "kind:operator_action"}, &events), r.Content(t.Context(), 12, &content)); err != nil {
		t.Fatal(err)
	}
	if len(s.Connections) != 1 || s.Connections[0].BytesIn != 78 || s.Connections[0].Greeting == nil || s.Connections[0].Greeting.Hostname != "raspberry" || s.Totals.Requests != 3 || s.Name != "edge" || s.Instance != "i-7" {
		t.Errorf("%+v", s)
	}
	if len(page.Requests) != 3 || len(events.Events) != 1 || string(content.Response.Data) != "forty-two" {
		t.Errorf("%+v %+v %+v", page, events, content)
	}
	if x, err := r.Request(t.Context(), 12); err != nil || x.Heads == nil || x.Heads.Response != "x-answer: 42\n" {
		t.Errorf("%+v, %v", x, err)
	}
	if err := r.Content(t.Context(), 11, &content); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("content of one that has none: %v", err)
	}
}

// What is kept of one run is there in the next, behind its ring, and ids go on.
func TestNextRunShowsTheLastOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "adit", "server-edge.db")
	var newest engine.RequestID
	for n := range 3 {
		f := enginetest.NewFake(engine.Snapshot{Instance: "i-7"})
		k, err := store.OpenAt(store.FileOptions{Path: path, Role: "server", Name: "edge"})
		if err != nil {
			t.Fatal(err)
		}
		first, _ := k.Next()
		if first <= newest {
			t.Errorf("ids begin with %v again", first)
		}
		log, err := k.Keep(f)
		if err != nil {
			t.Fatal(err)
		}
		for i := range engine.RequestID(10) {
			newest = first + i
			f.Publish(engine.Event{Kind: engine.KindRequestFinished, Request: &engine.Request{ID: newest, Method: "GET", Target: "/", Client: "pi", Status: 200, Arrived: time.Now(), Outcome: engine.OutcomeCompleted}})
		}
		f.Publish(engine.Event{Kind: engine.KindStopped})
		f.End()
		for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			var page engine.RequestPage
			if err := log.Requests(t.Context(), engine.RequestQuery{Count: 100, Complete: true}, &page); err != nil {
				t.Fatal(err)
			}
			var events engine.EventPage
			if err := log.Events(t.Context(), engine.EventQuery{Count: 100}, &events); err != nil {
				t.Fatal(err)
			}
			if page.Kept == 10 && page.Stored == n*10 && len(page.Requests) == (n+1)*10 && len(events.Events) == n+1 {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("run %d: %d kept, %d stored, %d shown, %d events", n, page.Kept, page.Stored, len(page.Requests), len(events.Events))
			}
		}
		if r, err := log.Request(t.Context(), 1); err != nil || r.Client != "pi" {
			t.Errorf("run %d: %+v, %v", n, r, err)
		}
		k.Close()
	}
	r, err := playback.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var s engine.Snapshot
	if err := r.Snapshot(t.Context(), &s); err != nil || s.Instance != "i-7" {
		t.Errorf("the process is called %q; %v", s.Instance, err)
	}
}
