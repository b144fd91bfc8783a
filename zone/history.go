package zone

import (
	"sync"

	"onoma/dns"
)

// HistoryLimits bound what a [History] keeps. Zero fields mean the defaults named.
type HistoryLimits struct {
	Steps  int // differences: 1000
	Octets int // of records in them: 16 MiB, and never more than the zone itself takes
}

const (
	defaultSteps  = 1000
	defaultOctets = 16 << 20
	// leastOctets may be kept of the smallest zone.
	leastOctets = 64 << 10
	// keptCondensed is how many merged differences are at hand: the secondaries of
	// a zone tend to have one of the same few versions.
	keptCondensed = 4
)

// History is the differences between the versions of a zone that were published
// one after the other, the last ones of them: what RFC 1995 calls incremental.
// It may be used by any number of goroutines; differences are immutable.
//
// The chain breaks where a version has a serial number that is not newer (RFC
// 1982) than the one before, or where a single difference is more than is kept.
type History struct {
	limits HistoryLimits

	mu        sync.Mutex
	steps     []Difference // each begins where the one before ends
	octets    int
	condensed []Difference // made of several steps, the latest last

	condensing sync.Mutex // held by who merges; taken before mu
}

// NewHistory returns a History without any difference yet.
func NewHistory(l HistoryLimits) *History { return &History{limits: l.WithDefaults()} }

// WithDefaults returns the limits without zero fields.
func (l HistoryLimits) WithDefaults() HistoryLimits {
	if l.Steps <= 0 {
		l.Steps = defaultSteps
	}
	if l.Octets <= 0 {
		l.Octets = defaultOctets
	}
	return l
}

// IsNewer reports whether serial number a is newer than b (RFC 1982 §3.2). Of
// two that are 2^31 apart neither is.
func IsNewer(a, b uint32) bool { return int32(a-b) > 0 }

// add notes that next has come after last. Where it is no successor, secondaries
// can only have all of it: the history begins anew.
func (h *History) add(last, next *Version) {
	if next == nil || last == nil {
		h.clear()
		return
	}
	d := Diff(last, next)
	h.note(last, next, &d)
}

// note is add for who knows the difference.
func (h *History) note(last, next *Version, d *Delta) {
	if d.IsEmpty() {
		return
	}
	most := min(h.limits.Octets, max(next.live, leastOctets))
	if !IsNewer(next.serial, last.serial) || d.isOver(most) {
		h.clear()
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.condensed = nil
	h.steps = append(h.steps, pack(last, next, d))
	h.octets += h.steps[len(h.steps)-1].Octets()
	drop := 0
	for h.octets > most || len(h.steps)-drop > h.limits.Steps {
		h.octets -= h.steps[drop].Octets()
		drop++
	}
	clear(h.steps[:drop])
	h.steps = h.steps[drop:]
}

func (h *History) clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.steps, h.condensed, h.octets = nil, nil, 0
}

// Size returns how many differences are kept, and how many octets they take.
func (h *History) Size() (steps, octets int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.steps), h.octets
}

// Since returns what turns the version with the serial number from into that
// with to, without anything that is undone on the way. It reports false where
// the history does not reach back, or where it would have to look through more
// than most octets.
func (h *History) Since(from, to uint32, most int) (Difference, bool) {
	steps := h.between(from, to, most)
	switch len(steps) {
	case 0:
		return Difference{}, false
	case 1:
		return steps[0], true
	}
	h.condensing.Lock()
	defer h.condensing.Unlock()
	if d, ok := h.cached(from, to); ok {
		return d, true
	}
	d := condense(steps)
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.condensed) == keptCondensed {
		h.condensed = h.condensed[1:]
	}
	h.condensed = append(h.condensed, d)
	return d, true
}

// between returns the steps that lead from one version to another.
func (h *History) between(from, to uint32, most int) []Difference {
	h.mu.Lock()
	defer h.mu.Unlock()
	end, octets := -1, 0
	for i := len(h.steps) - 1; i >= 0; i-- {
		if end < 0 && h.steps[i].To == to {
			end = i + 1
		}
		if end < 0 {
			continue
		}
		if octets += h.steps[i].Octets(); octets > most {
			return nil
		}
		if h.steps[i].From == from {
			return append([]Difference(nil), h.steps[i:end]...)
		}
	}
	return nil
}

func (h *History) cached(from, to uint32) (Difference, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, d := range h.condensed {
		if d.From == from && d.To == to {
			return d, true
		}
	}
	return Difference{}, false
}

// Keep has the zone note in h what each Publish and Update changes, from now on.
// A difference to a version that was edited costs what it changes, to one that
// was read anew about as much as building it. It is called before the first of
// them; nil ends it.
func (z *Zone) Keep(h *History) {
	z.history.Store(h)
}

// Since is [History.Since] for what the zone keeps.
func (z *Zone) Since(from, to uint32, most int) (Difference, bool) {
	h := z.history.Load()
	if h == nil {
		return Difference{}, false
	}
	return h.Since(from, to, most)
}

// isOver reports whether d takes more than most octets when it is packed.
func (d *Delta) isOver(most int) bool {
	for _, list := range [][]dns.Record{d.Removed, d.Added} {
		for _, r := range list {
			if most -= packedLen(r); most < 0 {
				return true
			}
		}
	}
	return false
}
