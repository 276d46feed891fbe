package limit

import (
	"sync"
	"time"
)

const (
	saved   = 100 * time.Millisecond // of unused time that may be made up for
	instant = time.Millisecond       // no wait is worth less
)

// A Pacer spreads bytes of many senders over time, in the order in which they
// ask. The zero Pacer is idle.
type Pacer struct {
	mu  sync.Mutex
	due time.Time // when all that was taken has been sent at the rate
}

// Take books n bytes and returns how long to wait before sending them. Who may
// run ahead goes first: it waits only as far as others are ahead by more than
// that already. What it has sent early, those after it wait for.
func (p *Pacer) Take(n int, perSecond int64, ahead time.Duration) time.Duration {
	if perSecond <= 0 || n <= 0 {
		return 0
	}
	now := time.Now()
	p.mu.Lock()
	if oldest := now.Add(-saved); p.due.Before(oldest) {
		p.due = oldest
	}
	wait := p.due.Sub(now) - ahead
	p.due = p.due.Add(time.Duration(float64(n) / float64(perSecond) * float64(time.Second)))
	p.mu.Unlock()
	if wait < instant {
		return 0
	}
	return wait
}
