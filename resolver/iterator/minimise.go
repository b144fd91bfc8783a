package iterator

import "onoma/dns"

const (
	minimiseCount  = 10 // RFC 9156 §2.3: MAX_MINIMISE_COUNT
	minimiseOneLab = 4  // RFC 9156 §2.3: MINIMISE_ONE_LAB
)

// minimiser decides how much of a name the next server gets to see (RFC 9156 §2.3).
type minimiser struct {
	full  dns.Question
	known int // labels, counted from the root, that are known to exist
	steps int
	off   bool
}

// next returns the question to ask zone's servers, and whether it is the full one.
// Of a minimised question the type is A: of the types that every name may have
// it is the one that broken servers handle best (RFC 9156 §2.1).
func (m *minimiser) next(zone dns.Name) (q dns.Question, full bool) {
	labels := m.full.Name.NumLabels()
	m.known = max(m.known, zone.NumLabels())
	show := m.known + m.stride(labels-m.known)
	if m.off || show >= labels {
		return m.full, true
	}
	return dns.Question{Name: m.full.Name.Ancestor(labels - show), Type: dns.TypeA, Class: m.full.Class}, false
}

// stride returns how many labels to add: one at first, then what is left shared
// out over the steps that are left.
func (m *minimiser) stride(left int) int {
	switch {
	case m.steps < minimiseOneLab:
		return 1
	case m.steps >= minimiseCount:
		return left
	}
	rest := minimiseCount - m.steps
	return max(1, (left+rest-1)/rest)
}

// exists notes that the name last asked for exists, so that more can be shown.
func (m *minimiser) exists(n dns.Name) {
	m.known = max(m.known, n.NumLabels())
	m.steps++
}

// stop ends minimisation: the zone's servers do not cope with it (RFC 9156 §2.3, §3).
func (m *minimiser) stop() { m.off = true }
