package tui

import (
	"fmt"
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
