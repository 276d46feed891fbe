package playback

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"adit/engine"
	"adit/store/history"
)

// large writes a million requests, over 1,000 s, of 1,000 connections into a
// database; where time is short every fiftieth of them.
func large(b *testing.B, samples bool) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "large.db")
	f, err := history.Open(path, history.Options{Role: "server", Name: "bench", Samples: samples})
	if err != nil {
		b.Fatal(err)
	}
	add := func(e engine.Event) {
		for f.Add(&e) == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	var s engine.Snapshot
	every := 1
	if testing.Short() {
		every = 50
	}
	for n := 0; n < 1_000_000; n += every {
		now := begin().Add(time.Duration(n) * time.Millisecond)
		if n%1000 == 0 {
			c := engine.ConnectionID(n/1000 + 1)
			add(engine.Event{Time: now, Kind: engine.KindConnectionOpened, Connection: c})
			add(engine.Event{Time: now, Kind: engine.KindGreetingReceived, Connection: c, Client: fmt.Sprint("edge-", c), Greeting: &engine.Greeting{ID: fmt.Sprint("edge-", c)}})
			s.Connections = append(s.Connections, engine.Connection{ID: c, State: engine.StateBusy})
			s.Time = now
			f.Sample(&s)
		}
		r := request(n)
		r.Arrived = now
		add(engine.Event{Time: now, Kind: engine.KindRequestFinished, Request: r})
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	return path
}

// BenchmarkMillion opens a recording of a million requests, and goes to and fro in
// it: one jump is a snapshot, a page of requests and one of events.
func BenchmarkMillion(b *testing.B) {
	for _, samples := range []bool{true, false} {
		path := large(b, samples)
		b.Run(fmt.Sprintf("samples=%v/open", samples), func(b *testing.B) {
			for b.Loop() {
				r, err := Open(path)
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				r.Close()
				b.StartTimer()
			}
		})
		b.Run(fmt.Sprintf("samples=%v/seek", samples), func(b *testing.B) {
			r, err := Open(path)
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			r.Pause(true)
			var s engine.Snapshot
			var page engine.RequestPage
			var events engine.EventPage
			jump, longest := 0, time.Duration(0)
			for b.Loop() {
				jump = (jump + 617) % 1000
				r.Seek(after(float64(jump)))
				begun := time.Now()
				for _, err := range []error{
					r.Snapshot(b.Context(), &s), r.Requests(b.Context(), engine.RequestQuery{Count: 60}, &page), r.Events(b.Context(), engine.EventQuery{Count: 60}, &events),
				} {
					if err != nil {
						b.Fatal(err)
					}
				}
				longest = max(longest, time.Since(begun))
			}
			b.ReportMetric(float64(longest.Microseconds())/1e3, "ms/longest")
		})
		b.Run(fmt.Sprintf("samples=%v/tick", samples), func(b *testing.B) {
			r, err := Open(path)
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			r.Pause(true)
			r.Seek(after(500))
			var s engine.Snapshot
			var page engine.RequestPage
			b.ReportAllocs()
			for b.Loop() {
				if err := r.Snapshot(b.Context(), &s); err != nil {
					b.Fatal(err)
				}
				if err := r.Requests(b.Context(), engine.RequestQuery{Count: 60, Filter: "status:502"}, &page); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
