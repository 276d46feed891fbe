//go:build !race

package inspector_test

import (
	"testing"

	"adit/engine"
	"adit/keys"
	"adit/tui/scene"
)

func TestFrameOfALargeContentIsCheap(t *testing.T) {
	for name, pick := range map[string]func(*scene.Scene) engine.RequestID{"big": (*scene.Scene).Upload, "chat": (*scene.Scene).Chat} {
		st := newStage(t, 120, 36, pick)
		st.do(keys.PaneZoom)
		n := testing.AllocsPerRun(50, func() { st.screen.Draw(st.canvas.Area(), st.frame) })
		if n > 60 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
