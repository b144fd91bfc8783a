package sign

import (
	"slices"

	"onoma/dns"
	"onoma/zone"
)

// linked is a name of the NSEC3 chain that a change touches.
type linked struct {
	hash
	bitmap string
	known  bool // else the bitmap is that of the record which is there
}

// changeNSEC3 adds the tasks of the NSEC3 records that a change of names touches.
func (s *signing) changeNSEC3(b *batch, names []string) error {
	v := s.e.View()
	var come, stay, gone []linked
	look := func(owner []byte, wanted bool) {
		h := s.hashOf(owner)
		n := v.FindNSEC3(s.appendHashed(s.scratch.other[:0], &h))
		switch isThere := !n.IsZero(); {
		case !wanted && isThere:
			gone = append(gone, linked{hash: h})
		case wanted:
			l := linked{hash: h, bitmap: s.bitmapOf(v.Find(owner)), known: true}
			if isThere {
				stay = append(stay, l)
			} else {
				come = append(come, l)
			}
		}
	}
	above := s.enclosers(v, names)
	for _, n := range names {
		if _, later := above[n]; !later {
			look([]byte(n), s.isMember(v, []byte(n)))
		}
	}
	for n, wanted := range above {
		look([]byte(n), wanted)
	}
	if err := s.relink(come, gone); err != nil {
		return err
	}
	s.addLinked(b, append(append(stay, come...), s.around(come, gone)...))
	return nil
}

// bitmapOf returns the bitmap of a name that is not hidden.
func (s *signing) bitmapOf(n zone.Node) string {
	if n.IsENT() {
		return ""
	}
	s.content.read(n, false)
	return string(s.content.appendBitmap(nil, &s.scratch))
}

// isMember reports whether a name is in the chain.
func (s *signing) isMember(v *zone.Version, owner []byte) bool {
	n := v.Find(owner)
	if n.IsZero() || !v.Hiding(owner).IsZero() {
		return false
	}
	if !s.plan.Denial.OptOut {
		return true
	}
	if n.IsENT() {
		return s.hasMemberBelow(v, owner)
	}
	return !n.IsCut() || n.HasDS()
}

// hasMemberBelow reports whether there is more than insecure delegations below owner.
func (s *signing) hasMemberBelow(v *zone.Version, owner []byte) bool {
	var name, cut []byte
	for n := range v.Subtree(owner) {
		name = n.AppendName(name[:0])
		switch {
		case n.IsENT() || len(cut) > 0 && isBelow(name, cut):
		case n.IsCut() && !n.HasDS():
			cut = append(cut[:0], name...)
		default:
			return true
		}
	}
	return false
}

// enclosers returns the empty non-terminals above the names, and whether they are in
// the chain: with opt-out that depends on what is below them. It looks there only
// where the last name that they are in the chain for may be gone.
func (s *signing) enclosers(v *zone.Version, names []string) map[string]bool {
	above := make(map[string]bool)
	if !s.plan.Denial.OptOut {
		return above
	}
	for _, n := range names {
		isMember := s.isMember(v, []byte(n))
		for up := []byte(n); len(up) > s.origin.Len(); {
			up = up[1+int(up[0]):]
			if node := v.Find(up); node.IsENT() && v.Hiding(up).IsZero() {
				above[string(up)] = above[string(up)] || isMember
			}
		}
	}
	for up, wanted := range above {
		h := s.hashOf([]byte(up))
		isNew := slices.Contains(names, up)
		if !wanted && (isNew || !v.FindNSEC3(s.appendHashed(s.scratch.other[:0], &h)).IsZero()) {
			above[up] = s.hasMemberBelow(v, []byte(up))
		}
	}
	return above
}

// relink takes what goes out of the chain, and puts what comes into it, each record
// pointing to itself until all are there.
func (s *signing) relink(come, gone []linked) error {
	for i := range gone {
		s.e.Clear(s.appendHashed(s.scratch.other[:0], &gone[i].hash), true)
		s.changed = true
	}
	for i := range come {
		owner := s.appendHashed(s.scratch.name[:0], &come[i].hash)
		rdata := s.appendNSEC3(s.scratch.other[:0], &come[i].hash, come[i].bitmap)
		if _, err := s.e.PutRRset(owner, dns.TypeNSEC3, s.ttl, rdata, 1); err != nil {
			return err
		}
		s.changed = true
	}
	return nil
}

// around returns the members of the chain before those that have come or gone.
func (s *signing) around(come, gone []linked) (list []linked) {
	v := s.e.View()
	for _, l := range slices.Concat(come, gone) {
		owner := s.appendHashed(s.scratch.name[:0], &l.hash)
		n := v.NSEC3Before(owner)
		if n.IsZero() {
			continue
		}
		if h, ok := hashIn(n.AppendName(s.scratch.other[:0])); ok {
			list = append(list, linked{hash: h})
		}
	}
	return list
}

// addLinked adds the tasks of members of the chain.
func (s *signing) addLinked(b *batch, list []linked) {
	v := s.e.View()
	// What is known of a member comes before what is not.
	slices.SortStableFunc(list, func(x, y linked) int {
		if c := x.compare(&y.hash); c != 0 {
			return c
		}
		if x.known == y.known {
			return 0
		} else if x.known {
			return -1
		}
		return 1
	})
	for i := range list {
		l := &list[i]
		if i > 0 && list[i-1].hash == l.hash {
			continue
		}
		owner := s.appendHashed(s.scratch.name[:0], &l.hash)
		next, ok := hashIn(v.NSEC3Next(owner).AppendName(s.scratch.other[:0]))
		if !ok {
			next = l.hash
		}
		if !l.known {
			set, _ := v.FindNSEC3(owner).RRset(dns.TypeNSEC3)
			l.bitmap = bitmapIn(set.First())
		}
		s.addNSEC3(b, v, &l.hash, &next, l.bitmap)
		b.names++
	}
}

// bitmapIn returns the bitmap of NSEC3 rdata.
func bitmapIn(rdata []byte) string {
	at := 5 + int(rdata[4])
	return string(rdata[at+1+int(rdata[at]):])
}
