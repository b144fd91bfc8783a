package iterator

import (
	"encoding/binary"
	"slices"

	"onoma/dns"
	"onoma/resolver/cache"
)

// sections groups one section's records into RRsets. Only class IN and names at
// or below the zone get in: what a server says of other zones is nobody's data.
type sections struct {
	sets  []cache.RRset
	index map[setKey]int
	sigs  map[setKey][]dns.RData
	seen  map[recordKey]bool
}

type setKey struct {
	name string // wire form, folded
	typ  dns.Type
}

type recordKey struct {
	set  setKey
	data string
}

func keyOf(n dns.Name, t dns.Type) setKey { return setKey{n.Fold().Wire(), t} }

// group returns the RRsets of records that zone's servers may speak of. want is
// the type asked for: RRSIGs are an RRset of their own only for who asks so.
func group(records []dns.Record, zone dns.Name, want dns.Type) *sections {
	s := &sections{index: map[setKey]int{}, sigs: map[setKey][]dns.RData{}, seen: map[recordKey]bool{}}
	for _, r := range records {
		if r.Class == dns.ClassIN && len(r.Data) > 0 && r.Name.IsSubdomainOf(zone) {
			s.add(r, want)
		}
	}
	for i := range s.sets {
		s.sets[i].Sigs = s.sigs[keyOf(s.sets[i].Name, s.sets[i].Type)]
	}
	return s
}

func (s *sections) add(r dns.Record, want dns.Type) {
	k := keyOf(r.Name, r.Type)
	if rk := (recordKey{k, string(r.Data)}); s.seen[rk] {
		return // RFC 2181 §5: an RRset has no duplicates
	} else {
		s.seen[rk] = true
	}
	if r.Type == dns.TypeRRSIG && want != dns.TypeRRSIG {
		if len(r.Data) > 2 {
			k.typ = dns.Type(binary.BigEndian.Uint16(r.Data))
			s.sigs[k] = append(s.sigs[k], r.Data)
		}
		return
	}
	i, ok := s.index[k]
	if !ok {
		i = len(s.sets)
		s.index[k] = i
		s.sets = append(s.sets, cache.RRset{Name: r.Name, Type: r.Type, TTL: r.TTL})
	}
	s.sets[i].TTL = min(s.sets[i].TTL, r.TTL) // RFC 2181 §5.2: one TTL per RRset
	s.sets[i].Data = append(s.sets[i].Data, r.Data)
}

func (s *sections) find(n dns.Name, t dns.Type) (cache.RRset, bool) {
	i, ok := s.index[keyOf(n, t)]
	if !ok {
		return cache.RRset{}, false
	}
	return s.sets[i], true
}

// dname returns the DNAME nearest above n.
func (s *sections) dname(n dns.Name) (cache.RRset, bool) {
	for p := n.Parent(); !p.IsZero(); p = p.Parent() {
		if set, ok := s.find(p, dns.TypeDNAME); ok {
			return set, true
		}
	}
	return cache.RRset{}, false
}

// nameOf reads rdata that is one name.
func nameOf(d dns.RData) (dns.Name, bool) {
	n, err := dns.NameFromWire(d)
	return n, err == nil
}

// synthesise returns the CNAME that a DNAME makes of a name below it, with the
// DNAME's TTL (RFC 6672 §3.1). ok is false where the result would be too long.
func synthesise(dname cache.RRset, n dns.Name) (cname cache.RRset, target dns.Name, ok bool) {
	to, ok := nameOf(dname.Data[0])
	if !ok {
		return cache.RRset{}, dns.Name{}, false
	}
	target, err := n.Rebase(dname.Name, to)
	if err != nil {
		return cache.RRset{}, dns.Name{}, false
	}
	cname = cache.RRset{Name: n, Type: dns.TypeCNAME, TTL: dname.TTL, Data: []dns.RData{dns.RData(target.Wire())}}
	return cname, target, true
}

// proofs returns the NSEC and NSEC3 sets among the sets, at most maxProofs.
func (s *sections) proofs() []cache.RRset {
	var list []cache.RRset
	for _, set := range s.sets {
		if (set.Type == dns.TypeNSEC || set.Type == dns.TypeNSEC3) && len(list) < maxProofs {
			list = append(list, set)
		}
	}
	return list
}

// maxProofs bounds the NSEC and NSEC3 sets of one reply; a proof needs at most
// 4 (RFC 5155 §7.2), and twice that in a reply that crosses zones.
const maxProofs = 8

// fromWildcard reports whether a signature of the set says that the owner name
// was made from a wildcard (RFC 4035 §5.3.4).
func fromWildcard(set cache.RRset) bool {
	labels := set.Name.NumLabels()
	if set.Name.IsWildcard() {
		labels--
	}
	return slices.ContainsFunc(set.Sigs, func(sig dns.RData) bool {
		return len(sig) > 3 && int(sig[3]) < labels
	})
}

// soaMinimum returns the last field of an SOA (RFC 2308 §4).
func soaMinimum(d dns.RData) uint32 {
	if len(d) < 4 {
		return 0
	}
	return binary.BigEndian.Uint32(d[len(d)-4:])
}

// records turns sets into records of class IN, signatures after the set they
// cover if sigs.
func records(sets []cache.RRset, sigs bool) []dns.Record {
	var list []dns.Record
	for _, s := range sets {
		for _, d := range s.Data {
			list = append(list, dns.Record{Name: s.Name, Type: s.Type, Class: dns.ClassIN, TTL: s.TTL, Data: d})
		}
		if sigs {
			for _, d := range s.Sigs {
				list = append(list, dns.Record{Name: s.Name, Type: dns.TypeRRSIG, Class: dns.ClassIN, TTL: s.TTL, Data: d})
			}
		}
	}
	return list
}
