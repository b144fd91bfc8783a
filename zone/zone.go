package zone

import (
	"sync/atomic"

	"onoma/dns"
)

// Zone is a zone that is being served: its origin and its current version.
type Zone struct {
	origin  dns.Name
	current atomic.Pointer[Version]
}

// New returns a zone that has no version yet.
func New(origin dns.Name) *Zone { return &Zone{origin: origin} }

// Origin returns the zone's name.
func (z *Zone) Origin() dns.Name { return z.origin }

// Current returns the version to answer from, nil before the first Publish.
func (z *Zone) Current() *Version { return z.current.Load() }

// Publish makes v the current version. Readers of an earlier one finish with it.
func (z *Zone) Publish(v *Version) { z.current.Store(v) }
