package tui

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/store"
)

// exchanges publishes n requests that ended, ids from first on: each tenth one
// failed slowly with 502.
func exchanges(f *enginetest.Fake, first, n int) {
	for i := first; i < first+n; i++ {
		r := &engine.Request{ID: engine.RequestID(i), Connection: 3, Client: "edge-sin-01", Way: engine.WayHost,
			Method: "GET", Target: fmt.Sprintf("http://shop.example.com/api/orders/%d", i), Status: 200,
			Arrived: time.Now(), LastByte: 3 * time.Millisecond, Outcome: engine.OutcomeCompleted}
		if i%10 == 0 {
			r.Status, r.LastByte, r.Outcome = 502, 5*time.Second, engine.OutcomeOriginFailed
			r.Reason = "dial origin: connection refused"
		}
		f.Publish(engine.Event{Kind: engine.KindRequestFinished, Connection: 3, Request: r})
		f.Update(func(s *engine.Snapshot) { s.Totals.Requests++ })
	}
}

// busy runs a dashboard over an engine with two connections and 40 requests.
func busy(t *testing.T, o Options, w, h int) (*terminal, *enginetest.Fake) {
	t.Helper()
	opened := time.Now().Add(-time.Minute)
	fake := enginetest.NewFake(engine.Snapshot{Role: engine.RoleServer, Name: "edge-1", Started: opened,
		Connections: []engine.Connection{
			{ID: 2, Client: "edge-fra-01", Peer: "203.0.113.5:4000", State: engine.StateIdle, Opened: opened},
			{ID: 3, Client: "edge-sin-01", Peer: "203.0.113.9:4000", State: engine.StateBusy, Opened: opened, InFlight: 3},
		}})
	log, err := store.Open(fake, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	t.Cleanup(fake.End)
	exchanges(fake, 1, 40)
	o.Engine, o.Log = fake, log
	return start(t, o, w, h), fake
}

// dies makes the engine lose a connection as a killed one does.
func dies(fake *enginetest.Fake, id engine.ConnectionID, client string) {
	fake.Update(func(s *engine.Snapshot) {
		s.Connections = slices.DeleteFunc(s.Connections, func(c engine.Connection) bool { return c.ID == id })
	})
	fake.Publish(engine.Event{Kind: engine.KindOperatorAction, Action: engine.ActionKill, Operator: "local", Target: id.String(), Reason: "stuck upload"},
		engine.Event{Kind: engine.KindConnectionClosed, Connection: id, Client: client, Code: uint16(engine.CloseKilled), Reason: "killed"})
}

// confirms presses y once the dialog that is shown takes it, after its grace.
func (s *terminal) confirms() {
	s.t.Helper()
	time.Sleep(450 * time.Millisecond)
	s.typed("y")
	s.hides("[ Cancel ]")
}

func TestKillABusyConnection(t *testing.T) {
	s, fake := busy(t, Options{}, 120, 36)
	s.shows("edge-1")
	s.typed("2")
	s.shows("[2 Connections]")
	s.typed("/")
	s.typed("state:busy")
	s.hides("c-2 ")
	s.typed("\r")
	s.typed("G") // the last row is the connection, below its client
	s.typed("x")
	s.shows("Kill 1 connection?")
	s.shows("3 requests will fail with 502.")
	s.typed("rstuck upload\r")
	s.shows("reason: stuck upload")
	s.confirms()
	s.shows("killed c-3")
	want := enginetest.FakeAction{Action: engine.ActionKill, Connection: 3, Code: engine.CloseKilled,
		By: engine.Operator{Name: "local", Reason: "stuck upload"}}
	if a := fake.Actions(); len(a) != 1 || a[0] != want {
		t.Fatalf("did %+v", a)
	}
	dies(fake, 3, "edge-sin-01")
	s.hides("c-3 ")
	s.typed("4")
	s.shows("KILL c-3 by local")
	s.shows("closed 4000")
}

func TestKillByMouse(t *testing.T) {
	s, fake := busy(t, Options{}, 120, 36)
	s.shows("edge-1")
	s.click("2 Connections")
	s.shows("[2 Connections]")
	s.click("c-3 ")
	s.typed("x")
	s.shows("Kill 1 connection?")
	s.until("end of the dialog", func(text string) bool {
		if strings.Contains(text, "kill now (y)") {
			s.click("kill now (y)")
			time.Sleep(20 * time.Millisecond)
		}
		return !strings.Contains(text, "[ Cancel ]")
	})
	s.shows("killed c-3")
	if a := fake.Actions(); len(a) != 1 || a[0].Connection != 3 {
		t.Fatalf("did %+v", a)
	}
}

func TestActionThatFailsSaysWhyUntilAcknowledged(t *testing.T) {
	s, fake := busy(t, Options{}, 120, 36)
	fake.Refuse(errors.New("policy says no"))
	s.shows("edge-1")
	s.typed("2")
	s.shows("[2 Connections]")
	s.typed("Gx")
	s.shows("Kill 1 connection?")
	s.confirms()
	s.shows("policy says no")
	s.shows("acknowledge")
	s.typed("!")
	s.hides("policy says no")
}

func TestFilterIsTypedNotObeyed(t *testing.T) {
	s, _ := busy(t, Options{}, 120, 36)
	s.shows("edge-1")
	s.typed("3/")
	s.shows("40 of 40")
	s.typed("qxp4?!") // all of them keys elsewhere
	s.shows("qxp4?!")
	s.typed("\x1b")
	s.shows("40 of 40")
	if text := s.shows("[3 Requests]"); strings.Contains(text, "PAUSED") {
		t.Error("p in a filter paused the screen")
	}
}

// Keys that are typed while the mouse floods and the size storms go where they
// were meant to, in their order.
func TestKeysInAFlood(t *testing.T) {
	s, _ := busy(t, Options{}, 120, 36)
	s.shows("edge-1")
	stop, joined := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(joined)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			s.p.Send(tea.MouseWheelMsg{X: 5, Y: 8, Button: tea.MouseWheelDown})
			s.p.Send(tea.MouseMotionMsg{X: i % 100, Y: 8, Button: tea.MouseLeft})
			if i%50 == 0 {
				s.p.Send(tea.WindowSizeMsg{Width: 120, Height: 36 + i/50%2})
			}
		}
	}()
	s.typed("3/")
	for _, b := range "status:502 path:/api" {
		s.typed(string(b))
	}
	s.shows("4 of 40")
	s.shows("status:502 path:/api")
	close(stop)
	<-joined
}

func TestFindAFailedRequestAndOpenIt(t *testing.T) {
	s, _ := busy(t, Options{}, 120, 36)
	s.shows("edge-1")
	s.typed("3")
	s.shows("/api/orders/40")
	s.typed("/")
	s.typed("status:>=500 dur:>200ms")
	s.shows("4 of 40")
	s.hides("/api/orders/39")
	s.typed("\r") // keeps the filter
	s.typed("jj") // 40, 30, 20
	s.typed("\r")
	s.shows("502 Bad Gateway")
	s.shows("connection refused")
	s.shows("r-20")
	s.typed("]")
	s.shows("r-10")
	s.typed("\x1b")
	s.shows("4 of 40")
	s.typed("\x1b") // the filter
	s.shows("40 of 40")
}

func TestFreezeScrollFollow(t *testing.T) {
	s, fake := busy(t, Options{}, 100, 30)
	s.typed("3")
	s.shows("/api/orders/40")
	s.typed("p")
	s.shows("PAUSED +0")
	exchanges(fake, 41, 25)
	s.shows("PAUSED +25")
	s.typed("G")
	s.shows("/api/orders/1 ")
	if text := s.text(); strings.Contains(text, "orders/65") {
		t.Errorf("a paused screen shows what came since:\n%s", text)
	}
	s.typed("g")
	s.shows("/api/orders/40")
	s.typed("f")
	s.shows("/api/orders/65")
	s.shows("LIVE")
}

func TestTheSameByMouse(t *testing.T) {
	s, fake := busy(t, Options{}, 100, 30)
	s.shows("edge-1")
	s.click("3 Req")
	s.shows("/api/orders/40")
	s.typed("p")
	s.shows("PAUSED")
	exchanges(fake, 41, 5)
	s.shows("PAUSED +5")
	x, y := s.find("/api/orders/35")
	for range 20 {
		s.p.Send(tea.MouseWheelMsg{X: x, Y: y, Button: tea.MouseWheelDown})
		time.Sleep(mouseEvery)
	}
	s.hides("/api/orders/40")
	s.click("/api/orders/20")
	s.click("/api/orders/20")
	s.shows("r-20")
}
