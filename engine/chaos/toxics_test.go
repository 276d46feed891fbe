//go:build chaos

package chaos

import (
	"net/http"
	"testing"
	"time"

	"adit/engine/enginetest"
)

// TestToxics is row 9: a bad network between client and server, each fault
// alone, then in pairs.
func TestToxics(t *testing.T) {
	requests := pick(t, 150, 1000, 10_000)
	type toxic struct {
		name  string
		apply func(*enginetest.Toxics)
	}
	all := []toxic{
		{"latency", func(x *enginetest.Toxics) { x.Latency, x.Jitter = 200*time.Millisecond, 150*time.Millisecond }},
		{"slices", func(x *enginetest.Toxics) { x.Slice = 300 }},
		{"resets", func(x *enginetest.Toxics) { x.ResetAfter = int64(requests) * 2000 }},
		{"slow close", func(x *enginetest.Toxics) { x.SlowClose = 500 * time.Millisecond }},
		{"bandwidth", func(x *enginetest.Toxics) { x.Rate = 4 << 20 }},
		{"slices of a byte or two", func(x *enginetest.Toxics) { x.Slice = 2 }},
	}
	var combinations [][]toxic
	for _, x := range all {
		combinations = append(combinations, []toxic{x})
	}
	for i, x := range all {
		for _, y := range all[i+1:] {
			combinations = append(combinations, []toxic{x, y})
		}
	}
	combinations = combinations[:min(len(combinations), pick(t, 7, 12, 21))]

	var relay *enginetest.Relay
	r := newRig(t, through(&relay, 9), serverFlags("--timeout", "20s"))
	r.works(t, 5*time.Second)
	for i, combination := range combinations {
		name := combination[0].name
		if len(combination) == 2 {
			name += " and " + combination[1].name
		}
		t.Run(name, func(t *testing.T) {
			var toxics enginetest.Toxics
			for _, x := range combination {
				x.apply(&toxics)
			}
			relay.Set(toxics)
			o := r.oracle(requests, uint64(100+i))
			o.Concurrency, o.MaxContent = 32, 128<<10
			o.Timeout = 60 * time.Second
			o.CancelShare, o.EarlyShare, o.AbortShare = 0.05, 0.03, 0.03
			if toxics.Slice > 0 && toxics.Slice < 10 {
				o.MaxContent, o.Requests = 4<<10, o.Requests/2
			}
			wrong := &complaints{t: t}
			o.Finished = func(res enginetest.Result) {
				well := res.Behave == "echo" || res.Behave == "size"
				if well && toxics.ResetAfter == 0 && !(res.Complete && res.Status == http.StatusOK) {
					wrong.add("%s %v: status %d, %v", res.Behave, res.Token, res.Status, res.Err)
				}
			}
			report := o.Run(t.Context())
			t.Log(report)
			if report.Violated() {
				t.Error("an invariant is broken, see above")
			}
			if report.Completed == 0 {
				t.Error("nothing came through")
			}
			relay.Set(enginetest.Toxics{})
			r.works(t, 10*time.Second)
		})
	}
	t.Logf("%+v", relay.Traffic())
}
