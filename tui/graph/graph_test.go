package graph

import (
	"math"
	"testing"
	"time"

	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/golden"
)

func waves(n int) []float32 {
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(50e6 + 40e6*math.Sin(float64(i)/9) + 5e6*math.Sin(float64(i)*2))
	}
	for i := range min(n, 8) {
		values[i] = -1 // before the start
	}
	if n > 40 {
		values[38], values[39], values[40] = -1, -1, 0 // a break, then silence
	}
	return values
}

func whole(g *themes.Glyphs, w, h int) *canvas.Canvas {
	c := canvas.New()
	c.SetASCII(g.ASCII)
	c.Resize(w, h)
	values := waves(60)
	top := NiceBytes(Largest(values))
	a := c.Area()
	label := AppendBytes([]byte(g.Out+" "), top)
	Fill(Scale(a.Sub(0, 0, w, h-4), g, 6, label, true), g, values, top, canvas.Of(themes.GraphOut))
	Time(a, h-4, g, 6, time.Minute)
	Spark(a, 1, h-3, w/2, g, values, 0, 0)
	Bar(a, 1, h-2, w-2, g, 0.3, 0)
	Span(a, 1, h-1, w-2, g, 0.3, 0.6, 0)
	return c
}

func TestGraphAsPictured(t *testing.T) {
	for _, g := range []*themes.Glyphs{themes.Unicode(), themes.Block(), themes.ASCII()} {
		golden.Equal(t, "graph-"+g.Name, whole(g, 60, 10))
		golden.Equal(t, "graph-small-"+g.Name, whole(g, 21, 7))
	}
}

func TestUnknownValueThatIsDrawn(t *testing.T) {
	for _, g := range []*themes.Glyphs{themes.Unicode(), themes.Block(), themes.ASCII()} {
		c := canvas.New()
		c.Resize(4, 2)
		Fill(c.Area(), g, []float32{-1, -1, 0, 8}, 8, 0)
		Spark(c.Area(), 0, 1, 4, g, []float32{-1, -1, 0, 8}, 8, 0)
		rows := []rune(c.Plain())
		if string(rows[:2]) != "  " || string(rows[5:7]) != "  " {
			t.Errorf("%s: drawn where nothing is known:\n%s", g.Name, c.Plain())
		}
		if rows[7] == ' ' || rows[3] == ' ' {
			t.Errorf("%s: silence or the largest value is not drawn:\n%s", g.Name, c.Plain())
		}
	}
}

func TestPeakThatIsLost(t *testing.T) {
	values := make([]float32, 600)
	values[301] = 9
	c := canvas.New()
	c.Resize(20, 1)
	Spark(c.Area(), 0, 0, 20, themes.Unicode(), values, 0, 0)
	if got := []rune(c.Plain()); got[10] != '█' {
		t.Errorf("%s", c.Plain())
	}
}

func TestValuesThatAreNoNumbers(t *testing.T) {
	c := canvas.New()
	for w := range 8 {
		for h := range 4 {
			c.Resize(w, h)
			for _, values := range [][]float32{nil, {float32(math.NaN())}, {float32(math.Inf(1)), 2}, {-1, -1}, {0}, {3e38, 1}} {
				Fill(c.Area(), themes.Unicode(), values, 0, 0)
				Fill(c.Area(), themes.ASCII(), values, 0, 0)
				Spark(c.Area(), 0, 0, w, themes.Block(), values, 0, 0)
			}
			Time(c.Area(), 0, themes.Unicode(), 3, time.Minute)
			Scale(c.Area(), themes.Unicode(), 3, []byte("12345"), true)
			Bar(c.Area(), 0, 0, w, themes.Unicode(), math.NaN(), 0)
			Span(c.Area(), 0, 0, w, themes.Unicode(), 2, 3, 0)
			Span(c.Area(), 0, 0, w, themes.Unicode(), math.NaN(), 3, 0)
		}
	}
}

func TestUpperEdges(t *testing.T) {
	for v, want := range map[float64]string{0: "1K", 1: "1K", 1025: "2K", 2 << 20: "2M", 2<<20 + 1: "3M", 88.1 * (1 << 20): "96M", 13 << 20: "14M", 2.5 * (1 << 20): "3M", 300: "1K", 700 << 20: "768M", 1 << 30: "1G"} {
		if got := string(AppendBytes(nil, NiceBytes(v))); got != want {
			t.Errorf("NiceBytes(%v) = %s, want %s", v, got, want)
		}
	}
	for v, want := range map[float64]float64{0: 1, 1.5: 2, 410: 500, 1000: 1000, 1001: 2000} {
		if got := Nice(v); got != want {
			t.Errorf("Nice(%v) = %v, want %v", v, got, want)
		}
	}
}

func TestGraphThatAllocates(t *testing.T) {
	c := canvas.New()
	c.Resize(60, 10)
	g, values := themes.Unicode(), waves(60)
	label := []byte("96M")
	if n := testing.AllocsPerRun(20, func() {
		Fill(Scale(c.Area(), g, 6, label, true), g, values, 0, 0)
		Time(c.Area(), 9, g, 6, time.Minute)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFill(b *testing.B) {
	c := canvas.New()
	c.Resize(60, 8)
	g, values := themes.Unicode(), waves(60)
	b.ReportAllocs()
	for b.Loop() {
		Fill(c.Area(), g, values, 0, 0)
	}
}
