package requests_test

import (
	"fmt"
	"strings"
	"testing"

	"adit/engine"
	"adit/keys"
	"adit/tui/pane"
	"adit/tui/requests"
)

func do(s *stage, actions ...keys.Action) (e pane.Effect) {
	s.t.Helper()
	for _, a := range actions {
		var handled bool
		if e, handled = s.list.Do(a, &s.frame); !handled {
			s.t.Fatalf("%s was not handled", a)
		}
	}
	return e
}

func TestListFollowsTheNewest(t *testing.T) {
	s := newStage(t, 120, 20, 500, requests.Options{Title: "Requests"})
	if got := s.selected(); got != 500 {
		t.Fatalf("the cursor is on r-%d", got)
	}
	s.log.add(7)
	s.step()
	if got := s.selected(); got != 507 || !s.list.Following() {
		t.Errorf("after 7 more the cursor is on r-%d, following %t", got, s.list.Following())
	}
}

func TestCursorStaysOnItsRequestWhenRowsArrive(t *testing.T) {
	s := newStage(t, 120, 20, 500, requests.Options{Title: "Requests"})
	do(s, keys.MoveDown, keys.MoveDown, keys.MoveDown)
	id, line := s.selected(), cursorLine(s)
	for range 30 {
		s.log.add(11)
		s.step()
		if s.selected() != id || cursorLine(s) != line {
			t.Fatalf("the cursor went from r-%d in line %d to r-%d in line %d", id, line, s.selected(), cursorLine(s))
		}
	}
	if id != 497 || s.list.Following() {
		t.Errorf("cursor on r-%d, following %t", id, s.list.Following())
	}
	do(s, keys.Follow)
	s.step()
	if s.selected() != 830 {
		t.Errorf("follow went to r-%d, not to the newest", s.selected())
	}
}

// cursorLine returns the line of the screen that the cursor is in.
func cursorLine(s *stage) int {
	for y, line := range strings.Split(s.draw(), "\n") {
		if strings.Contains(line, "▌") {
			return y
		}
	}
	return -1
}

func TestMovesReachEveryRow(t *testing.T) {
	s := newStage(t, 120, 20, 1000, requests.Options{Title: "Requests"})
	for i := range 999 {
		do(s, keys.MoveDown)
		s.step()
		if want := engine.RequestID(1000 - i - 1); s.selected() != want {
			t.Fatalf("step %d: r-%d, want r-%d", i, s.selected(), want)
		}
	}
	do(s, keys.MoveDown)
	s.step()
	if s.selected() != 1 {
		t.Errorf("beyond the end: r-%d", s.selected())
	}
	do(s, keys.MoveFirst)
	s.step()
	if s.selected() != 1000 {
		t.Errorf("first: r-%d", s.selected())
	}
	do(s, keys.MoveLast)
	s.step()
	if s.selected() != 1 || cursorLine(s) != 18 {
		t.Errorf("last: r-%d in line %d", s.selected(), cursorLine(s))
	}
	do(s, keys.MovePageUp)
	s.step()
	if s.selected() != 9 {
		t.Errorf("half a page up: r-%d", s.selected())
	}
}

// Keys that come faster than pages must not be lost or put the cursor on a row
// of a page that was asked for before.
func TestManyKeysBetweenTwoPages(t *testing.T) {
	s := newStage(t, 120, 20, 1000, requests.Options{Title: "Requests"})
	for range 300 {
		do(s, keys.MoveDown)
	}
	wants := s.list.Wants(&s.frame)
	for range 100 {
		do(s, keys.MoveDown)
	}
	for _, w := range wants {
		w.Fetch(t.Context(), pane.Source{Log: s.log})
		w.Deliver(&s.frame)
	}
	s.step()
	s.step()
	if s.selected() != 600 {
		t.Errorf("400 steps down from r-1000: r-%d", s.selected())
	}
}

func TestCursorWhoseRecordIsGoneGoesToItsNeighbour(t *testing.T) {
	s := newStage(t, 120, 20, 100, requests.Options{Title: "Requests"})
	do(s, keys.MoveLast)
	s.step()
	s.log.records = s.log.records[10:]
	s.step()
	if s.selected() != 11 {
		t.Errorf("the oldest kept is r-11, the cursor is on r-%d", s.selected())
	}
	s.log.records = nil
	s.step()
	if s.selected() != 0 || !strings.Contains(s.draw(), "No request has come yet") {
		t.Errorf("r-%d of an empty log:\n%s", s.selected(), s.draw())
	}
	s.log.add(3)
	s.step()
	if s.selected() == 0 {
		t.Error("no cursor after the log was empty")
	}
}

func TestPausedListStandsStill(t *testing.T) {
	s := newStage(t, 120, 20, 100, requests.Options{Title: "Requests"})
	s.frame.Paused, s.frame.Until = true, 100
	s.step()
	before := s.draw()
	s.log.add(50)
	s.log.run(98).Outcome = engine.OutcomeTimedOut
	s.step()
	if after := s.draw(); after != before {
		t.Errorf("a paused screen changed:\n%s\n%s", before, after)
	}
	do(s, keys.MoveDown)
	s.step()
	if s.selected() != 99 {
		t.Errorf("cursor on r-%d", s.selected())
	}
}

func TestSortGoesRoundAllOrders(t *testing.T) {
	s := newStage(t, 200, 20, 300, requests.Options{Title: "Requests"})
	for i, word := range []string{"duration▼", "size▼", "status▼", "client▲", "path▲", "time▼"} {
		do(s, keys.MoveDown, keys.Sort)
		s.step()
		if line, _, _ := strings.Cut(s.draw(), "\n"); !strings.Contains(line, word) {
			t.Errorf("order %d: %s", i+1, line)
		}
		if r := s.list.Selected(); r == nil || cursorLine(s) != 2 {
			t.Errorf("order %s: the cursor is not on the first row", word)
		}
		do(s, keys.MoveDown)
		id := s.selected()
		s.step()
		if s.selected() != id {
			t.Errorf("order %s: the cursor went from r-%d to r-%d", word, id, s.selected())
		}
	}
	do(s, keys.SortReverse)
	s.step()
	if s.selected() != 1 {
		t.Errorf("oldest first begins with r-%d", s.selected())
	}
	do(s, keys.Follow)
	s.log.add(5)
	s.step()
	s.step()
	if s.selected() != 305 || cursorLine(s) != 18 {
		t.Errorf("following the other way round: r-%d in line %d", s.selected(), cursorLine(s))
	}
}

func TestHeadersSort(t *testing.T) {
	s := newStage(t, 120, 20, 300, requests.Options{Title: "Requests"})
	x := strings.Index(strings.Split(s.draw(), "\n")[1], "DUR")
	if _, ok := s.list.Mouse(pane.Mouse{X: x, Y: 1, Kind: pane.Click}, &s.frame); !ok {
		t.Fatal("a click on the header was not taken")
	}
	if order, ascending := s.list.Order(); order != engine.ByDuration || ascending {
		t.Errorf("order %d, ascending %t", order, ascending)
	}
	s.list.Mouse(pane.Mouse{X: x, Y: 1, Kind: pane.Click}, &s.frame)
	if _, ascending := s.list.Order(); !ascending {
		t.Error("a second click does not reverse")
	}
}

func TestMouseSelectsScrollsAndOpens(t *testing.T) {
	s := newStage(t, 120, 20, 300, requests.Options{Title: "Requests"})
	s.list.Mouse(pane.Mouse{X: 5, Y: 7, Kind: pane.Click}, &s.frame)
	if s.selected() != 295 || s.list.Following() {
		t.Errorf("a click on the sixth row selects r-%d", s.selected())
	}
	s.list.Mouse(pane.Mouse{X: 5, Y: 7, Kind: pane.Wheel, Amount: 3}, &s.frame)
	s.step()
	if got := cursorLine(s); got != 4 || s.selected() != 295 {
		t.Errorf("the wheel put r-%d into line %d", s.selected(), got)
	}
	e, _ := s.list.Mouse(pane.Mouse{X: 5, Y: 7, Kind: pane.DoubleClick}, &s.frame)
	if open, ok := e.(pane.OpenRequest); !ok || open.ID != 292 || open.From == nil {
		t.Errorf("a double click: %#v", e)
	}
	if _, ok := s.list.Mouse(pane.Mouse{X: 5, Y: 19, Kind: pane.Click}, &s.frame); ok {
		t.Error("a click on the frame was taken")
	}
}

func TestWheelFarDownFetchesWhatIsNotThere(t *testing.T) {
	s := newStage(t, 120, 20, 1000, requests.Options{Title: "Requests"})
	for range 100 {
		s.list.Mouse(pane.Mouse{X: 5, Y: 7, Kind: pane.Wheel, Amount: 3}, &s.frame)
	}
	s.step()
	if s.selected() != 700 {
		t.Errorf("300 rows down: r-%d", s.selected())
	}
	if n := strings.Count(s.draw(), ":"); n < 17*2 {
		t.Errorf("rows are missing:\n%s", s.draw())
	}
}

func TestStepGoesToTheNeighbour(t *testing.T) {
	s := newStage(t, 120, 20, 300, requests.Options{Title: "Requests"})
	id := s.selected()
	for range 200 {
		next, ok := s.list.Step(id, 1)
		if !ok || next != id-1 {
			t.Fatalf("after r-%d comes r-%d, %t", id, next, ok)
		}
		id = next
		s.step()
	}
	if prev, ok := s.list.Step(id, -1); !ok || prev != id+1 {
		t.Errorf("before r-%d comes r-%d, %t", id, prev, ok)
	}
	do(s, keys.MoveFirst)
	s.step()
	if _, ok := s.list.Step(300, -1); ok {
		t.Error("there is something before the first")
	}
}

func TestErrorOfTheLogIsShown(t *testing.T) {
	s := newStage(t, 120, 20, 300, requests.Options{Title: "Requests"})
	s.log.err = fmt.Errorf("read log: disk is full")
	s.step()
	if !strings.Contains(s.draw(), "disk is full") {
		t.Errorf("not shown:\n%s", s.draw())
	}
	s.log.err = nil
	s.step()
	if strings.Contains(s.draw(), "disk is full") || s.list.Selected() == nil {
		t.Error("the error stays after it is over")
	}
}
