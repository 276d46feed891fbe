package exchange_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"adit/engine"
	"adit/engine/observe"
	"adit/keys"
	"adit/tui/exchange"
	"adit/tui/pane"
)

// A shelf is a log of requests with their content.
type shelf map[engine.RequestID]engine.Request

func (s shelf) Requests(_ context.Context, q engine.RequestQuery, into *engine.RequestPage) error {
	into.Requests = into.Requests[:0]
	for id := engine.RequestID(q.Offset + 1); int(id) <= len(s) && len(into.Requests) < q.Count; id++ {
		into.Requests = append(into.Requests, s[id])
	}
	return nil
}

func (s shelf) Request(_ context.Context, id engine.RequestID) (engine.Request, error) {
	if r, ok := s[id]; ok {
		return r, nil
	}
	return engine.Request{}, engine.ErrNotFound
}

func (s shelf) Content(_ context.Context, id engine.RequestID, into *engine.Content) error {
	if s[id].RequestBytes != 5 {
		return engine.ErrNotFound
	}
	*into = engine.Content{Request: engine.Part{Data: []byte("hello"), Size: 5, Over: true}}
	return nil
}

func (shelf) Events(context.Context, engine.EventQuery, *engine.EventPage) error { return nil }

func shelved() shelf {
	heads := func(s string) *engine.Heads { return &engine.Heads{Request: "Host: a\nUser-Agent: b\n" + s} }
	base := engine.Request{Way: engine.WayProxy, Method: "POST", Target: "http://a.example/x", RequestBytes: 5, Client: "pi", Outcome: engine.OutcomeCompleted, Heads: heads("")}
	get, bare, masked, large := base, base, base, base
	base.ID = 1
	get.ID, get.Method, get.RequestBytes = 2, "GET", 0
	bare.ID, bare.Heads = 3, nil
	masked.ID, masked.Heads = 4, heads("Authorization: ***\n")
	large.ID, large.RequestBytes = 5, 9999
	return shelf{1: base, 2: get, 3: bare, 4: masked, 5: large}
}

func stage(remote bool) *pane.Frame {
	s := &engine.Snapshot{Role: engine.RoleServer, Connections: []engine.Connection{{ID: 1, Client: "pi"}, {ID: 2, Client: "box"}}}
	meter := observe.NewMeter()
	meter.Add(s)
	f := &pane.Frame{Snapshot: s, Meter: meter, Rows: new(pane.Rows)}
	f.Rows.Update(s, meter)
	if remote {
		f.Link = &engine.Link{}
	}
	return f
}

// run goes through what an effect performs off the loop.
func run(t *testing.T, e pane.Effect, engines ...engine.Engine) pane.Effect {
	t.Helper()
	for {
		p, ok := e.(pane.Perform)
		if !ok {
			return e
		}
		s := pane.Source{Log: shelved()}
		if len(engines) > 0 {
			s.Engine = engines[0]
		}
		e = p.Do(t.Context(), s, "ops")
	}
}

func TestReplayOffersWhatIsPossible(t *testing.T) {
	menu, ok := run(t, exchange.Replay(stage(false), []engine.RequestID{1}, 0)).(pane.Choose)
	if !ok || len(menu.Options) != 3 {
		t.Fatalf("%#v", menu)
	}
	ask, ok := menu.Options[0].Effect.(pane.Ask)
	if !ok || ask.Action != keys.Replay || len(ask.Replays) != 1 || string(ask.Replays[0].Content) != "hello" || ask.Replays[0].Client != "pi" || menu.Options[0].Note != "through pi" {
		t.Errorf("as it was: %#v", ask)
	}
	through, ok := menu.Options[1].Effect.(pane.Choose)
	if !ok || len(through.Options) != 2 || through.Options[1].Title != "pi" || through.Options[1].Note != "which served it" {
		t.Fatalf("through a client: %#v", through)
	}
	if ask := through.Options[0].Effect.(pane.Ask); ask.Replays[0].Client != "box" {
		t.Errorf("%#v", ask)
	}
	if off := menu.Options[2].Off; !strings.Contains(off, "adit attach") {
		t.Errorf("an editor in the process of the tunnel: %q", off)
	}
	menu = run(t, exchange.Replay(stage(true), []engine.RequestID{4}, 0)).(pane.Choose)
	if menu.Options[0].Off == "" || menu.Options[1].Off == "" || menu.Options[2].Off != "" || !strings.Contains(menu.Lines[0], "Authorization was masked") {
		t.Errorf("one whose secret was masked: %#v", menu)
	}
}

func TestReplaySaysWhyItCannotBe(t *testing.T) {
	for id, want := range map[engine.RequestID]string{3: "header fields of r-3 were not kept", 5: "content of r-5 was not kept", 9: "r-9"} {
		if e, ok := run(t, exchange.Replay(stage(false), []engine.RequestID{id}, 0)).(pane.Say); !ok || !strings.Contains(e.Text, want) {
			t.Errorf("%#v, want %q", e, want)
		}
	}
	ask, ok := run(t, exchange.Replay(stage(false), []engine.RequestID{1, 2, 3}, 1)).(pane.Ask)
	if !ok || len(ask.Replays) != 2 || len(ask.Refused) != 1 || ask.Hidden != 1 {
		t.Errorf("several: %#v", ask)
	}
	if e, ok := run(t, exchange.Replay(stage(false), []engine.RequestID{3, 5}, 0)).(pane.Say); !ok || e.Bad {
		t.Errorf("none of several: %#v", e)
	}
	if e, ok := exchange.Replay(stage(false), make([]engine.RequestID, 101), 0).(pane.Say); !ok {
		t.Errorf("too many: %#v", e)
	}
	f := stage(true)
	f.Playback = &engine.Playback{}
	if e, ok := exchange.Replay(f, []engine.RequestID{1}, 0).(pane.Say); !ok {
		t.Errorf("a recording: %#v", e)
	}
}

func TestEditorChangesWhatIsSent(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv("VISUAL", "")
	edit := func(script string) pane.Effect {
		t.Helper()
		path := filepath.Join(dir, "editor.sh")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		t.Setenv("EDITOR", path+" -x")
		menu := run(t, exchange.Replay(stage(true), []engine.RequestID{1}, 0)).(pane.Choose)
		e, ok := run(t, menu.Options[2].Effect).(pane.Exec)
		if !ok {
			t.Fatalf("%#v", e)
		}
		return run(t, e.Done(e.Command.Run()))
	}
	ask, ok := edit(`sed -i -e 's/^POST/PUT/' -e 's/hello/bye/' "$2"`).(pane.Ask)
	if !ok || ask.Replays[0].Method != "PUT" || string(ask.Replays[0].Content) != "bye" {
		t.Errorf("%#v", ask)
	}
	again, ok := edit(`sed -i 's/^User-Agent/User Agent/' "$2"`).(pane.Choose)
	if !ok || !strings.Contains(again.Lines[0], `line 6: "User Agent" is no name`) {
		t.Fatalf("%#v", again)
	}
	if e, ok := again.Options[0].Effect.(pane.Perform).Do(t.Context(), pane.Source{}, "").(pane.Exec); !ok {
		t.Errorf("%#v", e)
	} else if e, ok := run(t, e.Done(e.Command.Run())).(pane.Choose); !ok || e.Lines[0] != again.Lines[0] {
		t.Errorf("editing again begins anew: %#v", e)
	}
	if e, ok := edit(`: > "$2"`).(pane.Say); !ok || e.Bad {
		t.Errorf("%#v", e)
	}
	if e, ok := edit(`exit 3`).(pane.Say); !ok || !e.Bad {
		t.Errorf("%#v", e)
	}
	left, err := filepath.Glob(filepath.Join(dir, "adit-replay-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestExportGoesThroughAllPages(t *testing.T) {
	e := exchange.HAR(stage(false), "x.har", 5, engine.RequestQuery{}).(pane.Choose)
	b, err := e.Options[0].Effect.(pane.WriteFile).Fetch(t.Context(), pane.Source{Log: shelved()})
	if err != nil || strings.Count(string(b), `"startedDateTime"`) != 5 || !strings.Contains(string(b), `"text":"hello"`) {
		t.Errorf("%v: %s", err, b)
	}
	if e := exchange.HAR(stage(false), "x.har", 20_000, engine.RequestQuery{}).(pane.Choose); len(e.Lines) == 0 || !strings.Contains(e.Title, "10") {
		t.Errorf("%#v", e)
	}
	if _, ok := exchange.HAR(stage(false), "x.har", 0, engine.RequestQuery{}).(pane.Say); !ok {
		t.Error("nothing is exported")
	}
	failing := failingLog{shelved()}
	if _, err := e.Options[0].Effect.(pane.WriteFile).Fetch(t.Context(), pane.Source{Log: failing}); err == nil {
		t.Error("half of an export passes for all of it")
	}
}

type failingLog struct{ shelf }

func (failingLog) Content(context.Context, engine.RequestID, *engine.Content) error {
	return errors.New("disk is full")
}
