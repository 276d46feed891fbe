package requests_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/keys"
	"adit/tui/pane"
	"adit/tui/requests"
)

// late fetches what is wanted now and returns what delivers it: pages of a
// history, or over a link, come when the operator has gone on.
func (s *stage) late() (deliver func()) {
	wants := s.list.Wants(&s.frame)
	for _, w := range wants {
		w.Fetch(context.Background(), pane.Source{Log: s.log})
	}
	return func() {
		for _, w := range wants {
			w.Deliver(&s.frame)
		}
		s.draw()
	}
}

func TestPageThatComesLateDoesNotMoveTheCursor(t *testing.T) {
	s := newStage(t, 120, 20, 5000, requests.Options{Title: "Requests"})
	for _, to := range []struct {
		press keys.Action
		then  engine.RequestID
	}{{keys.MoveLast, 1}, {keys.MoveFirst, 5000}, {keys.MoveLast, 1}} {
		deliver := s.late()
		do(s, to.press)
		s.draw()
		deliver() // the page of where the cursor was
		s.late()()
		s.late()()
		if got := s.selected(); got != to.then {
			t.Errorf("%s went to r-%d, not r-%d", to.press, got, to.then)
		}
	}
	// Page after page, each two pages late.
	do(s, keys.MoveFirst)
	s.late()()
	down := 0
	for range 60 {
		first := s.late()
		do(s, keys.MovePageDown)
		second := s.late()
		do(s, keys.MovePageDown)
		first()
		second()
		down += 2
	}
	for range 3 {
		s.late()()
	}
	if got, want := s.selected(), engine.RequestID(5000-down*8); got != want {
		t.Errorf("%d half pages down is r-%d, want r-%d", down, got, want)
	}
}

// While nobody answers the rows stay: the banner says how old they are.
func TestRowsStayWhileTheLinkIsLost(t *testing.T) {
	s := newStage(t, 120, 20, 500, requests.Options{Title: "Requests"})
	s.frame.Link = &engine.Link{Lost: true}
	before := s.draw()
	for _, err := range []error{engine.ErrLost, context.DeadlineExceeded} {
		s.frame.Now = s.frame.Now.Add(2 * time.Second)
		for _, w := range s.list.Wants(&s.frame) {
			w.Fetch(context.Background(), pane.Source{Log: broken{s.log, err}})
			w.Deliver(&s.frame)
		}
		if got := s.draw(); got != before {
			t.Errorf("%v:\n%s", err, got)
		}
	}
}

type broken struct {
	*plainLog
	err error
}

func (b broken) Requests(context.Context, engine.RequestQuery, *engine.RequestPage) error {
	return errors.Join(b.err)
}

func TestGapStandsBetweenRows(t *testing.T) {
	s := newStage(t, 120, 20, 500, requests.Options{Title: "Requests"})
	at := func(id int) time.Time { return now().Add(-time.Hour + time.Duration(id)*137*time.Millisecond) }
	// One without rows, and one that rows lie within.
	// One in which the engine ran on: it has kept what there was, and that was nothing.
	s.frame.Gaps = []pane.Gap{{From: at(496), To: at(497), Restarted: true}, {From: at(494), To: at(495)}, {From: at(480), To: at(490), Restarted: true}}
	got := s.draw()
	if strings.Count(got, "without data") != 1 {
		t.Fatalf("%s", got)
	}
	lines := strings.Split(got, "\n")
	gap := 0
	for y, line := range lines {
		if strings.Contains(line, "without data") {
			gap = y
		}
	}
	if before, after := lines[gap-1], lines[gap+1]; !strings.Contains(before, stamp(at(497))) || !strings.Contains(after, stamp(at(496))) {
		t.Errorf("%s", got)
	}
	// The mouse hits what is drawn, the gap is nothing.
	s.list.Mouse(pane.Mouse{X: 10, Y: gap, Kind: pane.Click}, &s.frame)
	if s.selected() != 500 {
		t.Errorf("a click on a gap selects r-%d", s.selected())
	}
	s.list.Mouse(pane.Mouse{X: 10, Y: gap + 1, Kind: pane.Click}, &s.frame)
	if s.selected() != 496 {
		t.Errorf("a click below a gap selects r-%d", s.selected())
	}
	// The cursor stays on the screen below it.
	for range 13 {
		do(s, keys.MoveDown)
		if !strings.Contains(s.draw(), "▌") {
			t.Fatalf("the cursor is off the screen\n%s", s.draw())
		}
	}
}

func stamp(t time.Time) string { return t.UTC().Format("15:04:05.000") }
