package zone

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"onoma/dns"
)

// ErrNoVersion says that a zone has nothing yet that could be changed.
var ErrNoVersion = errors.New("zone has no version")

// Zone is a zone that is being served: its origin and its current version.
// Readers take the version and never wait, whatever happens to the zone.
type Zone struct {
	origin  dns.Name
	current atomic.Pointer[Version]
	mu      sync.Mutex              // held by who makes another version the current one
	same    []uint64                // IDs of earlier versions that have the same records as the current one
	history atomic.Pointer[History] // of what that changed; nil: not kept

	withdrawn atomic.Pointer[Version] // what would be the current version, while nothing is served
	online    atomic.Pointer[Online]  // nil: nothing is signed when it is asked for
}

// New returns a zone that has no version yet.
func New(origin dns.Name) *Zone { return &Zone{origin: origin} }

// Origin returns the zone's name.
func (z *Zone) Origin() dns.Name { return z.origin }

// Current returns the version to answer from, nil before the first Publish.
func (z *Zone) Current() *Version { return z.current.Load() }

// Publish makes v the current version. Readers of an earlier one finish with it.
//
// Where edits have left much garbage in v it is put in order beside readers and
// writers, and the result, which has the same records, takes v's place.
func (z *Zone) Publish(v *Version) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.publish(v)
}

func (z *Zone) publish(v *Version) {
	if h := z.history.Load(); h != nil {
		h.add(z.latest(), v) // first, so that it reaches to the current version at any time
	}
	z.put(v)
}

// Replace makes v, which has been made apart from the current version, the current
// one. d is what Diff says of the two, so that it need not be found once more.
func (z *Zone) Replace(v *Version, d *Delta) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if h, last := z.history.Load(), z.latest(); h != nil {
		if last == nil {
			h.clear()
		} else {
			h.note(last, v, d)
		}
	}
	z.put(v)
}

func (z *Zone) put(v *Version) {
	z.current.Store(v)
	z.withdrawn.Store(nil)
	z.same = nil
	if v == nil || !v.isWasteful() {
		return
	}
	if _, used := v.sp.Size(); used <= quickly {
		z.current.Store(v.compact())
		z.same = append(z.same, v.id)
		return
	}
	if v.line.startTidying() {
		go z.tidy(v)
	}
}

// Update makes the next version of the zone from the current one, publishes it
// and returns it. What change does to the Editor is published all at once; where
// it returns an error, nothing is. One Update runs at a time: change should have
// all its records at hand.
//
// It costs as much as it changes, however large the zone is. An Editor of one's
// own and Publish do too, but should the zone be put in order meanwhile, then
// that is lost and must be done again.
func (z *Zone) Update(change func(*Editor) error) (*Version, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	base := z.latest()
	if base == nil {
		return nil, fmt.Errorf("updating %s: %w", z.origin, ErrNoVersion)
	}
	e := base.Edit()
	if err := change(e); err != nil {
		e.Discard()
		return nil, fmt.Errorf("updating %s: %w", z.origin, err)
	}
	v, err := e.Commit()
	if err != nil {
		return nil, err
	}
	z.publish(v)
	return z.current.Load(), nil
}

// Advance publishes next, which was edited from last, for who has made last the
// current version before, and no one else has made another. Where last has been
// put in order since, next's changes are made to the result, so that nothing of
// that is lost. It reports false, and does nothing, where something else than
// last is served.
func (z *Zone) Advance(last, next *Version) bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	now := z.latest()
	switch {
	case now == last:
		z.publish(next)
		return true
	case last == nil || !slices.Contains(z.same, last.id):
		return false
	}
	v, _, err := now.rebase(last, next)
	if err != nil { // too large for its references: it stays in disorder
		z.publish(next)
		return true
	}
	z.publish(v)
	z.same = append(z.same, next.id)
	return true
}
