package pane_test

import (
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/observe"
	"adit/tui/pane"
)

func notices(from, n int) engine.Batch {
	var b engine.Batch
	for i := range n {
		b.Events = append(b.Events, engine.Event{Seq: uint64(from + i), Kind: engine.KindNotice,
			Time: time.Unix(int64(from+i), 0), Reason: "something happened"})
	}
	return b
}

func TestEventLogLosesTheOldestOnly(t *testing.T) {
	l := pane.NewEventLog(4)
	if l.Len() != 0 || l.At(0) != nil {
		t.Fatal("a new log has rows")
	}
	for i := range 11 {
		l.Add(notices(i, 1))
		if want := min(i+1, 4); l.Len() != want {
			t.Fatalf("after %d rows it has %d, want %d", i+1, l.Len(), want)
		}
		for p := l.First(); p < l.Next(); p++ {
			if got := l.At(p).Event.Seq; got != p {
				t.Errorf("after %d rows: position %d holds event %d", i+1, p, got)
			}
		}
	}
	if l.At(l.First()-1) != nil || l.At(l.Next()) != nil {
		t.Error("At returns a row for a position that is not kept")
	}
}

func TestEventLogKeepsMarksOfOthersWhenItLaps(t *testing.T) {
	l := pane.NewEventLog(2)
	l.Add(notices(0, 2))
	l.At(0).Marked = true
	l.Add(notices(2, 1))
	if l.At(2).Marked {
		t.Error("the row that took a marked one's place is marked")
	}
}

func TestEventLogSaysWhatWasDropped(t *testing.T) {
	l := pane.NewEventLog(8)
	b := notices(5, 1)
	b.Dropped = 1820
	l.Add(b)
	row := l.At(0)
	if l.Len() != 2 || row.Dropped != 1820 || !strings.HasPrefix(row.Text, "1820 events not shown") {
		t.Errorf("%d rows, the first %+v", l.Len(), row)
	}
	if row.Level != observe.LevelWarn || !row.Event.Time.Equal(time.Unix(5, 0)) {
		t.Errorf("row of a gap: level %v, time %v", row.Level, row.Event.Time)
	}
	if l.Dropped() != 1820 {
		t.Errorf("dropped %d", l.Dropped())
	}
}

func TestEventLogOfNothingStillTakesEvents(t *testing.T) {
	l := pane.NewEventLog(0)
	l.Add(notices(0, 3))
	if l.Len() != 1 || l.At(2).Event.Seq != 2 {
		t.Errorf("len %d", l.Len())
	}
}

// Whoever may greet writes up to 64 KiB into an event: ten thousand of them must
// not fill the memory.
func TestEventLogBoundsGreetings(t *testing.T) {
	l := pane.NewEventLog(300)
	kept := func() (n int) {
		for p := l.First(); p < l.Next(); p++ {
			if l.At(p).Event.Greeting != nil {
				n++
			}
		}
		return n
	}
	for i := range 1000 {
		l.Add(engine.Batch{Events: []engine.Event{
			{Kind: engine.KindGreetingRejected, Greeting: &engine.Greeting{ID: "x", Size: 64 << 10}}, {Kind: engine.KindNotice},
		}})
		if n := kept(); n > 100 || i > 50 && n < 20 || l.At(l.Next()-2).Event.Greeting == nil {
			t.Fatalf("%d greetings of 64 KiB are kept", n)
		}
	}
	// Those that were overwritten do not count any more.
	for i := range 1000 {
		l.Add(engine.Batch{Events: []engine.Event{{Kind: engine.KindGreetingReceived, Greeting: &engine.Greeting{ID: "x", Size: 100}}}})
		if n := kept(); i > 300 && n != 300 {
			t.Fatalf("%d small greetings are kept", n)
		}
	}
}
