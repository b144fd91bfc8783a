package zone

// Withdraw has nothing of the zone served: Current returns nil, as before the first
// version. Its newest version and the history stay, so that changes go on from
// there. RFC 1034 §4.3.5 has a secondary do so with a zone that has expired.
// Resume ends it, and so does the next version.
func (z *Zone) Withdraw() {
	z.mu.Lock()
	defer z.mu.Unlock()
	if v := z.current.Load(); v != nil {
		z.withdrawn.Store(v)
		z.current.Store(nil)
	}
}

// Resume has the version served again that was withdrawn, if one was.
func (z *Zone) Resume() {
	z.mu.Lock()
	defer z.mu.Unlock()
	if v := z.withdrawn.Load(); v != nil {
		z.current.Store(v)
		z.withdrawn.Store(nil)
	}
}

// latest returns the newest version, served or withdrawn. Who does not hold mu may
// get nil in the moment of a change.
func (z *Zone) latest() *Version {
	if v := z.current.Load(); v != nil {
		return v
	}
	return z.withdrawn.Load()
}

// setLatest puts another version with the same records in the place of the newest.
func (z *Zone) setLatest(v *Version) {
	if z.current.Load() == nil {
		z.withdrawn.Store(v)
		return
	}
	z.current.Store(v)
}

// Latest returns the newest version, whether it is served or withdrawn; nil where
// there is none.
func (z *Zone) Latest() *Version {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.latest()
}
