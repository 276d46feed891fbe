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
