package keys

// Phases are the names that Key.Phase may return, in the order in which a key has them.
var Phases = []string{Generated, Published, Ready, Active, Retired, Dead, Gone}

// Count adds this server's keys to counts by phase, and reports whether one of them is on its way out.
func (r *Ring) Count(phases map[string]int) (rolling bool) {
	for _, k := range r.keys {
		if k.own() {
			phases[k.Phase()]++
			rolling = rolling || !k.stays() && k.Removed.IsZero()
		}
	}
	return rolling
}

// FirstAlarm returns the first text for somebody who should look at the zone, as of the last Step; "": there is none.
func (r *Ring) FirstAlarm() string {
	for _, w := range r.waits {
		if w.Alarm {
			return w.Text
		}
	}
	return ""
}
