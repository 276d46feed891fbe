package scene

import (
	"math"
	"reflect"
	"testing"
	"time"

	"adit/engine"
	"adit/tui/pane"
)

func TestPictureThatIsNotAsPictured(t *testing.T) {
	f := New(Options{}).Frame(120, 36)
	s := f.Snapshot
	if len(s.Connections) != 42 || len(f.Rows.Clients) != 6 || !s.Time.Equal(Clock()) {
		t.Fatalf("%d connections of %d clients at %v", len(s.Connections), len(f.Rows.Clients), s.Time)
	}
	busy := 0
	want := map[string]int{"edge-fra-01": 8, "edge-fra-02": 8, "edge-iad-01": 12, "edge-sin-01": 8, "kiosk-berlin": 4, "lab-rpi4": 2}
	for _, c := range f.Rows.Clients {
		busy += c.Busy
		if want[c.Name] != len(c.Connections) || c.Pool != len(c.Connections) {
			t.Errorf("%s: %d connections, pool %d, want %d", c.Name, len(c.Connections), c.Pool, want[c.Name])
		}
		if c.RTT <= 0 || c.BytesIn <= 0 || c.Requests <= 0 || c.Oldest < 0 {
			t.Errorf("%+v", c)
		}
	}
	total := f.Meter.Total()
	for _, check := range []struct {
		name      string
		got, want float64
	}{
		{"busy", float64(busy), 9},
		{"in", total.BytesIn, 12.4 * (1 << 20)},
		{"out", total.BytesOut, 88.1 * (1 << 20)},
		{"requests", total.Requests, 1204},
		{"5xx", total.Server, 0.008},
		{"text in", total.FramesIn.Text, 1200},
		{"binary out", total.FramesOut.Binary, 61_000},
	} {
		if math.Abs(check.got-check.want) > check.want*0.5 {
			t.Errorf("%s: %v, pictured %v", check.name, check.got, check.want)
		}
	}
}

func TestSameMomentTwice(t *testing.T) {
	a, b := Snapshot(), Snapshot()
	if !reflect.DeepEqual(a, b) {
		t.Error("two looks at the same moment differ")
	}
	if !reflect.DeepEqual(New(Options{}).Requests(50), New(Options{}).Requests(50)) {
		t.Error("two looks at the same requests differ")
	}
}

func TestTotalThatFalls(t *testing.T) {
	s := New(Options{})
	var before, now engine.Snapshot
	s.At(-20*time.Minute, &before)
	for at := -20 * time.Minute; at < 10*time.Minute; at += 700 * time.Millisecond {
		s.At(at, &now)
		if now.Totals.BytesIn < before.Totals.BytesIn || now.Totals.Requests < before.Totals.Requests ||
			now.Totals.Statuses[5] < before.Totals.Statuses[5] || now.Totals.FramesOut.Total() < before.Totals.FramesOut.Total() {
			t.Fatalf("at %v: %+v after %+v", at, now.Totals, before.Totals)
		}
		before.Totals = now.Totals
	}
}

func TestRequestsInOrderOfArrival(t *testing.T) {
	all := New(Options{}).Requests(2000)
	if len(all) != 2000 {
		t.Fatalf("%d requests", len(all))
	}
	failed := 0
	for i := 1; i < len(all); i++ {
		if all[i].ID != all[i-1].ID+1 || all[i].Arrived.Before(all[i-1].Arrived) {
			t.Fatalf("%+v after %+v", all[i], all[i-1])
		}
		if all[i].Status >= 500 {
			failed++
		}
	}
	if failed < 2 || failed > 60 {
		t.Errorf("%d of 2000 failed", failed)
	}
}

func TestLargeScene(t *testing.T) {
	s := New(Options{Connections: 10_000, Rate: 50_000})
	var now engine.Snapshot
	s.At(0, &now)
	if len(now.Connections) != 10_000 {
		t.Errorf("%d connections", len(now.Connections))
	}
	for i := 1; i < len(now.Connections); i++ {
		if now.Connections[i].ID <= now.Connections[i-1].ID {
			t.Fatal("not in order of id")
		}
	}
	m, seen := s.Meter(3 * time.Second)
	r := new(pane.Rows)
	r.Update(seen, m)
	if n := testing.AllocsPerRun(10, func() { r.Update(seen, m) }); n != 0 {
		t.Errorf("grouping takes %v allocations", n)
	}
}
