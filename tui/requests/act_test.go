package requests_test

import (
	"context"
	"strings"
	"testing"

	"adit/engine"
	"adit/keys"
	"adit/tui/pane"
	"adit/tui/scene"
)

func TestExportIsOfTheMarkedElseOfWhatIsSelected(t *testing.T) {
	th := newTheatre(t, 120, 36, false)
	th.screen.SetFilter("status:502")
	th.step()
	all, ok := th.do(keys.HAR).(pane.Choose)
	if !ok || !strings.HasSuffix(all.Title, "requests as HAR") || len(all.Options) != 2 || all.Options[0].Title != "secrets masked" {
		t.Fatalf("%#v", all)
	}
	th.do(keys.Mark, keys.Mark)
	th.step()
	marked := th.do(keys.HAR).(pane.Choose)
	if marked.Title != "Export 2 requests as HAR" {
		t.Errorf("%q", marked.Title)
	}
	for i, secret := range []bool{false, true} {
		b, err := marked.Options[i].Effect.(pane.WriteFile).Fetch(t.Context(), pane.Source{Log: scene.New(scene.Options{}).Log()})
		if err != nil || strings.Count(string(b), `"startedDateTime"`) != 2 || strings.Contains(string(b), "eyJ") != secret {
			t.Errorf("%v: %s", err, b)
		}
	}
	th.screen.SetFilter("path:/nowhere-at-all status:299")
	th.step()
	th.step()
	if e := th.do(keys.HAR).(pane.Choose); e.Title != "Export 2 requests as HAR" {
		t.Errorf("marked ones that the filter hides: %q", e.Title)
	}
}

// kept runs what an effect asks for off the loop, with a log that has content.
func kept(t *testing.T, e pane.Effect) pane.Effect {
	t.Helper()
	p, ok := e.(pane.Perform)
	if !ok {
		t.Fatalf("%#v", e)
	}
	return p.Do(t.Context(), pane.Source{Log: scene.New(scene.Options{}).Log()}, "ops")
}

func TestReplayOfMarkedRequestsSaysWhatIsHidden(t *testing.T) {
	th := newTheatre(t, 120, 36, false)
	th.screen.SetFilter("method:GET status:200 -path:/ws")
	th.step()
	th.do(keys.Mark, keys.Mark, keys.Mark)
	th.step()
	ask, ok := kept(t, th.do(keys.Replay)).(pane.Ask)
	if !ok || ask.Action != keys.Replay || len(ask.Replays)+len(ask.Refused) != 3 || len(ask.Replays) == 0 {
		t.Fatalf("%#v", ask)
	}
	for _, r := range ask.Replays {
		if r.Method != "GET" || !strings.HasPrefix(r.Target, "http://shop.example.com/") || r.Of == 0 {
			t.Errorf("%+v", r)
		}
	}
}

// An uploads log has the content of the scene's upload for every request.
type uploads struct{ *scene.Log }

func (u uploads) Content(ctx context.Context, _ engine.RequestID, into *engine.Content) error {
	return u.Log.Content(ctx, scene.New(scene.Options{}).Upload(), into)
}

func TestContentOfARowIsSaved(t *testing.T) {
	th := newTheatre(t, 120, 36, false)
	th.screen.SetFilter("path:/api/upload dur:5s status:502")
	th.step()
	e := th.do(keys.SaveContent).(pane.Perform).Do(t.Context(), pane.Source{Log: uploads{scene.New(scene.Options{}).Log()}}, "ops")
	menu, ok := e.(pane.Choose)
	if !ok || len(menu.Options) != 2 || !strings.Contains(menu.Options[1].Note, "what is kept of it") {
		t.Fatalf("%#v", e)
	}
	if w := menu.Options[1].Effect.(pane.WriteFile); len(w.Content()) != engine.MaxContent {
		t.Errorf("%s: %d bytes", w.Name, len(w.Content()))
	}
}
