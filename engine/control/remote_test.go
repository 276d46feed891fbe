package control

import (
	"context"
	"errors"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/filter"
)

// local makes times comparable with what came over a link.
func local(s *engine.Snapshot) {
	for _, t := range []*time.Time{&s.Time, &s.Started} {
		*t = t.Local().Round(0)
	}
	for i := range s.Connections {
		c := &s.Connections[i]
		for _, t := range []*time.Time{&c.Opened, &c.GreetingReady, &c.PingNext} {
			if !t.IsZero() {
				*t = t.Local()
			}
		}
	}
}

func TestSnapshotOfARemoteThatDiffersFromTheEngines(t *testing.T) {
	rig := newRig(t, scene(42))
	r := dial(t, rig.path, DialOptions{})
	check := func(what string) {
		t.Helper()
		var want, got engine.Snapshot
		eventually(t, what, func() bool {
			if err := rig.engine.Snapshot(t.Context(), &want); err != nil {
				t.Fatal(err)
			}
			if err := r.Snapshot(t.Context(), &got); err != nil {
				t.Fatal(err)
			}
			want.Time = got.Time
			local(&want)
			return reflect.DeepEqual(want, got)
		})
	}
	check("the same at first")
	rig.engine.Update(func(s *engine.Snapshot) {
		s.Connections = slices.Delete(s.Connections, 3, 9)
		s.Connections[0].BytesIn += 1000
		s.Connections[0].FramesIn.Binary++
		s.Connections[0].State = engine.StateBusy
		s.Connections[5].Credential = "edge"
		s.Connections = append(s.Connections, engine.Connection{ID: 99, State: engine.StateGreeting, Opened: started})
		s.Totals.Requests++
		s.Banned = append(s.Banned, "eve")
		s.Waiting = 0
	})
	check("the same after changes")
	rig.engine.Update(func(s *engine.Snapshot) {
		s.Connections[0].State = engine.StateIdle
		s.Connections[5].Credential = ""
		s.Banned = s.Banned[:1]
		s.Draining = true
		s.Connections = s.Connections[:2]
	})
	check("the same after values that went back")
}

func TestActionThatDoesNotReachTheEngine(t *testing.T) {
	rig := newRig(t, scene(3))
	r := dial(t, rig.path, DialOptions{})
	by := engine.Operator{Name: "ignored", Reason: "too many errors"}
	ctx := t.Context()
	for _, err := range []error{
		r.CloseConnection(ctx, 2, engine.CloseKilled, by),
		r.Drain(ctx, 3, by),
		r.Drain(ctx, 0, by),
		r.Ban(ctx, "a/b c", by),
		r.Unban(ctx, "a/b c", by),
		r.CancelExchange(ctx, 7, by),
		r.SetCapture(ctx, engine.Capture{Mode: engine.CaptureContent, Content: []string{"path:/x"}}, by),
		r.Ban(ctx, ".", by), // a path that goes nowhere
		r.Ban(ctx, "..", by),
		r.Unban(ctx, "..", by),
		r.Ban(ctx, "../drain", by),
		r.Ban(ctx, "%2E%2e", by),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	again := engine.Replay{Of: 2, Client: "edge", Way: engine.WayHost, Method: "POST", Target: "http://a/b",
		Fields: []engine.Field{{Name: "accept", Value: "*/*"}}, Content: []byte{0, 255}}
	id, err := r.Replay(ctx, again, by)
	if err != nil || id == 0 {
		t.Errorf("replay: %v %v", id, err)
	}
	actions := rig.engine.Actions()
	if len(actions) != 13 {
		t.Fatalf("%d actions reached the engine, of 13", len(actions))
	}
	for i, client := range []string{".", "..", "..", "../drain", "%2E%2e"} {
		if got := actions[7+i].Client; got != client {
			t.Errorf("%q is banned instead of %q", got, client)
		}
	}
	for _, a := range actions {
		if a.By.Reason != by.Reason || a.By.Name != userName(os.Getuid()) {
			t.Errorf("%s by %+v", a.Action, a.By)
		}
	}
	if actions[0].Connection != 2 || actions[0].Code != engine.CloseKilled || actions[3].Client != "a/b c" {
		t.Errorf("actions %+v", actions)
	}
	if got := actions[12].Replay; !reflect.DeepEqual(*got, again) {
		t.Errorf("replay %+v, want %+v", *got, again)
	}
	if err := r.CloseConnection(ctx, 77, engine.CloseKilled, by); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("close of what is not there: %v", err)
	}
}

func TestLogOfARemoteThatDiffers(t *testing.T) {
	rig := newRig(t, scene(1))
	live := &engine.Live{}
	live.Connection.Store(1)
	live.ResponseBytes.Store(777)
	rig.log.records = append(rig.log.records, engine.Request{ID: 4, Arrived: started, Method: "GET", Live: live, Queued: -1, Sent: -1, Connect: -1, FirstByte: -1, LastByte: -1})
	r := dial(t, rig.path, DialOptions{})
	var page engine.RequestPage
	for range 2 { // the second time nothing has changed
		if err := r.Requests(t.Context(), engine.RequestQuery{Count: 10}, &page); err != nil {
			t.Fatal(err)
		}
		if len(page.Requests) != 4 || page.Newest != 4 || page.Matched != 4 || page.Capacity != 100 {
			t.Fatalf("%+v", page)
		}
		if x := page.Requests[0]; x.ResponseBytes != 777 || x.Connection != 1 || x.Outcome != engine.OutcomeNone || x.LastByte != -1 {
			t.Errorf("of one in flight: %+v", x)
		}
	}
	got, err := r.Request(t.Context(), 2)
	want := record(2)
	want.Arrived = want.Arrived.Local()
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n%+v\n%+v", err, got, want)
	}
	var c engine.Content
	if err := r.Content(t.Context(), 2, &c); err != nil {
		t.Fatal(err)
	}
	content := rig.log.contents[2]
	for i := range c.Messages {
		c.Messages[i].Time = c.Messages[i].Time.UTC()
	}
	if !reflect.DeepEqual(c, *content) {
		t.Errorf("\n%+v\n%+v", c, *content)
	}
	if err := r.Content(t.Context(), 3, &c); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("content that was not kept: %v", err)
	}
	var past engine.EventPage
	if err := r.Events(t.Context(), engine.EventQuery{Count: 1}, &past); err != nil || len(past.Events) != 1 || past.Keys[0] != 2 || !past.More {
		t.Errorf("%v %+v", err, past)
	}
	if err := r.Events(t.Context(), engine.EventQuery{Count: 1, Before: 2}, &past); err != nil || past.Events[0].Listen != "127.0.0.1:8080" || past.More {
		t.Errorf("%v %+v", err, past)
	}
	err = r.Requests(t.Context(), engine.RequestQuery{Filter: "status:200 dur:>20q", Count: 1}, &page)
	if e, ok := as[*filter.Error](err); !ok || e.Column != 16 {
		_, want := filter.Parse(filter.Requests, "status:200 dur:>20q")
		t.Errorf("a bad filter: %#v, want %#v", err, want)
	}
}

func TestEventThatDoesNotArrive(t *testing.T) {
	rig := newRig(t, scene(1))
	r := dial(t, rig.path, DialOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	life, err := r.Subscribe(ctx, engine.SubscribeOptions{Kinds: engine.KindsLifecycle})
	if err != nil {
		t.Fatal(err)
	}
	all, err := r.Subscribe(ctx, engine.SubscribeOptions{Heads: true})
	if err != nil {
		t.Fatal(err)
	}
	finished := record(9)
	rig.engine.Publish(engine.Event{Kind: engine.KindRequestFinished, Connection: 1, Client: "client-0", Protocol: engine.ProtocolNative, Request: &finished},
		engine.Event{Kind: engine.KindOperatorAction, Action: engine.ActionKill, Operator: "root@unix", Target: "c-1"})
	if b := receive(t, all, 2); b[0].Kind != engine.KindRequestFinished || b[0].Request.Heads == nil || *b[0].Request.Heads != *finished.Heads ||
		b[1].Action != engine.ActionKill {
		t.Errorf("%+v", b)
	}
	if b := receive(t, life, 1); b[0].Operator != "root@unix" || b[0].Seq != 2 {
		t.Errorf("%+v", b)
	}
}

// receive returns n events; what was lost is a failure.
func receive(t testing.TB, from <-chan engine.Batch, n int) []engine.Event {
	t.Helper()
	var got []engine.Event
	for len(got) < n {
		select {
		case b, open := <-from:
			if !open {
				t.Fatal("the subscription has ended")
			}
			if b.Dropped > 0 {
				t.Errorf("%d events were lost", b.Dropped)
			}
			got = append(got, b.Events...)
		case <-time.After(5 * time.Second):
			t.Fatalf("%d of %d events within 5s", len(got), n)
		}
	}
	return got
}
