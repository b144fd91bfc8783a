package rrl

import (
	"math/bits"
	"sync/atomic"
)

// An entry of the table is one word, so that one compare-and-swap changes it:
//
//	22 bits  more of the key's hash
//	 4 bits  answers that were dropped since the last one that slipped
//	38 bits  until when the key's answers so far are paid for, in ticks
//
// The last is the theoretical arrival time of the generic cell rate algorithm,
// which is a leaky bucket: each answer moves it on by 1/rate, and an answer is
// too much that would move it farther than a second ahead of the clock. An
// entry whose time has passed is as good as empty. Times wrap after 4.8 hours;
// one that seems farther ahead than an entry can be is one that has passed.
const (
	tickShift = 6 // a tick is 64 ns
	timeBits  = 38
	slipBits  = 4
	tagBits   = 64 - timeBits - slipBits

	timeMask = 1<<timeBits - 1
	slipMask = 1<<slipBits - 1
	tagShift = timeBits + slipBits
)

// A key belongs into one line, which is one of the processor's cache. A new key
// takes the place of the entry that is least ahead there: heavy hitters stay.
const ways = 8

type line [ways]atomic.Uint64

type table struct {
	lines []line
	shift int // of a hash, to the number of its line
}

// newTable makes one of at least size entries: a power of two.
func newTable(size int) table {
	n := max(bits.Len(uint(max(size, 1)-1)), 4) - 3
	return table{lines: make([]line, 1<<n), shift: 64 - n}
}

// fetch has the processor get the lines of three keys at once, instead of one
// after the other's compare-and-swap, across which it does not look ahead.
func (t *table) fetch(a, b, c uint64) {
	t.lines[a>>t.shift][0].Load()
	t.lines[b>>t.shift][0].Load()
	t.lines[c>>t.shift][0].Load()
}

// tries bounds the work when other threads change the same line all the time.
const tries = 4

// take charges the key with one answer at r, or says what to do if it has had
// its share.
func (t *table) take(hash uint64, r rate, now, slip uint64) Verdict {
	l := &t.lines[hash>>t.shift]
	tag := hash & (1<<tagBits - 1) << tagShift
	v := Send
	for range tries {
		at, old := l.find(tag, now)
		var next uint64
		if next, v = charge(old, tag, r, now, slip); next == old || l[at].CompareAndSwap(old, next) {
			return v
		}
	}
	return v
}

// find returns the entry of tag, or the one that a new entry takes.
func (l *line) find(tag, now uint64) (at int, e uint64) {
	const tags = ^uint64(1<<tagShift - 1)
	least := ^uint64(0)
	for i := range l {
		x := l[i].Load()
		if x&tags == tag {
			return i, x
		}
		if a := ahead(x, now); a < least {
			least, at, e = a, i, x
		}
	}
	return at, e
}

// charge returns the entry after one more answer.
func charge(e, tag uint64, r rate, now, slip uint64) (uint64, Verdict) {
	debt := uint64(0)
	if e>>tagShift == tag>>tagShift {
		debt = ahead(e, now)
	} else {
		e = 0
	}
	if debt+r.interval <= r.burst {
		return tag | e&(slipMask<<timeBits) | (now+debt+r.interval)&timeMask, Send
	}
	if slip == 0 {
		return e, Drop
	}
	dropped := e>>timeBits&slipMask + 1
	e &^= slipMask << timeBits
	if dropped >= slip {
		return e, Slip
	}
	return e | dropped<<timeBits, Drop
}

// maxAhead is the most that an entry can be ahead: a second, and what the
// threads' clocks differ by.
const maxAhead = 2 * 1e9 >> tickShift

// ahead is how long the answers of an entry are paid for from now on.
func ahead(e, now uint64) uint64 {
	if d := (e - now) & timeMask; d <= maxAhead {
		return d
	}
	return 0
}
