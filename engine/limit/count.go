package limit

import "sync"

// A Count says how many there are of each key right now. It holds those keys of
// which there is at least one: who bounds the sum bounds its memory. The zero
// Count is empty.
type Count[K comparable] struct {
	mu  sync.Mutex
	all map[K]int
}

// Add counts one more of k, unless there are most of them already. There is no
// bound where most is negative.
func (c *Count[K]) Add(k K, most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.all[k]
	if most >= 0 && n >= most {
		return false
	}
	if c.all == nil {
		c.all = make(map[K]int)
	}
	c.all[k] = n + 1
	return true
}

// Done takes back what Add has counted.
func (c *Count[K]) Done(k K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.all[k]; n > 1 {
		c.all[k] = n - 1
	} else {
		delete(c.all, k)
	}
}

// Of returns how many there are of k.
func (c *Count[K]) Of(k K) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all[k]
}
