package observe

import (
	"sync/atomic"
	"time"

	"adit/engine"
)

// Sizes of the tables of RequestCounts.
const (
	waysCounted     = int(engine.WayTCP) + 1
	classesCounted  = 6
	outcomesCounted = int(engine.OutcomeTruncated) + 1
	boundsCounted   = 16
)

// bounds are for what most often takes a few milliseconds.
var bounds = [boundsCounted]time.Duration{
	500 * time.Microsecond, time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond,
	25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute,
}

// Bounds returns the upper bounds, inclusive, of all buckets of a Distribution
// but the last, which has none.
func Bounds() [boundsCounted]time.Duration { return bounds }

// A Distribution says how many durations were how long.
type Distribution struct {
	Buckets [boundsCounted + 1]uint64 // by Bounds, each without those before
	Sum     time.Duration
}

// RequestCounts are the requests that ended: by way (0 at a client), status / 100
// (0 without a status) and outcome, and how long they took.
type RequestCounts struct {
	Ended     [waysCounted][classesCounted][outcomesCounted]uint64
	Duration  [waysCounted][classesCounted]Distribution // to the end
	FirstByte [waysCounted][classesCounted]Distribution // to the first byte of the answer, where it came
	Queued    [waysCounted]Distribution                 // until a connection was found, where one was
}

// A distribution is a Distribution that is counted.
type distribution struct {
	buckets [boundsCounted + 1]atomic.Uint64
	sum     atomic.Int64 // nanoseconds
}

func (d *distribution) add(took time.Duration) {
	d.buckets[bucketOf(took)].Add(1)
	d.sum.Add(int64(took))
}

func bucketOf(took time.Duration) int {
	i := 0
	for i < boundsCounted && took > bounds[i] {
		i++
	}
	return i
}

func (d *distribution) load(into *Distribution) {
	into.Sum = time.Duration(d.sum.Load())
	for i := range d.buckets {
		into.Buckets[i] = d.buckets[i].Load()
	}
}

// requests count what ends, with a handful of atomic additions each: that costs
// less than an event would, so it is done whether or not anybody asks.
type requests struct {
	ended               [waysCounted][classesCounted][outcomesCounted]atomic.Uint64
	duration, firstByte [waysCounted][classesCounted]distribution
	queued              [waysCounted]distribution
}

func (t *requests) add(r *engine.Request) {
	way, class, outcome := int(r.Way), StatusClass(r.Status), int(r.Outcome)
	if way >= waysCounted || outcome >= outcomesCounted {
		return
	}
	t.ended[way][class][outcome].Add(1)
	t.duration[way][class].add(max(r.LastByte, 0))
	if r.FirstByte >= 0 {
		t.firstByte[way][class].add(r.FirstByte)
	}
	if r.Queued >= 0 {
		t.queued[way].add(r.Queued)
	}
}

// statuses returns how many ended by status / 100, and how many of all with
// another outcome than completed.
func (t *requests) statuses() (by [classesCounted]uint64, failed uint64) {
	for way := range t.ended {
		for class := range t.ended[way] {
			for outcome := range t.ended[way][class] {
				n := t.ended[way][class][outcome].Load()
				if by[class] += n; outcome != int(engine.OutcomeCompleted) {
					failed += n
				}
			}
		}
	}
	return by, failed
}

// RequestCounts fills into. A request that ends meanwhile may be in one table
// and not yet in another.
func (t *Totals) RequestCounts(into *RequestCounts) {
	n := &t.requests
	for way := range n.ended {
		for class := range n.ended[way] {
			for outcome := range n.ended[way][class] {
				into.Ended[way][class][outcome] = n.ended[way][class][outcome].Load()
			}
			n.duration[way][class].load(&into.Duration[way][class])
			n.firstByte[way][class].load(&into.FirstByte[way][class])
		}
		n.queued[way].load(&into.Queued[way])
	}
}
