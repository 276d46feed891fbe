//go:build chaos

package chaos

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"adit/engine/enginetest"
)

// TestStorm is row 17: every client is dropped at once, again and again. All
// come back in time, not all in the same moment, and nothing is left over.
func TestStorm(t *testing.T) {
	const processes = 4
	connections := pick(t, 200, 400, 1000)
	var relay *enginetest.Relay
	r := newRig(t, through(&relay, 17), serverFlags("--events", "lifecycle", "--ping", "20s"))
	for i := range processes {
		r.newClient(fmt.Sprintf("storm-%d", i), "--pool", strconv.Itoa(connections/processes))
	}
	all := connections + 2 // and the rig's own
	r.server.await(0, "greeting_received", all, 60*time.Second)
	r.works(t, 5*time.Second)
	files := r.server.usage().files

	rounds, crowded := pick(t, 2, 10, 10), 0
	for round := range rounds {
		mark := r.server.mark()
		accepted := relay.Traffic().Accepted
		dropped := time.Now()
		relay.ResetAll()
		back := r.server.await(mark, "greeting_received", all, 30*time.Second)
		took := back[all-1].at.Sub(dropped)
		dials := relay.Traffic().Accepted - accepted
		most := busiest(back, 100*time.Millisecond)
		t.Logf("round %d: %d registered within %v by %d dials, at most %d within 100 ms", round, all, took.Round(time.Millisecond), dials, most)
		if dials > 3*all {
			t.Errorf("%d dials for %d connections", dials, all)
		}
		if most > all*6/10 {
			crowded++
		}
		r.works(t, 5*time.Second)
	}
	// The jitter is one draw for each of few processes: now and then they meet.
	if crowded > 1+rounds/4 {
		t.Errorf("in %d of %d rounds most clients came within 100 ms: the dials are not spread", crowded, rounds)
	}
	r.server.settle(files+8, 10*time.Second)
}

// busiest returns the most events within any window.
func busiest(events []event, window time.Duration) int {
	slices.SortFunc(events, func(a, b event) int { return a.Time.Compare(b.Time) })
	most, from := 0, 0
	for i := range events {
		for events[i].Time.Sub(events[from].Time) > window {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}
