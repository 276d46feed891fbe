package store

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"adit/engine"
)

// A set of ids answers as a sorted slice would.
func TestIDSetIsASortedSlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s idSet
		var want []engine.RequestID
		id := rapid.Custom(func(t *rapid.T) engine.RequestID {
			return engine.RequestID(rapid.IntRange(1, 3000).Draw(t, "id"))
		})
		add := func(id engine.RequestID) {
			i, there := slices.BinarySearch(want, id)
			if !there {
				want = slices.Insert(want, i, id)
			}
			if s.add(id) == there {
				t.Fatalf("%d was there: %v", id, there)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"one": func(t *rapid.T) { add(id.Draw(t, "one")) },
			"up": func(t *rapid.T) {
				for i, step := id.Draw(t, "from"), engine.RequestID(rapid.IntRange(1, 3).Draw(t, "step")); i < 5000; i += step {
					add(i)
				}
			},
			"down": func(t *rapid.T) {
				for i, step := int(id.Draw(t, "from")), rapid.IntRange(1, 3).Draw(t, "step"); i > 0; i -= step {
					add(engine.RequestID(i))
				}
			},
			"prepend": func(t *rapid.T) {
				if len(want) == 0 || want[0] > 3 {
					from := id.Draw(t, "prepended")
					to := from + id.Draw(t, "length")/8 + 1
					if len(want) > 0 {
						to = min(to, want[0])
						from = min(from, to-1)
					}
					s.prepend(span{from, to})
					for to--; to >= from; to-- {
						want = slices.Insert(want, 0, to)
					}
				}
			},
			"remove": func(t *rapid.T) {
				for range rapid.IntRange(1, 200).Draw(t, "n") {
					gone := id.Draw(t, "gone")
					s.remove(gone)
					if i, there := slices.BinarySearch(want, gone); there {
						want = slices.Delete(want, i, i+1)
					}
				}
			},
			"trim": func(t *rapid.T) {
				before := id.Draw(t, "before") / 8
				s.trim(before)
				want = slices.DeleteFunc(want, func(id engine.RequestID) bool { return id < before })
			},
			"": func(t *rapid.T) {
				if got := s.window(0, len(want)+1, nil); !slices.Equal(got, want) || s.n != len(want) {
					t.Fatalf("%d ids, says %d, want %d", len(got), s.n, len(want))
				}
				sum, spans := 0, 0
				for i := range s.blocks {
					n := 0
					for _, x := range s.blocks[i].spans {
						n += x.len()
					}
					if n != s.blocks[i].n || n == 0 || len(s.blocks[i].spans) > blockSpans {
						t.Fatalf("block %d: %d ids, says %d", i, n, s.blocks[i].n)
					}
					sum, spans = sum+n, spans+len(s.blocks[i].spans)
				}
				if spans != s.spans {
					t.Fatalf("%d spans, says %d", spans, s.spans)
				}
				x := id.Draw(t, "asked")
				i, there := slices.BinarySearch(want, x)
				if s.rank(x) != i || s.has(x) != there {
					t.Fatalf("rank %d is %d, want %d", x, s.rank(x), i)
				}
				from := rapid.IntRange(0, len(want)).Draw(t, "window")
				to := min(from+50, len(want))
				if got := s.window(from, to, nil); !slices.Equal(got, want[from:to]) {
					t.Fatalf("window %d..%d: %v", from, to, got)
				}
			},
		})
	})
}
