package internet

import (
	"slices"

	"onoma/dns"
)

// Outages: an operator of an internet can be made to answer nothing for a while, and who is hurt by that is known.

// Operators is how many there are. The first has the root.
func (n *Internet) Operators() int { return len(n.operators) }

// SetDown has an operator answer nothing, over UDP and TCP, or answer again.
func (n *Internet) SetDown(operator int, down bool) { n.operators[operator].down.Store(down) }

// Needs returns the operators without which questions about a zone may fail: its own, those of the zones above it, and those
// that are needed to find its servers.
func (n *Internet) Needs(z *Zone) []int {
	seen := map[*Zone]bool{}
	n.needs(z, seen)
	var list []int
	for i, op := range n.operators {
		for zone := range seen {
			if slices.Contains(zone.operators, op) {
				list = append(list, i)
				break
			}
		}
	}
	return list
}

func (n *Internet) needs(z *Zone, seen map[*Zone]bool) {
	if z == nil || seen[z] {
		return
	}
	seen[z] = true
	n.needs(z.parent, seen)
	for _, s := range z.servers {
		n.needs(n.zoneOf(s.name), seen)
	}
}

// zoneOf is the zone that a name is in.
func (n *Internet) zoneOf(name dns.Name) (best *Zone) {
	for _, list := range [][]*Zone{{n.root}, n.tlds, n.Zones, n.deeper} {
		for _, z := range list {
			if name.IsSubdomainOf(z.Name) && (best == nil || z.Name.NumLabels() > best.Name.NumLabels()) {
				best = z
			}
		}
	}
	return best
}
