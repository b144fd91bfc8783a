package online

import "sync/atomic"

// bucket lets through so much work per second, and what has been saved up while
// there was nothing to do.
type bucket struct {
	paid  atomic.Int64 // until when all work so far is paid for, in Unix nanoseconds
	share int64        // of the whole budget, in percent
}

func (b *bucket) init(share int64) { b.share = share }

// take pays for work that costs so many nanoseconds of the whole budget, and
// reports whether that much was left.
func (b *bucket) take(now, cost int64) bool {
	cost = cost * 100 / b.share
	for {
		paid := b.paid.Load()
		next := max(paid, now-int64(burst)) + cost
		// A clock that was set back must not stop the work until it is there again.
		if next > now && paid <= now+int64(burst) {
			return false
		}
		if paid > now+int64(burst) {
			next = now
		}
		if b.paid.CompareAndSwap(paid, next) {
			return true
		}
	}
}
