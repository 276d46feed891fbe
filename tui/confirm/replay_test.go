package confirm

import (
	"errors"
	"strings"
	"testing"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/keys"
	"adit/tui/pane"
)

func replays(methods ...string) pane.Ask {
	ask := pane.Ask{Action: keys.Replay}
	for i, m := range methods {
		ask.Replays = append(ask.Replays, engine.Replay{Of: engine.RequestID(i + 1), Method: m, Target: "http://a.example/x?token=t0ken", Content: []byte("12345")})
	}
	return ask
}

func TestReplayIsAskedFor(t *testing.T) {
	f := frame(two())
	ask := replays("POST")
	ask.Replays[0].Client = "edge-sin-01"
	got := picture(New(ask, f), f)
	for _, want := range []string{"Replay 1 request?", "r-1", "POST http://a.example/x?token=***", "not idempotent", "it may do twice", "Client: edge-sin-01", "send again (y)", "[ Cancel ]"} {
		if !strings.Contains(strings.Join(strings.Fields(strings.ReplaceAll(got, "┃", "")), " "), want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	several := replays("GET", "POST", "GET")
	several.Refused = []string{"the content of r-9 was not kept"}
	got = strings.Join(strings.Fields(strings.ReplaceAll(picture(New(several, f), f), "┃", "")), " ")
	for _, want := range []string{"Replay 3 requests?", "1 are not idempotent", "1 marked request can't be sent again: the content of r-9"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	many := replays(strings.Fields(strings.Repeat("GET ", 12))...)
	if got := picture(New(many, f), f); !strings.Contains(got, "type 12 to replay") {
		t.Errorf("%s", got)
	}
}

func TestReplayOpensBothAnswersOrCounts(t *testing.T) {
	fake := enginetest.NewFake(two())
	defer fake.End()
	f := frame(two())
	confirmed := func(ask pane.Ask) pane.Effect {
		d := New(ask, f)
		later := *f
		later.Now = at(500)
		if !f.Clock.IsZero() {
			later.Clock = f.Clock.Add(grace)
		}
		e, open := types(d, &later, "y")
		if open {
			t.Fatal("not taken")
		}
		return e.(pane.Perform).Do(t.Context(), pane.Source{Engine: fake}, "ops")
	}
	if e := confirmed(replays("POST")); e != (pane.OpenComparison{Original: 1, Replay: 1}) {
		t.Errorf("%#v", e)
	}
	if a := fake.Actions(); len(a) != 1 || a[0].Replay.Of != 1 || a[0].By.Name != "ops" {
		t.Errorf("%#v", a)
	}
	if e := confirmed(replays("GET", "GET")).(pane.Say); e.Text != "replayed 2" {
		t.Errorf("%#v", e)
	}
	half := replays("GET", "GET")
	half.Refused = []string{"r-3: cut"}
	if e := confirmed(half).(pane.Say); e.Text != "replayed 2 of 3; r-3: cut" {
		t.Errorf("%#v", e)
	}
	fake.Refuse(errors.New("too much"))
	if e := confirmed(replays("GET")).(pane.Say); e.Text != "replay r-1: too much" || !e.Bad {
		t.Errorf("%#v", e)
	}
}

func TestMenuChoosesWhatCanBeChosen(t *testing.T) {
	f := frame(two())
	m := NewMenu(pane.Choose{Title: "T\x1b", Lines: []string{"\x1b[2J why"}, Options: []pane.Option{
		{Title: "one", Note: "n", Effect: pane.GoBack{}}, {Title: "two", Off: "not now", Effect: pane.GoBack{}}}})
	got := picture(m, f)
	if !strings.Contains(got, "not now") || strings.Contains(got, "\x1b") {
		t.Errorf("%s", got)
	}
	if e, open := types(m, f, "2"); !open || e.(pane.Say).Text != "two: not now" {
		t.Errorf("%#v", e)
	}
	if e, open := types(m, f, "9"); !open || e != nil {
		t.Errorf("%#v", e)
	}
	if e, open := types(m, f, "enter"); open || e != (pane.GoBack{}) {
		t.Errorf("%#v", e)
	}
	if e, open := types(m, f, "esc"); open || e != nil {
		t.Errorf("%#v", e)
	}
	text := NewText(pane.AskText{Title: "Search", Text: "a", Then: func(s string) pane.Effect { return pane.Say{Text: s} }})
	if got := picture(text, f); !strings.Contains(got, "Search") {
		t.Errorf("%s", got)
	}
	if e, open := types(text, f, "b", "enter"); open || e != (pane.Say{Text: "ab"}) {
		t.Errorf("%#v", e)
	}
}
