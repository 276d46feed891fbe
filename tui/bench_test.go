package tui

import (
	"fmt"
	"testing"
	"time"

	"adit/engine"
	"adit/tui/scene"
)

// A mover is a dashboard of a scene that goes on.
type mover struct {
	*still
	scene *scene.Scene
	step  int
}

func moving(tb testing.TB, connections, requests int) *mover {
	tb.Helper()
	sc := scene.New(scene.Options{Connections: connections, Requests: requests})
	return &mover{still: pictured(tb, Options{}, sc, requests), scene: sc}
}

// to shows a screen in a size.
func (m *mover) to(w, h int, path ...string) {
	m.shown, m.levels[m.shown] = 0, m.levels[m.shown][:1]
	m.at(w, h).press(path...)
}

// frame has the engine move on, collects and draws.
func (m *mover) frame() {
	m.step++
	t := time.Duration(m.step) * framesEvery
	m.clock = scene.Clock().Add(t)
	m.fake.Update(func(x *engine.Snapshot) { m.scene.At(t, x) })
	m.next()
	m.draw()
}

func BenchmarkFrame(b *testing.B) {
	for _, data := range []struct {
		name                  string
		connections, requests int
	}{{"1k requests", 42, 1000}, {"100k requests", 42, 100_000}, {"10k connections", 10_000, 1000}} {
		m := moving(b, data.connections, data.requests)
		for _, size := range [][2]int{{120, 36}, {200, 60}} {
			for name, path := range screens() {
				b.Run(fmt.Sprintf("%dx%d/%s/%s", size[0], size[1], data.name, name), func(b *testing.B) {
					m.to(size[0], size[1], path...)
					b.ReportAllocs()
					for b.Loop() {
						m.frame()
					}
				})
			}
		}
	}
}
