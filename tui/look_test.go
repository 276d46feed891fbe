package tui

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"adit/engine/enginetest"
	"adit/tui/memory"
)

func TestThemeThatDoesNotExist(t *testing.T) {
	color := func(name string) (string, bool) {
		if name == "TERM" {
			return "xterm-256color", true
		}
		return "", false
	}
	fake := enginetest.NewFake(small())
	defer fake.End()
	if _, err := newModel(context.Background(), Options{Engine: fake, Theme: "nrod", LookupEnv: color}); err == nil ||
		!strings.Contains(err.Error(), "the nearest is nord") {
		t.Errorf("asked for: %v", err)
	}
	// One that was chosen once and is gone is no reason not to start.
	state := filepath.Join(t.TempDir(), "state.yaml")
	kept, err := memory.Open(state)
	if err != nil {
		t.Fatal(err)
	}
	kept.Set("theme", "mine")
	if err := kept.Write(); err != nil {
		t.Fatal(err)
	}
	s := start(t, Options{Engine: fake, StateFile: state, LookupEnv: color}, 120, 24)
	s.shows(`no theme "mine"`)
}

func TestKeyThatDoesNothingSaysNothing(t *testing.T) {
	fake := enginetest.NewFake(small())
	defer fake.End()
	s := start(t, Options{Engine: fake}, 120, 36)
	s.shows("edge-1")
	s.typed("5/")
	s.shows("filter: not on this screen")
	s.typed(" ")
	s.shows("mark: not on this screen")
	s.typed("D")
	s.shows("[ Cancel ]")
}

// What the keys mean is found in help, and done from the palette.
func TestOverlaysOverTheScreens(t *testing.T) {
	fake := enginetest.NewFake(small())
	defer fake.End()
	s := start(t, Options{Engine: fake, Glyphs: "ascii"}, 120, 36)
	s.shows("edge-1")
	s.typed("?")
	s.shows("Help - keys for: Overview")
	s.typed("curl")
	s.shows("ELSEWHERE: REQUESTS")
	s.typed("?")
	s.hides("type to search")
	s.typed(":events\r")
	s.shows("[4 Events]")
	s.typed("T")
	s.shows("solarized-light")
	s.typed("q")
	s.hides("solarized-light")
}

func TestKeysThatAreNotReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.yaml")
	fake := enginetest.NewFake(small())
	defer fake.End()
	s := start(t, Options{Engine: fake, KeysFile: path}, 120, 36)
	s.shows("edge-1")
	if err := os.WriteFile(path, []byte("everywhere:\n  screen.config: E\n  view.hlep: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.shows("1 problem in the keys")
	s.typed("E")
	s.shows("[5 Config]")
	s.typed("?\t")
	s.shows("unknown action")
}
