package tui

import (
	"context"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/store"
	"adit/tui/scene"
)

func TestStillOfAnEngine(t *testing.T) {
	e := scene.NewEngine(scene.Options{})
	defer e.End()
	log, err := store.Open(e, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	got, err := Still(t.Context(), Options{Engine: e, Log: log, Color: "never", Glyphs: "ascii"}, 100, 30)
	if err != nil {
		t.Fatal(err)
	}
	fits(t, got, 100, 30, true)
	for _, want := range []string{"edge-1", "42 conn", "rq/s", "edge-iad-01", "LIVE"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "help") {
		t.Errorf("keys in a picture\n%s", got)
	}
	got, err = Still(t.Context(), Options{Engine: e, Log: log, Color: "always", Glyphs: "ascii"}, 80, 24)
	if err != nil || !strings.Contains(got, "\x1b[") {
		t.Errorf("%v, %q", err, got)
	}
}

func TestStillOfAnEngineThatDoesNotAnswer(t *testing.T) {
	linked := enginetest.NewFakeLinked(engine.Snapshot{Name: "edge-1"}, time.Time{})
	defer linked.End()
	linked.SetLink(func(l *engine.Link) { l.Lost, l.Cause, l.LastData = true, "connection refused", time.Time{} })
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	got, err := Still(ctx, Options{Engine: linked}, 80, 24)
	if err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("%v\n%s", err, got)
	}
}
