package requests_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"adit/keys"
	"adit/tui/pane"
)

// CONNECT and OPTIONS were cut to "CONNE…" with forty cells to spare.
func TestMethodsAreNotCutWhereThereIsRoom(t *testing.T) {
	th := newTheatre(t, 120, 36, false)
	last := th.plain.records[len(th.plain.records)-1]
	for _, method := range []string{"CONNECT", "OPTIONS"} {
		last.ID++
		last.Method = method
		th.plain.records = append(th.plain.records, last)
	}
	th.step()
	th.step()
	if text := th.draw(); !strings.Contains(text, " CONNECT ") || !strings.Contains(text, " OPTIONS ") {
		t.Errorf("cut methods:\n%s", text)
	}
}

// After restarts connections have long ids: "c-1020019" was drawn as "c-10200",
// which is another connection. What has become wide stays so: nothing jumps.
func TestLongIdsAreNotCut(t *testing.T) {
	gap := func(text string) int { return strings.Index(text, "PATH") - strings.Index(text, "CONN ") }
	th := newTheatre(t, 120, 36, false)
	narrow := gap(th.draw())
	last := th.plain.records[len(th.plain.records)-1]
	last.ID++
	last.Connection = 1020019
	th.plain.records = append(th.plain.records, last)
	th.step()
	th.step()
	wide := th.draw()
	if !strings.Contains(wide, " c-1020019 ") {
		t.Errorf("the id of the newest request is cut:\n%s", wide)
	}
	if gap(wide) != narrow+len("c-1020019")-7 {
		t.Error("the path does not begin behind it")
	}
	for range 60 {
		last.ID++
		last.Connection = 7
		th.plain.records = append(th.plain.records, last)
	}
	th.step()
	th.step()
	if text := th.draw(); strings.Contains(text, "c-1020019") || gap(text) != gap(wide) {
		t.Errorf("the column jumps back:\n%s", text)
	}
}

// The footer shows what freezes the screen.
func TestFooterShowsPause(t *testing.T) {
	th := newTheatre(t, 80, 24, false)
	for i, a := range th.screen.Hints(th.frame) {
		if a == keys.Pause && i < 6 {
			return
		}
	}
	t.Error("no pause among the first hints")
}

// A list of five rows and forty requests a second lost a burst now and then, and
// said that it was sampled: nobody could have looked at less.
func TestOneBurstIsNotSampling(t *testing.T) {
	th := newTheatre(t, 80, 24, false)
	last := th.plain.records[len(th.plain.records)-1]
	for i := range 20 {
		n := 20 // as fast as the list can show them, or nearly
		if i%4 == 3 {
			n = 65
		}
		for range n {
			last.ID++
			th.plain.records = append(th.plain.records, last)
		}
		th.step()
		if got := th.screen.Status(th.frame); got != "" {
			t.Fatalf("page %d: %q", i, got)
		}
	}
}

// The help promised to write requests to a file; the key did nothing and said
// nothing.
func TestWriteRequestsToAFile(t *testing.T) {
	th := newTheatre(t, 120, 36, false)
	th.do(keys.Mark)
	e, ok := th.do(keys.Write).(pane.WriteFile)
	if !ok || e.Fetch == nil {
		t.Fatalf("%#v", e)
	}
	for _, want := range []int{1, len(th.plain.records)} {
		b, err := e.Fetch(context.Background(), pane.Source{Log: th.log})
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
		if len(lines) != want {
			t.Errorf("%d lines, want %d", len(lines), want)
		}
		var one struct{ Kind, ID, Target string }
		if err := json.Unmarshal([]byte(lines[0]), &one); err != nil || one.ID == "" || one.Target == "" || !strings.HasPrefix(one.Kind, "request_") {
			t.Errorf("%v: %s", err, lines[0])
		}
		th.do(keys.Undo)
		e, _ = th.do(keys.Write).(pane.WriteFile)
	}
}
