package tui

import (
	"testing"

	"adit/engine"
	"adit/engine/enginetest"
)

func small() engine.Snapshot {
	return engine.Snapshot{Role: engine.RoleServer, Name: "edge-1", Connections: []engine.Connection{
		{ID: 1, Client: "edge-sin-01", State: engine.StateBusy, InFlight: 3},
	}}
}

func TestInterruptTwiceEndsWhateverIsOpen(t *testing.T) {
	fake := enginetest.NewFake(small())
	defer fake.End()
	s := start(t, Options{Engine: fake}, 80, 24)
	s.shows("edge-1")
	s.typed("\x03")
	s.shows("ctrl+c again ends the run")
	s.typed("\x03")
	if end := s.ends(); end != EndQuit {
		t.Fatal(end)
	}
}

func TestEngineThatEndsEndsTheDashboard(t *testing.T) {
	fake := enginetest.NewFake(small())
	s := start(t, Options{Engine: fake}, 80, 24)
	s.shows("edge-1")
	fake.End()
	if end := s.ends(); end != EndEngine {
		t.Fatal(end)
	}
}

func TestQuitAsksWhereItStopsTunnels(t *testing.T) {
	fake := enginetest.NewFake(small())
	defer fake.End()
	s := start(t, Options{Engine: fake}, 80, 24)
	s.shows("edge-1")
	s.typed("q")
	s.shows("Quit?")
	s.shows("1 connection with 3 requests in flight")
	s.typed("\r") // the default is no
	s.hides("Quit?")
	s.typed("qy") // y too soon
	s.shows("Quit?")
	if s.gone() {
		t.Fatal("ended by a key that was typed before the dialog was seen")
	}
	for !s.gone() {
		s.typed("y")
	}
	if end := s.ends(); end != EndQuit {
		t.Fatal(end)
	}
}
