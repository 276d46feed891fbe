package tui

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/store"
	"adit/tui/golden"
	"adit/tui/scene"
)

// An attached dashboard is a still of an engine in another process.
type attached struct {
	*still
	linked *enginetest.FakeLinked
	scene  *scene.Scene
	since  time.Duration
}

func attach(t testing.TB, o Options, change func(*engine.Link)) *attached {
	t.Helper()
	sc := scene.New(scene.Options{})
	var snapshot engine.Snapshot
	sc.At(0, &snapshot)
	linked := enginetest.NewFakeLinked(snapshot, scene.Clock())
	if change != nil {
		linked.SetLink(change)
	}
	log, err := store.Open(linked.Fake, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	t.Cleanup(linked.End)
	for _, r := range sc.Requests(200) {
		kind := engine.KindRequestFinished
		if r.Outcome == engine.OutcomeNone {
			kind = engine.KindRequestStarted
		}
		linked.Publish(engine.Event{Kind: kind, Time: r.Arrived, Connection: r.Connection, Client: r.Client, Request: &r})
	}
	keeps(t, log, 200)
	a := &attached{linked: linked, scene: sc}
	a.still = &still{t: t, clock: scene.Clock(), log: &steady{Log: log}, fake: linked.Fake}
	o.Engine, o.Log, o.Operator = linked, a.log, "local"
	if o.Glyphs == "" {
		o.Glyphs = "unicode"
	}
	if a.still.model, err = newModelAt(context.Background(), o, func() time.Time { return a.clock }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.close)
	a.feed.fetching.patience = 5 * time.Second // what is fetched is there when the test looks
	a.meter, _ = sc.Meter(time.Minute)
	a.frame.UTC = true
	a.at(120, 36)
	a.show2()
	return a
}

// passes has time pass, and data come while the link is there.
func (a *attached) passes(d time.Duration) {
	a.since += d
	a.clock = scene.Clock().Add(a.since)
	a.linked.SetLink(func(l *engine.Link) {
		if !l.Lost && !l.LastData.IsZero() {
			l.LastData = a.clock
		}
	})
	if !a.linked.Link().Lost {
		a.fake.Update(func(x *engine.Snapshot) { a.scene.At(a.since, x) })
	}
	a.show2()
}

func (a *attached) picture(t *testing.T, name string, glyphs string, sizes ...[2]int) {
	t.Helper()
	for _, size := range sizes {
		got := a.at(size[0], size[1]).text()
		fits(t, got, size[0], size[1], glyphs == "ascii")
		golden.EqualText(t, fmt.Sprintf("remote/%s-%dx%d-%s", name, size[0], size[1], glyphs), got)
	}
	a.at(120, 36)
}

func TestRemoteStatesAsPictured(t *testing.T) {
	two := [][2]int{{80, 24}, {120, 36}}
	for _, glyphs := range []string{"unicode", "ascii"} {
		a := attach(t, Options{Glyphs: glyphs}, nil)
		a.notes = notes{}
		a.linked.SetLink(func(l *engine.Link) { l.Attached = 2 })
		a.picture(t, "attached-2", glyphs, two...)
		a.linked.SetLink(func(l *engine.Link) { l.Skew = -72 * time.Second })
		a.picture(t, "skew", glyphs, two...)
		a.linked.SetLink(func(l *engine.Link) { l.Skew = 0 })
		a.linked.Lose("EOF", a.clock)
		a.passes(17 * time.Second)
		a.linked.SetLink(func(l *engine.Link) { l.Attempt, l.RetryAt = 4, a.clock.Add(3*time.Second) })
		a.picture(t, "lost", glyphs, append(two, [2]int{40, 10})...)
		a.press("d")
		a.picture(t, "details", glyphs, two...)
		a.press("esc")
		a.linked.SetLink(func(l *engine.Link) { l.Stuck, l.Attempt, l.Cause = true, 20, "permission denied" })
		a.picture(t, "stuck", glyphs, two...)
		a.passes(30 * time.Second)
		a.linked.Recover("2", a.clock)
		a.passes(200 * time.Millisecond)
		a.picture(t, "restarted", glyphs, two...)
		a.press("4")
		a.picture(t, "restarted-events", glyphs, two...)

		c := attach(t, Options{Glyphs: glyphs}, func(l *engine.Link) {
			*l = engine.Link{Address: "/run/user/1000/adit/server-edge-1.sock", Since: scene.Clock()}
		})
		c.picture(t, "connecting", glyphs, two...)
		c.linked.Lose("connect: no such file or directory", time.Time{})
		c.linked.SetLink(func(l *engine.Link) { l.Attempt, l.RetryAt = 2, c.clock.Add(4*time.Second) })
		c.picture(t, "connecting-lost", glyphs, append(two, [2]int{40, 10})...)
	}
}

// A link that is cut while nothing says so shows old numbers as if they were new.
func TestSilentLinkIsStale(t *testing.T) {
	a := attach(t, Options{}, nil)
	a.clock = a.clock.Add(5 * time.Second) // and no data
	got := a.text()
	for _, want := range []string{"LOST edge-1 (silent) 00:05 ago", "r retry now"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if got := a.press("d").text(); !strings.Contains(got, "last data      5s ago") {
		t.Errorf("%s", got)
	}
}

func TestNothingIsDoneOverALostLink(t *testing.T) {
	a := attach(t, Options{}, nil)
	a.press("2", "down")
	a.linked.Lose("EOF", a.clock)
	a.passes(time.Second)
	for key, why := range map[string]string{"x": "kill: not while the link is lost", "B": "ban: not while the link is lost"} {
		a.notes = notes{}
		a.press(key)
		if got := a.canvas.Plain(); !strings.Contains(got, why) {
			t.Errorf("%s: no %q in\n%s", key, why, got)
		}
	}
	a.press("r")
	if n := a.linked.Retries(); n != 1 {
		t.Errorf("%d retries", n)
	}
	a.linked.Recover("1", a.clock)
	a.passes(time.Second)
	a.notes = notes{}
	a.press("r") // is the greeting again
	if n := a.linked.Retries(); n != 1 {
		t.Errorf("%d retries of a link that is there", n)
	}
}

func TestMarksOverAGap(t *testing.T) {
	a := attach(t, Options{}, nil)
	a.press("2", "t", "G", "space", "k", "space")
	screen := a.top().(interface{ Marks() int })
	if screen.Marks() != 2 {
		t.Fatalf("%d marks", screen.Marks())
	}
	a.linked.Lose("EOF", a.clock)
	a.passes(10 * time.Second)
	if screen.Marks() != 2 {
		t.Fatalf("%d marks while the link is lost", screen.Marks())
	}
	a.linked.Recover("1", a.clock)
	a.passes(100 * time.Millisecond)
	if got := a.text(); screen.Marks() != 2 || !strings.Contains(got, "back: 10s without data") {
		t.Fatalf("%d marks\n%s", screen.Marks(), got)
	}
	a.linked.Lose("EOF", a.clock)
	a.passes(time.Second)
	a.linked.Recover("2", a.clock)
	a.passes(time.Second)
	if got := a.text(); screen.Marks() != 0 || !strings.Contains(got, "counters restarted; 2 marks dropped") {
		t.Fatalf("%d marks of connections of another process\n%s", screen.Marks(), got)
	}
}

func TestReadOnlyToken(t *testing.T) {
	a := attach(t, Options{}, func(l *engine.Link) { l.ReadOnly = true })
	a.press("2", "down", "x")
	got := a.text()
	if strings.Contains(got, "Kill 1 connection") || !strings.Contains(got, "may only look") {
		t.Errorf("%s", got)
	}
	if strings.Contains(got, "x kill") {
		t.Errorf("the footer offers what is forbidden\n%s", got)
	}
}

// What others do is told; what one does oneself is not news.
func TestOtherOperatorsAreTold(t *testing.T) {
	a := attach(t, Options{}, nil)
	tells := func(text string) bool {
		deadline := time.Now().Add(5 * time.Second)
		for time.Now().Before(deadline) {
			if strings.Contains(a.text(), text) {
				return true
			}
			time.Sleep(time.Millisecond)
		}
		return false
	}
	a.fake.Publish(engine.Event{Kind: engine.KindOperatorAction, Action: engine.ActionKill, Operator: "root", Target: "c-3"}) // another root
	a.fake.Publish(engine.Event{Kind: engine.KindOperatorAction, Action: engine.ActionKill, Operator: "anna", Target: "c-4"})
	if !tells("root: kill c-3") {
		t.Errorf("%s", a.text())
	}
	a.clock = a.clock.Add(newsLeast) // one after the other
	if !tells("anna: kill c-4") {
		t.Errorf("%s", a.text())
	}
	// Another one of the same name: over a Unix socket all are who runs it.
	a.notes = notes{}
	a.fake.Publish(engine.Event{Kind: engine.KindOperatorAction, Action: engine.ActionKill, Operator: "root", Target: "c-5"})
	if !tells("root: kill c-5") {
		t.Errorf("%s", a.text())
	}
	a.notes = notes{}
	a.acted = a.clock
	a.fake.Publish(engine.Event{Kind: engine.KindOperatorAction, Action: engine.ActionKill, Operator: "root", Target: "c-6"},
		engine.Event{Kind: engine.KindOperatorAction, Action: engine.ActionKill, Operator: "anna", Target: "c-7"})
	if !tells("anna: kill c-7") || strings.Contains(a.text(), "root: kill c-6") {
		t.Errorf("%s", a.text())
	}
}

func TestLeavingIsNotAsked(t *testing.T) {
	a := attach(t, Options{}, nil)
	if a.press("q"); a.end != EndQuit {
		t.Errorf("%v\n%s", a.end, a.text())
	}
}

// Data that buffers on a slow way have held comes without a pause, and is old.
func TestSlowLinkSaysHowOldItsDataIs(t *testing.T) {
	a := attach(t, Options{}, nil)
	a.linked.SetLink(func(l *engine.Link) { l.Delay, l.LastData = 40*time.Second, a.clock.Add(-40*time.Second) })
	if got := a.text(); !strings.Contains(got, "SLOW edge-1 (the way is slow) 00:40 ago") {
		t.Errorf("%s", got)
	}
	if got := a.press("d").text(); !strings.Contains(got, "slow for") || !strings.Contains(got, "data takes 40s longer than at first") {
		t.Errorf("%s", got)
	}
	a.press("esc")
	a.linked.SetLink(func(l *engine.Link) { l.Delay, l.LastData = 0, a.clock })
	a.passes(time.Second)
	if got := a.text(); strings.Contains(got, "SLOW") || strings.Contains(got, "without data") {
		t.Errorf("nothing was missing\n%s", got)
	}
}
