//go:build !race

package overview

import (
	"strconv"
	"testing"
	"time"

	"adit/tui/canvas"
	"adit/tui/scene"
)

// A frame allocates little, whatever there is: 300 in all is the budget, most of
// it for the string that goes to the terminal.
func TestFrameThatAllocates(t *testing.T) {
	sc := scene.New(scene.Options{Connections: 10_000})
	f, c, s := sc.Frame(120, 36), canvas.New(), New()
	drawn(s, f, c, sc.Requests(200))
	if n := testing.AllocsPerRun(20, func() {
		f.Snapshot.Time = f.Snapshot.Time.Add(100 * time.Millisecond)
		f.Now = f.Snapshot.Time
		c.Clear()
		s.Draw(c.Area(), f)
	}); n > 60 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkOverview(b *testing.B) {
	for _, n := range []int{42, 10_000} {
		for _, size := range [][2]int{{120, 36}, {200, 60}} {
			b.Run(strconv.Itoa(n)+"/"+strconv.Itoa(size[0])+"x"+strconv.Itoa(size[1]), func(b *testing.B) {
				sc := scene.New(scene.Options{Connections: n})
				f, c, s := sc.Frame(size[0], size[1]), canvas.New(), New()
				drawn(s, f, c, sc.Requests(200))
				b.ReportAllocs()
				for b.Loop() {
					f.Snapshot.Time = f.Snapshot.Time.Add(100 * time.Millisecond)
					f.Now = f.Snapshot.Time
					c.Clear()
					s.Draw(c.Area(), f)
				}
			})
		}
	}
}
