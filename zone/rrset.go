package zone

import (
	"iter"

	"onoma/dns"
	"onoma/zone/qp"
)

// RRset is the records of one name and type: a small value, copied freely. The
// zero RRset is none. What its methods return lies in the version's memory and
// must not be changed.
type RRset struct {
	v *Version
	body
	sigs     []byte // begins with the body of the signatures
	hosts    []byte // host numbers of the records
	owner    uint32 // reference of the entry
	shared   uint32 // reference of the shared block
	typ      dns.Type
	wideSigs bool
}

// IsZero reports whether s is no RRset.
func (s RRset) IsZero() bool { return s.v == nil }

// Type returns the type of the records.
func (s RRset) Type() dns.Type { return s.typ }

// TTL returns the time to live in seconds.
func (s RRset) TTL() uint32 { return s.ttl }

// Count returns the number of records.
func (s RRset) Count() int { return int(s.count) }

// Packed returns all rdata as it stands in the version: for each record its
// length in two octets and its octets, as they follow the TTL in a message.
func (s RRset) Packed() []byte { return s.packed }

// RData yields the rdata of each record in canonical order.
func (s RRset) RData() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for off := 0; off < len(s.packed); {
			var rd []byte
			rd, off = rdataAt(s.packed, off)
			if !yield(rd) {
				return
			}
		}
	}
}

// First returns the rdata of the first record: of the only one of a SOA, CNAME
// or DNAME.
func (s RRset) First() []byte {
	rd, _ := rdataAt(s.packed, 0)
	return rd
}

// ID identifies the content of the RRset among the shared ones of the version:
// equal for all names with the same NS set, 0 for an RRset that is not shared.
func (s RRset) ID() uint32 { return s.shared }

// Sigs returns the RRSIG records that cover s, as an RRset of type RRSIG.
func (s RRset) Sigs() (RRset, bool) {
	if s.sigs == nil {
		return RRset{}, false
	}
	b, _ := readBody(s.sigs, s.wideSigs)
	return RRset{v: s.v, body: b, owner: s.owner, typ: dns.TypeRRSIG}, true
}

// Glue is a name server of an NS set that has addresses in the zone.
type Glue struct {
	Index    int  // of the rdata in the NS set
	Host     Node // where the A and AAAA RRsets are
	InDomain bool // the host lies at or below the owner of the NS set (RFC 9471 §2.1), else it is a sibling's
}

// Glue yields the name servers of an NS set that have addresses in the zone, in
// the order of the rdata.
func (s RRset) Glue() iter.Seq[Glue] {
	return func(yield func(Glue) bool) {
		for i, off := 0, 0; 4*i < len(s.hosts); i++ {
			target, next := rdataAt(s.packed, off)
			off = next
			host, ok := s.v.host(le.Uint32(s.hosts[4*i:]))
			if ok && !yield(Glue{i, host, s.isInDomain(target)}) {
				return
			}
		}
	}
}

func (s RRset) isInDomain(target []byte) bool {
	owner := s.v.sp.Name(qp.Leaf{Ref: s.owner})
	return len(owner) == 0 || dns.IsSubdomain(s.v.relative(target), owner)
}
