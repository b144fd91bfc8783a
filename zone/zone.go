package zone

import (
	"errors"
	"fmt"
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
	history atomic.Pointer[History] // of what that changed; nil: not kept
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
		h.add(z.current.Load(), v) // first, so that it reaches to the current version at any time
	}
	z.current.Store(v)
	if v == nil || !v.isWasteful() {
		return
	}
	if _, used := v.sp.Size(); used <= quickly {
		z.current.Store(v.compact())
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
	base := z.current.Load()
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
