package tui

import (
	"fmt"
	"testing"
	"time"

	"adit/engine"
	"adit/tui/scene"
)

// frames returns a function that has the engine move on, collects and draws.
func frames(tb testing.TB, w, h, connections, requests int, path ...string) func() {
	tb.Helper()
	sc := scene.New(scene.Options{Connections: connections, Requests: requests})
	s := pictured(tb, Options{}, sc, requests)
	s.at(w, h).press(path...)
	step := 0
	return func() {
		step++
		s.clock = scene.Clock().Add(time.Duration(step) * framesEvery)
		s.fake.Update(func(x *engine.Snapshot) { sc.At(time.Duration(step)*framesEvery, x) })
		s.next()
		s.draw()
	}
}

func BenchmarkFrame(b *testing.B) {
	for _, size := range [][2]int{{120, 36}, {200, 60}} {
		for _, data := range []struct {
			name                  string
			connections, requests int
		}{{"1k requests", 42, 1000}, {"100k requests", 42, 100_000}, {"10k connections", 10_000, 1000}} {
			for name, path := range screens() {
				b.Run(fmt.Sprintf("%dx%d/%s/%s", size[0], size[1], data.name, name), func(b *testing.B) {
					frame := frames(b, size[0], size[1], data.connections, data.requests, path...)
					b.ReportAllocs()
					for b.Loop() {
						frame()
					}
				})
			}
		}
	}
}
