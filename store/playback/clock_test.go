package playback

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"adit/engine"
	"adit/store/history"
)

// TestClockThatWasSet: where the clock went back or forward within a recording, no
// request and no event is lost, and none comes twice.
func TestClockThatWasSet(t *testing.T) {
	for _, samples := range []bool{false, true} {
		for _, by := range []time.Duration{-time.Hour, -10 * time.Second, time.Hour} {
			t.Run(fmt.Sprintf("samples %v, by %v", samples, by), func(t *testing.T) {
				t.Parallel()
				path := filepath.Join(t.TempDir(), "run.db")
				f, err := history.Open(path, history.Options{Role: "server", Name: "edge", Version: "1.2.3", Samples: samples})
				if err != nil {
					t.Fatal(err)
				}
				const n = 30
				for i := range n {
					now := after(float64(i))
					if i >= n/2 {
						now = now.Add(by)
					}
					r := request(i)
					r.Arrived = now
					f.Add(&engine.Event{Time: now, Kind: engine.KindNotice, Reason: fmt.Sprint(i)})
					f.Add(&engine.Event{Time: now.Add(r.LastByte), Kind: engine.KindRequestFinished, Connection: 1, Request: r})
					f.Sample(&engine.Snapshot{Time: now, Started: begin(), Instance: "i-1"})
				}
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
				r := opened(t, path)
				p := r.Playback()
				r.Seek(p.From.Add(-time.Second))
				batches, err := r.Subscribe(t.Context(), engine.SubscribeOptions{})
				if err != nil {
					t.Fatal(err)
				}
				seen := map[string]int{}
				m, err := r.moment(t.Context(), p.From) // what is there from the beginning is not told
				if err != nil {
					t.Fatal(err)
				}
				var page engine.RequestPage
				if err := r.log.Requests(t.Context(), engine.RequestQuery{Count: n, Until: m.request, Complete: true}, &page); err != nil {
					t.Fatal(err)
				}
				for i := range page.Requests {
					if x := &page.Requests[i]; m.request > 0 && !x.Arrived.Add(x.LastByte).After(p.From) {
						seen[x.ID.String()]++
					}
				}
				var events engine.EventPage
				if err := r.file.Events(t.Context(), engine.EventQuery{Before: m.event + 1, Count: n}, &events); err != nil {
					t.Fatal(err)
				}
				for i := range events.Events {
					if m.event > 0 {
						seen[events.Events[i].Reason]++
					}
				}
				time.Sleep(2 * every) // it has begun
				r.SetSpeed(max(4, p.To.Sub(p.From).Seconds()/2))
				r.Pause(false)
				took := 3*time.Second + time.Duration(p.To.Sub(p.From).Seconds()/max(4, p.To.Sub(p.From).Seconds()/2)*float64(time.Second))
				end := time.After(took)
				for over := false; !over; {
					select {
					case b := <-batches:
						if b.Dropped != 0 {
							t.Errorf("%d lost", b.Dropped)
						}
						for i := range b.Events {
							if e := &b.Events[i]; e.Request != nil {
								seen[e.Request.ID.String()]++
							} else {
								seen[e.Reason]++
							}
						}
						over = len(seen) == 2*n
					case <-end:
						over = true
					}
				}
				for i := range n {
					for _, what := range []string{engine.RequestID(i + 1).String(), fmt.Sprint(i)} {
						if seen[what] != 1 {
							t.Errorf("%s came %d times", what, seen[what])
						}
					}
				}
			})
		}
	}
}
