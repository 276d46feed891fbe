//go:build !race

package connection

import (
	"strconv"
	"testing"
	"time"

	"adit/themes"
)

func TestFrameThatAllocates(t *testing.T) {
	s := staged(t, 200, 60, themes.Unicode())
	if n := testing.AllocsPerRun(20, func() {
		s.frame.Snapshot.Time = s.frame.Snapshot.Time.Add(100 * time.Millisecond)
		s.c.Clear()
		s.Crumbs(s.frame)
		s.Draw(s.c.Area(), s.frame)
	}); n > 60 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkConnection(b *testing.B) {
	for _, size := range [][2]int{{120, 36}, {200, 60}} {
		b.Run(strconv.Itoa(size[0])+"x"+strconv.Itoa(size[1]), func(b *testing.B) {
			s := staged(b, size[0], size[1], themes.Unicode())
			b.ReportAllocs()
			for b.Loop() {
				s.frame.Snapshot.Time = s.frame.Snapshot.Time.Add(100 * time.Millisecond)
				s.c.Clear()
				s.Crumbs(s.frame)
				s.Draw(s.c.Area(), s.frame)
			}
		})
	}
}
