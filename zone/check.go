package zone

// check adds what is wrong with a version.
func (fs *findings) check(v *Version) {}
