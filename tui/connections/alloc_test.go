//go:build !race

package connections

import (
	"testing"
	"time"

	"adit/tui/canvas"
	"adit/tui/pane"
	"adit/tui/scene"
)

// many returns a frame with ten thousand connections.
func many() *pane.Frame {
	f := scene.New(scene.Options{Connections: 10_000}).Frame(120, 36)
	f.Now = f.Snapshot.Time
	return f
}

// What nothing has changed for is drawn without sorting, filtering or allocating.
func TestFrameThatAllocates(t *testing.T) {
	f, table, c := many(), NewTable("test", false), canvas.New()
	c.Resize(118, 15)
	table.SetFilter("client:edge-*")
	table.Draw(c.Area(), f, true)
	generation := table.list.generation
	n := testing.AllocsPerRun(20, func() { table.Draw(c.Area(), f, true) })
	if generation != table.list.generation {
		t.Error("rows are listed again for the same snapshot")
	}
	if n > 8 {
		t.Errorf("%v allocations in a frame where nothing changed", n)
	}
	n = testing.AllocsPerRun(20, func() {
		f.Snapshot.Time = f.Snapshot.Time.Add(100 * time.Millisecond)
		f.Now = f.Snapshot.Time
		table.Draw(c.Area(), f, true)
	})
	if n > 12 {
		t.Errorf("%v allocations in a frame with new data", n)
	}
}

func BenchmarkDraw10k(b *testing.B) {
	f, c := many(), canvas.New()
	c.Resize(118, 15)
	for _, flat := range []bool{false, true} {
		name := map[bool]string{false: "tree", true: "flat"}[flat]
		table := NewTable("test", false)
		table.list.flat = flat
		table.Draw(c.Area(), f, true)
		b.Run(name+"/same", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				table.Draw(c.Area(), f, true)
			}
		})
		b.Run(name+"/new data", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f.Snapshot.Time = f.Snapshot.Time.Add(100 * time.Millisecond)
				f.Now = f.Snapshot.Time
				table.Draw(c.Area(), f, true)
			}
		})
		b.Run(name+"/filtered", func(b *testing.B) {
			table.SetFilter("state:busy rtt:>1ms client:edge-*")
			b.ReportAllocs()
			for b.Loop() {
				f.Snapshot.Time = f.Snapshot.Time.Add(100 * time.Millisecond)
				f.Now = f.Snapshot.Time
				table.Draw(c.Area(), f, true)
			}
		})
	}
}
