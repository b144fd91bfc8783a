//go:build !invariants

package zone

const invariants = false

// verify does something in builds with the tag invariants only.
func (v *Version) verify() {}

// aheadNames is how many names make reading ahead worth its own cost.
const aheadNames = 1 << 14
