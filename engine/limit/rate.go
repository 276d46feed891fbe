package limit

import (
	"hash/maphash"
	"sync"
	"time"
)

// A Rate is one token bucket for each key, as a single number: when the bucket
// will be full again. A full bucket is as good as none, so what is forgotten of
// a key is only what has no effect any more.
//
// There are at most as many keys as it was made for. While all of them are in
// use, other keys share buckets, one for all of a network (the /24 of IPv4, the
// /48 of IPv6) and for those whose hash is the same: no bucket in use is ever
// given up for a new key, so that nobody empties the table to get a fresh one,
// and who fills it with one network's addresses spoils it for that network.
type Rate struct {
	most  int
	seed  maphash.Seed
	epoch time.Time

	mu     sync.Mutex
	full   map[Key]time.Duration // since epoch
	shared [sharedBuckets]time.Duration
}

const (
	sharedBuckets = 1024
	looks         = 4 // buckets that a new key looks at, to remove what is full
)

// NewRate returns buckets, all full, for so many keys at once.
func NewRate(keys int) *Rate {
	return &Rate{most: keys, seed: maphash.MakeSeed(), epoch: time.Now(), full: make(map[Key]time.Duration)}
}

// Take takes a token of k's bucket, which holds burst of them (at least 1) and
// gets perSecond. Where there is none it returns how long until there is. There
// is no bound where perSecond is not positive.
func (r *Rate) Take(k Key, perSecond, burst float64) (wait time.Duration) {
	return r.look(k, perSecond, burst, true)
}

// Wait is Take that takes nothing.
func (r *Rate) Wait(k Key, perSecond, burst float64) time.Duration {
	return r.look(k, perSecond, burst, false)
}

func (r *Rate) look(k Key, perSecond, burst float64, take bool) time.Duration {
	if perSecond <= 0 {
		return 0
	}
	token := time.Duration(float64(time.Second) / perSecond)
	room := time.Duration(max(burst, 1) * float64(token))
	now := time.Since(r.epoch)
	r.mu.Lock()
	defer r.mu.Unlock()
	full, own := r.full[k]
	var spill *time.Duration
	if !own && take {
		r.sweep(now)
	}
	if !own && len(r.full) >= r.most {
		spill = &r.shared[maphash.Comparable(r.seed, k.network())%sharedBuckets]
		full = *spill
	}
	// A rate that was lowered must not make anybody wait for what he took before.
	full = min(max(full, now), now+room)
	if wait := full + token - now - room; wait > 0 {
		return wait
	}
	if !take {
		return 0
	}
	if spill != nil {
		*spill = full + token
	} else {
		r.full[k] = full + token
	}
	return 0
}

// sweep removes a few buckets that are full; under mu. A new key looks at more of
// them than it adds, so what is not in use goes faster than it comes.
func (r *Rate) sweep(now time.Duration) {
	n := 0
	for k, full := range r.full {
		if full <= now {
			delete(r.full, k)
		}
		if n++; n == looks {
			return
		}
	}
}

// Len returns how many buckets there are, those that are shared aside.
func (r *Rate) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.full)
}
