package iterator

import (
	"bytes"
	"encoding/binary"
	"slices"

	"onoma/dns"
	"onoma/resolver/cache"
)

// sections groups one section's records into RRsets. Only class IN and names at
// or below the zone get in: what a server says of other zones is nobody's data.
//
// A section of usual size is searched from its beginning; one that is not has
// maps, so that nobody can make much work of it.
type sections struct {
	sets  []cache.RRset
	sigs  []cache.RRset      // RRSIGs by owner and by the type that they cover
	index map[setKey]int     // of sets; nil: there are few
	which map[setKey]int     // of sigs; likewise
	seen  map[recordKey]bool // likewise
}

// manyRecords is from how many on a section has maps.
const manyRecords = 32

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
	s := &sections{}
	if len(records) >= manyRecords {
		s.index, s.which, s.seen = map[setKey]int{}, map[setKey]int{}, map[recordKey]bool{}
	}
	for i := range records {
		if r := &records[i]; r.Class == dns.ClassIN && len(r.Data) > 0 && r.Name.IsSubdomainOf(zone) {
			s.add(r, want)
		}
	}
	for i := range s.sets {
		s.sets[i].Sigs = s.signatures(s.sets[i].Name, s.sets[i].Type)
	}
	return s
}

func (s *sections) add(r *dns.Record, want dns.Type) {
	if s.seen != nil {
		rk := recordKey{keyOf(r.Name, r.Type), string(r.Data)}
		if s.seen[rk] {
			return // RFC 2181 §5: an RRset has no duplicates
		}
		s.seen[rk] = true
	}
	if r.Type == dns.TypeRRSIG && want != dns.TypeRRSIG {
		if len(r.Data) > 2 {
			set := place(&s.sigs, s.which, r, dns.Type(binary.BigEndian.Uint16(r.Data)))
			if s.seen != nil || !contains(set.Sigs, r.Data) {
				set.Sigs = append(set.Sigs, r.Data)
			}
		}
		return
	}
	set := place(&s.sets, s.index, r, r.Type)
	if s.seen == nil && contains(set.Data, r.Data) {
		return // as above
	}
	set.TTL = min(set.TTL, r.TTL) // RFC 2181 §5.2: one TTL per RRset
	set.Data = append(set.Data, r.Data)
}

func contains(list []dns.RData, d dns.RData) bool {
	return slices.ContainsFunc(list, func(e dns.RData) bool { return bytes.Equal(e, d) })
}

// place returns the set that a record belongs to, made if need be.
func place(sets *[]cache.RRset, index map[setKey]int, r *dns.Record, t dns.Type) *cache.RRset {
	i := indexOf(*sets, index, r.Name, t)
	if i < 0 {
		i = len(*sets)
		*sets = append(*sets, cache.RRset{Name: r.Name, Type: t, TTL: r.TTL})
		if index != nil {
			index[keyOf(r.Name, t)] = i
		}
	}
	return &(*sets)[i]
}

// indexOf returns which of the sets has a name and type, -1 for none.
func indexOf(sets []cache.RRset, index map[setKey]int, n dns.Name, t dns.Type) int {
	if index != nil {
		if i, ok := index[keyOf(n, t)]; ok {
			return i
		}
		return -1
	}
	for i := range sets {
		if sets[i].Type == t && sets[i].Name.Equal(n) {
			return i
		}
	}
	return -1
}

func (s *sections) find(n dns.Name, t dns.Type) (cache.RRset, bool) {
	i := indexOf(s.sets, s.index, n, t)
	if i < 0 {
		return cache.RRset{}, false
	}
	return s.sets[i], true
}

// signatures returns what signs the RRset of a name and type.
func (s *sections) signatures(n dns.Name, t dns.Type) []dns.RData {
	if i := indexOf(s.sigs, s.which, n, t); i >= 0 {
		return s.sigs[i].Sigs
	}
	return nil
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
