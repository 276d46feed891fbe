//go:build !race

package policy_test

import (
	"runtime"
	"runtime/debug"
	"sync"
	"testing"

	"adit/engine/policy"
)

// A client checks each request on a goroutine of its own, which begins with a
// small stack. Where the check takes it beyond 4 KiB, each request pays for two
// copies of it: a sixth of what a client did with a small request.
func TestCheckLeavesTheStackSmall(t *testing.T) {
	r := hundred(t)
	hits, _ := hundredQueries(30)
	for _, q := range hits {
		if _, err := r.Check(q); err != nil {
			t.Fatal(err)
		}
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // it would shrink stacks, and change how large they begin
	const many = 2000
	var before, after runtime.MemStats
	var checked, over sync.WaitGroup
	end := make(chan struct{})
	runtime.ReadMemStats(&before)
	for i := range many {
		checked.Add(1)
		over.Go(func() {
			checkBelow(r, hits[i%len(hits)])
			checked.Done()
			<-end
		})
	}
	checked.Wait()
	runtime.ReadMemStats(&after)
	close(end)
	over.Wait()
	if each := int64(after.StackInuse-before.StackInuse) / many; each > 5<<10 {
		t.Errorf("a goroutine that checks has a stack of %d bytes, want at most 4 KiB", each)
	}
}

// checkBelow checks where as much of the stack is in use as at a client.
//
//go:noinline
func checkBelow(r *policy.Rules, q *policy.Query) byte {
	var used [900]byte
	for i := range used {
		used[i] = byte(i)
	}
	r.Check(q)
	return used[len(q.URL)]
}
