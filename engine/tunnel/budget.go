package tunnel

import "sync/atomic"

// A Budget bounds the bytes by which the windows of one process may grow beyond
// their initial size.
type Budget struct {
	limit int64
	used  atomic.Int64
}

// NewBudget returns a budget of limit bytes.
func NewBudget(limit int64) *Budget { return &Budget{limit: limit} }

// take reserves n bytes and reports whether they were there. A nil budget has none.
func (b *Budget) take(n int64) bool {
	if b == nil {
		return false
	}
	for {
		used := b.used.Load()
		if used+n > b.limit {
			return false
		}
		if b.used.CompareAndSwap(used, used+n) {
			return true
		}
	}
}

// give returns what take reserved.
func (b *Budget) give(n int64) {
	if b != nil {
		b.used.Add(-n)
	}
}
