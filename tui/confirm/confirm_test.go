package confirm

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/observe"
	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/pane"
)

func at(n int) time.Time {
	return time.Date(2026, 11, 22, 15, 4, 12, n*int(time.Millisecond), time.UTC)
}

func frame(s engine.Snapshot) *pane.Frame {
	meter, rows := observe.NewMeter(), new(pane.Rows)
	meter.Add(&s)
	rows.Update(&s, meter)
	return &pane.Frame{Now: at(0), Width: 80, Height: 24, Glyphs: themes.Unicode(), Snapshot: &s, Meter: meter, Rows: rows}
}

func two() engine.Snapshot {
	return engine.Snapshot{Role: engine.RoleServer, Connections: []engine.Connection{
		{ID: 3, Client: "edge-iad-01", State: engine.StateBusy, InFlight: 1},
		{ID: 7, Client: "edge-sin-01", State: engine.StateDraining, InFlight: 3},
	}}
}

func many(n int) engine.Snapshot {
	s := engine.Snapshot{Role: engine.RoleServer}
	for i := range n {
		s.Connections = append(s.Connections, engine.Connection{ID: engine.ConnectionID(i + 1), Client: "pi", State: engine.StateIdle})
	}
	return s
}

func press(key string) tea.KeyPressMsg {
	switch key {
	case "enter":
		return tea.KeyPressMsg{Code: tea.KeyEnter}
	case "esc":
		return tea.KeyPressMsg{Code: tea.KeyEscape}
	case "backspace":
		return tea.KeyPressMsg{Code: tea.KeyBackspace}
	}
	return tea.KeyPressMsg{Code: rune(key[0]), Text: key}
}

// types gives keys to o and returns the last answer.
func types(o pane.Overlay, f *pane.Frame, all ...string) (effect pane.Effect, open bool) {
	for _, key := range all {
		if effect, open = o.Update(press(key), f); !open {
			break
		}
	}
	return effect, open
}

func picture(o pane.Overlay, f *pane.Frame) string {
	c := canvas.New()
	c.Resize(f.Width, f.Height)
	c.Clear()
	o.Draw(c.Area(), f)
	return c.Plain()
}

// In a very small window the answers are what has to be read.
func TestAnswersInASmallWindow(t *testing.T) {
	f := frame(two())
	f.Width, f.Height = 20, 5
	q := NewQuestion(Question{Title: "Quit?", Lines: []string{"This stops 17 connections.", "Requests in flight may finish first."}, Yes: "quit"}, f)
	if got := picture(q, f); !strings.Contains(got, "Cancel  quit (y)") && !strings.Contains(got, "Cancel quit (y)") || strings.Contains(got, "Requ") {
		t.Errorf("the answers can't be read:\n%s", got)
	}
}

func TestDialogSaysWhatBreaks(t *testing.T) {
	for _, tt := range []struct {
		name string
		ask  pane.Ask
		s    engine.Snapshot
		want []string
	}{
		{"kill", pane.Ask{Action: keys.Kill, Connections: []engine.ConnectionID{3, 7}}, two(), []string{
			"Kill 2 connections?", "edge-iad-01 / c-3", "▶ busy", "1 request in flight", "edge-sin-01 / c-7",
			"‖ draining", "3 requests in flight", "4 requests will fail with 502.", "reconnect",
			"[ Cancel ]", "drain first (X)", "kill now (y)"}},
		{"hidden marks", pane.Ask{Action: keys.Kill, Connections: []engine.ConnectionID{3, 7}, Hidden: 1}, two(), []string{
			"1 of these marked but hidden by the filter"}},
		{"gone", pane.Ask{Action: keys.Kill, Connections: []engine.ConnectionID{5}}, two(), []string{
			"Kill 1 connection?", "c-5", "closed already", "No request is in flight there now."}},
		{"a client's connections", pane.Ask{Action: keys.Kill, Clients: []string{"pi"}}, many(3), []string{"Kill 3 connections?"}},
		{"more than five", pane.Ask{Action: keys.Drain, Clients: []string{"pi"}}, many(7), []string{
			"Drain 7 connections?", "c-5", "and 2 more"}},
		{"ten", pane.Ask{Action: keys.Kill, Clients: []string{"pi"}}, many(10), []string{"type 10 to kill:"}},
		{"ban", pane.Ask{Action: keys.Ban, Clients: []string{"edge-sin-01"}}, two(), []string{
			"Ban 1 client?", "edge-sin-01", "1 connection, 3 in flight", "3 requests will fail with 502.", "refused until unban"}},
		{"everything", pane.Ask{Action: keys.DrainAll}, two(), []string{
			"Drain everything and end?", "4 requests in flight may finish.", "all 2 connections"}},
		{"request", pane.Ask{Action: keys.Cancel, Requests: []engine.RequestID{9}}, two(), []string{"Cancel 1 request?", "r-9"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := frame(tt.s)
			got := picture(New(tt.ask, f), f)
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("no %q in\n%s", want, got)
				}
			}
		})
	}
}

func TestDialogShowsTheStateOfNow(t *testing.T) {
	f := frame(two())
	d := New(pane.Ask{Action: keys.Kill, Connections: []engine.ConnectionID{3}}, f)
	f.Snapshot.Connections[0].InFlight = 8
	if got := picture(d, f); !strings.Contains(got, "8 requests will fail") {
		t.Error(got)
	}
}

func TestCancelIsTheDefault(t *testing.T) {
	for _, key := range []string{"enter", "esc", "n", "q"} {
		f := frame(two())
		d := New(pane.Ask{Action: keys.Kill, Connections: []engine.ConnectionID{3}}, f)
		f.Now = at(500)
		if effect, open := types(d, f, key); effect != nil || open {
			t.Errorf("%s: %v, open %v", key, effect, open)
		}
	}
}

func TestKeyThatWasTypedBeforeTheDialogWasSeen(t *testing.T) {
	f := frame(two())
	d := New(pane.Ask{Action: keys.Kill, Connections: []engine.ConnectionID{3}}, f)
	f.Now = at(399)
	for _, key := range []string{"y", "X"} {
		if effect, open := types(d, f, key); effect != nil || !open {
			t.Fatalf("%s within the grace: %v, open %v", key, effect, open)
		}
	}
	f.Now = at(400)
	if effect, open := types(d, f, "y"); effect == nil || open {
		t.Fatal("y after the grace does nothing")
	}
}

func TestPastedYConfirmsNothing(t *testing.T) {
	f := frame(two())
	d := New(pane.Ask{Action: keys.Kill, Connections: []engine.ConnectionID{3}}, f)
	f.Now = at(500)
	if effect, open := d.Update(tea.PasteMsg{Content: "y\ny"}, f); effect != nil || !open {
		t.Fatal(effect, open)
	}
}

func TestTenTargetsNeedTheirNumber(t *testing.T) {
	f := frame(many(12))
	ask := pane.Ask{Action: keys.Kill, Clients: []string{"pi"}}
	d := New(ask, f)
	f.Now = at(500)
	for _, tt := range [][]string{{"y"}, {"1", "y"}, {"3", "y"}, {"backspace", "backspace", "1", "1", "y"}} {
		if effect, open := types(d, f, tt...); effect != nil || !open {
			t.Fatalf("%v: %v, open %v", tt, effect, open)
		}
	}
	if effect, open := types(d, f, "backspace", "2", "y"); effect == nil || open {
		t.Fatal("the right number does nothing")
	}
}

func TestNothingIsDoneWhileTheDataIsOld(t *testing.T) {
	f := frame(two())
	d := New(pane.Ask{Action: keys.Kill, Connections: []engine.ConnectionID{3}}, f)
	f.Now, f.Stale = at(500), at(100)
	if effect, open := types(d, f, "y"); !open {
		t.Fatal(effect, open)
	}
}

// perform runs what an effect asks for.
func perform(t *testing.T, effect pane.Effect, e engine.Engine) pane.Say {
	t.Helper()
	p, ok := effect.(pane.Perform)
	if !ok {
		t.Fatalf("effect %T", effect)
	}
	said, ok := p.Do(t.Context(), pane.Source{Engine: e}, "ops").(pane.Say)
	if !ok {
		t.Fatal("says nothing")
	}
	return said
}

func TestActionCarriesOperatorAndReason(t *testing.T) {
	for _, tt := range []struct {
		ask  pane.Ask
		keys []string
		want enginetest.FakeAction
		say  string
	}{
		{pane.Ask{Action: keys.Kill, Connections: []engine.ConnectionID{3}}, []string{"y"},
			enginetest.FakeAction{Action: engine.ActionKill, Connection: 3, Code: engine.CloseKilled}, "killed c-3"},
		{pane.Ask{Action: keys.Kill, Connections: []engine.ConnectionID{3}}, []string{"r", "y", "e", "X", "enter", "y"},
			enginetest.FakeAction{Action: engine.ActionKill, Connection: 3, Code: engine.CloseKilled, By: engine.Operator{Reason: "yeX"}}, "killed c-3"},
		{pane.Ask{Action: keys.Kill, Connections: []engine.ConnectionID{3}}, []string{"r", "a", "esc", "X"},
			enginetest.FakeAction{Action: engine.ActionDrain, Connection: 3}, "draining c-3"},
		{pane.Ask{Action: keys.Drain, Connections: []engine.ConnectionID{7}}, []string{"X", "y"},
			enginetest.FakeAction{Action: engine.ActionDrain, Connection: 7}, "draining c-7"},
		{pane.Ask{Action: keys.Ban, Clients: []string{"pi"}}, []string{"y"},
			enginetest.FakeAction{Action: engine.ActionBan, Client: "pi"}, "banned pi"},
		{pane.Ask{Action: keys.DrainAll}, []string{"y"}, enginetest.FakeAction{Action: engine.ActionDrain}, "draining everything"},
		{pane.Ask{Action: keys.Cancel, Requests: []engine.RequestID{9}}, []string{"y"},
			enginetest.FakeAction{Action: engine.ActionCancel, Request: 9}, "cancelled r-9"},
	} {
		t.Run(tt.say, func(t *testing.T) {
			s := two()
			fake := enginetest.NewFake(s)
			defer fake.End()
			f := frame(s)
			d := New(tt.ask, f)
			f.Now = at(500)
			effect, open := types(d, f, tt.keys...)
			if open {
				t.Fatal("still open")
			}
			if got := perform(t, effect, fake); got.Text != tt.say || got.Bad {
				t.Errorf("says %+v", got)
			}
			tt.want.By.Name = "ops"
			if a := fake.Actions(); len(a) != 1 || a[0] != tt.want {
				t.Errorf("did %+v, want %+v", a, tt.want)
			}
		})
	}
}

func TestFailureNamesTargetAndCause(t *testing.T) {
	fake := enginetest.NewFake(two())
	defer fake.End()
	both := pane.Ask{Action: keys.Kill, Connections: []engine.ConnectionID{3, 8}}
	one := pane.Ask{Action: keys.Kill, Connections: []engine.ConnectionID{8}}
	for _, tt := range []struct {
		ask  pane.Ask
		want string
	}{
		{one, "kill c-8: already closed"},
		{both, "killed 1 of 2; c-8: already closed"},
		{pane.Ask{Action: keys.Unban, Clients: []string{"x"}}, "unban x: is not banned"},
	} {
		got := perform(t, pane.Perform{Do: act(tt.ask, "")}, fake)
		if got.Text != tt.want || got.Bad {
			t.Errorf("says %+v, want %q", got, tt.want)
		}
	}
	fake.Refuse(errors.New("policy says no"))
	if got := perform(t, pane.Perform{Do: act(both, "")}, fake); got.Text != "killed 0 of 2; c-3: policy says no" {
		t.Errorf("says %+v", got)
	}
}

func TestSlowEngineIsNotTakenForDone(t *testing.T) {
	fake := enginetest.NewFake(two())
	defer fake.End()
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	said := act(pane.Ask{Action: keys.Kill, Connections: []engine.ConnectionID{3}}, "")(ctx, pane.Source{Engine: fake}, "ops").(pane.Say)
	if !said.Bad || !strings.Contains(said.Text, "it may still happen") {
		t.Errorf("%+v", said)
	}
}

func TestDialogFitsWhereScreensDo(t *testing.T) {
	for _, size := range [][2]int{{60, 15}, {80, 24}, {34, 9}, {1, 1}, {3, 3}, {200, 60}} {
		f := frame(many(12))
		f.Width, f.Height = size[0], size[1]
		for _, o := range []pane.Overlay{
			New(pane.Ask{Action: keys.Kill, Clients: []string{"pi"}, Hidden: 3}, f),
			NewQuestion(Question{Title: "Quit?", Lines: []string{"a", "b"}, Yes: "quit"}, f),
			NewFile(pane.WriteFile{Name: "events.json"}, f),
		} {
			got := picture(o, f)
			if size[0] >= 60 && !strings.Contains(got, "ancel") {
				t.Errorf("no way out at %v:\n%s", size, got)
			}
		}
	}
}

func TestClickOnAButton(t *testing.T) {
	f := frame(two())
	d := New(pane.Ask{Action: keys.Kill, Connections: []engine.ConnectionID{3}}, f)
	f.Now = at(500)
	for y, row := range strings.Split(picture(d, f), "\n") {
		if i := strings.Index(row, "kill now"); i >= 0 {
			x := canvas.Width(row[:i])
			if effect, open := d.Update(tea.MouseClickMsg{X: x, Y: y, Button: tea.MouseLeft}, f); effect == nil || open {
				t.Fatal(effect, open)
			}
			return
		}
	}
	t.Fatal("no button")
}

func TestFileIsNeverOverwritten(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "events.json")
	f := frame(two())
	for i, want := range []string{"wrote 3 bytes to " + name, name + " exists: nothing was written, choose another name"} {
		d := NewFile(pane.WriteFile{Name: name, Content: func() []byte { return []byte{'a', 'b', byte('c' + i)} }}, f)
		effect, open := types(d, f, "enter")
		if open {
			t.Fatal("still open")
		}
		if got := perform(t, effect, nil); got.Text != want || got.Bad != (i > 0) {
			t.Errorf("says %+v, want %q", got, want)
		}
	}
	if text, err := os.ReadFile(name); err != nil || string(text) != "abc" {
		t.Errorf("%q, %v", text, err)
	}
	d := NewFile(pane.WriteFile{Name: "x"}, f)
	if effect, open := types(d, f, "backspace", "enter"); !open || effect == nil {
		t.Error("a file without a name", effect, open)
	}
}
