package connection

import (
	"strings"
	"testing"

	"adit/engine"
	"adit/engine/observe"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/pane"
)

// At 100 columns the last rate was cut to "1.2": a cut number is another number.
func TestNumbersOfFramesAreNotCut(t *testing.T) {
	counts := Counts{In: engine.Frames{Text: 61_600_000, Binary: 504_000_000, Ping: 115_944}, Out: engine.Frames{Text: 61_600_000, Binary: 3_150_000_000, Ping: 115_944}}
	gauge := observe.Gauge{Known: true, FramesIn: observe.FrameRates{Text: 1200, Binary: 61_000, Ping: 1.4}, FramesOut: observe.FrameRates{Text: 1200, Binary: 61_000, Ping: 1.4}}
	for _, titled := range []bool{true, false} {
		for w := 25; w < 80; w++ {
			c := canvas.New()
			c.Resize(w, 8)
			new(Pen).OpcodeTable(c.Area(), &pane.Frame{Glyphs: themes.Unicode()}, &counts, &gauge, titled)
			for line := range strings.Lines(c.Plain()) {
				fields := strings.Fields(line)
				if len(fields) < 2 || fields[1] == "NAME" {
					continue
				}
				for _, field := range fields[2:] {
					switch strings.TrimRight(field, "█▉▊▋▌▍▎▏") {
					case "0", "0/s", "61.6M", "504M", "3.15G", "115", "944", "1.2k/s", "61k/s", "1.4/s", "":
					default:
						t.Errorf("%d cells, titled %v: %q in %s", w, titled, field, line)
					}
				}
			}
		}
	}
}

// A connection whose greeting was refused said "no greeting yet", next to the one
// text frame that it had sent.
func TestGreetingThatWasRefusedIsShownWithTheReason(t *testing.T) {
	s := staged(t, 120, 36, themes.Unicode())
	at := s.frame.Now
	for _, e := range []engine.Event{
		{Kind: engine.KindConnectionOpened, Connection: 777, Peer: "203.0.113.200:40110", Time: at},
		{Kind: engine.KindGreetingRejected, Connection: 777, Peer: "203.0.113.200:40110", Time: at, Code: 1008, Reason: "no underscore"},
		{Kind: engine.KindConnectionClosed, Connection: 777, Peer: "203.0.113.200:40110", Time: at, Code: 1008, Reason: "no underscore"},
	} {
		s.frame.Events.Add(engine.Batch{Events: []engine.Event{e}})
	}
	s.Screen = New(777, nil)
	text := s.draw()
	if !strings.Contains(text, "refused    no underscore") || strings.Contains(text, "no greeting yet") {
		t.Errorf("%s", text)
	}
}

// With a ping of 1 351 ms the scale said "…51ms".
func TestScaleOfRoundTripsIsNotCut(t *testing.T) {
	for most, want := range map[float32]string{0.4: "0.4ms", 9.96: "10ms", 68: "68ms", 999.4: "999ms", 999.6: "999ms", 1351: "1.35s", 12_345: "12.3s", 75_000: "1m15s"} {
		c := canvas.New()
		c.Resize(40, 4)
		new(Pen).rttGraph(c.Area(), &pane.Frame{Glyphs: themes.Unicode()}, []float32{0.1, most, 0.2}, false)
		label, _, _ := strings.Cut(strings.TrimSpace(c.Plain()), " ")
		if label != want {
			t.Errorf("%v ms: %q, want %q", most, label, want)
		}
	}
}
