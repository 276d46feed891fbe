package tui

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/keys"
	"adit/store"
	"adit/tui/golden"
	"adit/tui/pane"
	"adit/tui/scene"
)

// A replayed dashboard is a still of a recording of ten minutes.
type replayed struct {
	*still
	player *enginetest.FakePlayer
}

func play(t testing.TB, o Options) *replayed {
	t.Helper()
	sc := scene.New(scene.Options{})
	var snapshot engine.Snapshot
	sc.At(0, &snapshot)
	from := scene.Clock().Add(-4 * time.Minute)
	player := enginetest.NewFakePlayer(snapshot, from, from.Add(10*time.Minute))
	player.Seek(scene.Clock())
	log, err := store.Open(player.Fake, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	t.Cleanup(player.End)
	for _, r := range sc.Requests(200) {
		player.Publish(engine.Event{Kind: engine.KindRequestFinished, Time: r.Arrived, Connection: r.Connection, Client: r.Client, Request: &r})
	}
	keeps(t, log, 200)
	p := &replayed{player: player}
	// The clock of this machine is of another year.
	p.still = &still{t: t, clock: scene.Clock().AddDate(1, 0, 0), log: &steady{Log: log}, fake: player.Fake}
	o.Engine, o.Log, o.Operator = player, p.log, "local"
	if o.Glyphs == "" {
		o.Glyphs = "unicode"
	}
	if p.still.model, err = newModelAt(context.Background(), o, func() time.Time { return p.clock }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	p.meter, _ = sc.Meter(time.Minute)
	p.frame.UTC = true
	p.at(120, 36)
	p.show2()
	return p
}

func TestRecordingAsPictured(t *testing.T) {
	for _, glyphs := range []string{"unicode", "ascii"} {
		p := play(t, Options{Glyphs: glyphs})
		p.player.SetSpeed(4)
		for _, size := range [][2]int{{80, 24}, {120, 36}, {200, 60}, {40, 10}} {
			got := p.at(size[0], size[1]).text()
			fits(t, got, size[0], size[1], glyphs == "ascii")
			golden.EqualText(t, fmt.Sprintf("remote/player-%dx%d-%s", size[0], size[1], glyphs), got)
		}
		p.player.Pause(true)
		got := p.at(80, 24).press("3").text()
		golden.EqualText(t, "remote/player-paused-80x24-"+glyphs, got)
	}
}

func TestKeysOfARecording(t *testing.T) {
	p := play(t, Options{})
	start := scene.Clock()
	for _, step := range []struct {
		key string
		at  time.Duration
	}{{".", time.Second}, {",", 0}, {">", time.Minute}, {"<", 0}, {"<", -time.Minute}} {
		p.press(step.key)
		if got := p.player.Playback().At.Sub(start); got != step.at {
			t.Errorf("%s: at %v, want %v", step.key, got, step.at)
		}
	}
	p.update(tea.KeyPressMsg{Code: tea.KeyEnd})
	if b := p.player.Playback(); !b.At.Equal(b.To) || !strings.Contains(p.text(), "END 1x") {
		t.Errorf("end: %+v\n%s", b, p.text())
	}
	p.update(tea.KeyPressMsg{Code: tea.KeyHome})
	if b := p.player.Playback(); !b.At.Equal(b.From) {
		t.Errorf("home: %+v", b)
	}
	for _, k := range []string{")", ")", "("} {
		p.press(k)
	}
	if b := p.player.Playback(); b.Speed != 2 {
		t.Errorf("speed %v", b.Speed)
	}
	for i, k := range []tea.KeyPressMsg{{Code: tea.KeySpace, Text: " "}, key("p")} {
		p.update(k)
		if b := p.player.Playback(); b.Paused != (i == 0) {
			t.Errorf("%v: %+v", k, b)
		}
	}
	if len(p.player.Actions()) != 0 {
		t.Errorf("%v", p.player.Actions())
	}
}

func TestSliderByMouse(t *testing.T) {
	p := play(t, Options{})
	y, x := p.slider.Y, p.slider.X
	p.update(tea.MouseClickMsg{X: x + p.slider.W - 1, Y: y, Button: tea.MouseLeft})
	if b := p.player.Playback(); !b.At.Equal(b.To) {
		t.Errorf("%+v", b)
	}
	p.update(tea.MouseMotionMsg{X: x, Y: y + 5, Button: tea.MouseLeft})
	if b := p.player.Playback(); !b.At.Equal(b.From) {
		t.Errorf("%+v", b)
	}
	p.update(tea.MouseReleaseMsg{X: x, Y: y + 5, Button: tea.MouseLeft})
	p.update(tea.MouseMotionMsg{X: x + 20, Y: y, Button: tea.MouseLeft})
	if b := p.player.Playback(); !b.At.Equal(b.From) {
		t.Errorf("dragged after the release: %+v", b)
	}
}

// Nothing can be done to what has happened, and the dashboard says so.
func TestNothingIsDoneToARecording(t *testing.T) {
	p := play(t, Options{})
	p.press("2", "j", "x")
	if got := p.canvas.Plain(); !strings.Contains(got, "kill: this is a recording") || strings.Contains(got, "x kill") {
		t.Errorf("%s", got)
	}
	if got := p.off(keys.Kill); got != "this is a recording" {
		t.Errorf("%q", got)
	}
}

// Ages and clocks are those of the recording, not of today.
func TestClockOfARecording(t *testing.T) {
	p := play(t, Options{})
	before := p.text()
	p.clock = p.clock.Add(time.Hour)
	if after := p.text(); before != after {
		t.Errorf("another picture after an hour of the wall:\n%s\n%s", before, after)
	}
	p.notes.add(pane.Say{Text: "a note"}, p.clock)
	p.clock = p.clock.Add(noteStays)
	if got := p.text(); strings.Contains(got, "a note") {
		t.Errorf("a note stays for ever while the recording stands\n%s", got)
	}
}

// Help named none of the keys that a recording has, and space as what marks a row.
func TestHelpOfARecording(t *testing.T) {
	p := play(t, Options{})
	got := p.press("?").text()
	for _, want := range []string{"recording: 1 s", "recording: start / end", "recording: speed"} {
		if i, j := strings.Index(got, want), strings.Index(got, "ELSEWHERE"); i < 0 || j >= 0 && j < i && !strings.Contains(got[:i], "VIEW") {
			t.Errorf("no %q among the keys that work\n%s", want, got)
		}
	}
	if strings.Contains(got, "space m") {
		t.Errorf("space pauses a recording\n%s", got)
	}
}

// A recording has the numbers of frames, not what they looked like.
func TestFramesThatWereNotRecordedAreNotInvented(t *testing.T) {
	p := play(t, Options{})
	p.player.Update(func(s *engine.Snapshot) {
		for i := range s.Connections {
			s.Connections[i].ShapeIn, s.Connections[i].ShapeOut = engine.FrameShape{}, engine.FrameShape{}
		}
	})
	p.show2()
	p.at(200, 60)
	if got := p.text(); strings.Contains(got, "cont 0 ") || strings.Contains(got, "fragmented msgs 0") {
		t.Errorf("%s", got)
	}
	p.press("2", "t", "enter")
	if got := p.text(); !strings.Contains(got, "fragmented not recorded") || strings.Contains(got, "no frame with data yet") {
		t.Errorf("%s", got)
	}
}

// The history of a run has no counters of frames, and said that there were none.
func TestCountersThatWereNotKeptAreLeftOut(t *testing.T) {
	p := play(t, Options{})
	p.player.Update(func(s *engine.Snapshot) { s.Totals = engine.Totals{Requests: s.Totals.Requests} })
	p.show2()
	if got := p.text(); strings.Contains(got, "1 text           0") || strings.Contains(got, "0B/s") || strings.Contains(got, "0/s ") || !strings.Contains(got, "1 text") {
		t.Errorf("%s", got)
	}
}
