//go:build !invariants

package zone

const invariants = false

// verify does something in builds with the tag invariants only.
func (v *Version) verify() {}
