package control

import (
	"errors"
	"log/slog"
	"strconv"
	"testing"
	"time"
)

// What buffers on a slow way have held for minutes was shown as if it were new.
func TestDataThatComesLateIsAsOldAsItIs(t *testing.T) {
	base := time.Now()
	s := &stream{r: &Remote{}, base: base}
	for _, x := range []struct {
		name          string
		arrived, made time.Duration // since the stream began
		late          time.Duration
		again         bool
	}{
		{"a network's own delay", 300 * time.Millisecond, 200 * time.Millisecond, 0, false},
		{"later", 6 * time.Second, 3 * time.Second, 2999 * time.Millisecond, false},
		{"too late", 10 * time.Second, 5 * time.Second, 5 * time.Second, false},
		{"for long", 14 * time.Second, 6 * time.Second, 8 * time.Second, true},
		{"caught up", 15 * time.Second, 14500 * time.Millisecond, 0, false},
		{"faster than the first", 16 * time.Second, 18 * time.Second, 0, false},
		{"late against that", 20 * time.Second, 20 * time.Second, 2 * time.Second, false},
		{"nothing is said", 30 * time.Second, 0, 2 * time.Second, false},
	} {
		s.at = x.made
		if again := s.clock(base.Add(x.arrived)); again != x.again || (s.late-x.late).Abs() > 5*time.Millisecond {
			t.Errorf("%s: %v late, again %v; want %v, %v", x.name, s.late, again, x.late, x.again)
		}
	}
	day := 24 * time.Hour
	if s = (&stream{r: &Remote{}, base: base, at: day - 4*time.Second}); s.clock(base.Add(day)) || s.late != 0 {
		t.Errorf("a day of two clocks that differ by 50 in a million: %v late", s.late)
	}
}

func TestSlowWayIsAskedForLess(t *testing.T) {
	r := &Remote{subs: map[*subscription]struct{}{}, changed: make(chan struct{}), o: DialOptions{Logger: slog.New(slog.DiscardHandler)}}
	s := &stream{r: r, base: time.Now().Add(-time.Minute)}
	line := func(elapsed time.Duration) error {
		return s.line([]byte(`{"snapshot":{"full":true,"elapsed_us":` + strconv.FormatInt(elapsed.Microseconds(), 10) + `}}`))
	}
	if err := s.line([]byte(`{"hello":{"protocol":{"major":1,"minor":0},"instance":"i"}}`)); err != nil {
		t.Fatal(err)
	}
	if err := line(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	if l := r.Link(); l.Lost || l.Delay < 39*time.Second || time.Since(l.LastData) < 39*time.Second {
		t.Errorf("data of 40 s ago: link %+v", l)
	}
	s.slowSince = s.slowSince.Add(-tooLate)
	if err := line(20 * time.Second); !errors.Is(err, errAgain) || r.interval != 4*soonestDelta {
		t.Errorf("late for 3 s: %v, asks for %v", err, r.interval)
	}
	r.interval = longestAsked
	if err := line(20 * time.Second); err != nil {
		t.Errorf("nothing less can be asked for: %v", err)
	}
	r.lose(errNoAnswer, time.Second)
	if l := r.Link(); r.interval != 0 || l.Delay != 0 || !l.Lost {
		t.Errorf("after a loss %v is asked for; link %+v", r.interval, l)
	}
}

// A key that tries again did nothing while a stream hung that was not given up yet.
func TestRetryOfAStreamThatHangs(t *testing.T) {
	rig := newRig(t, scene(1))
	r := dial(t, rig.path, DialOptions{})
	eventually(t, "a stream", func() bool { return rig.server.streams.Load() == 1 })
	ended := false
	r.mu.Lock()
	again := r.again
	r.again = func() { ended = true; again() }
	r.link.LastData = time.Now().Add(-time.Hour)
	r.mu.Unlock()
	r.Retry()
	if !ended {
		t.Error("the stream that hangs goes on")
	}
	eventually(t, "another stream", func() bool { return time.Since(r.Link().LastData) < time.Minute })
}
