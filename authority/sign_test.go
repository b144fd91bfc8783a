package authority

import (
	"bytes"
	"slices"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/zone"
)

// chainKind is how a test zone denies.
type chainKind string

const (
	chainNSEC   chainKind = "nsec"
	chainNSEC3  chainKind = "nsec3"
	chainOptOut chainKind = "optout"
	noChain     chainKind = "compact" // what is denied is signed by onRequest
)

// signer signs test zones so that a reader can see what was sent: the records
// are where a real signer puts them, the signatures are not worth a look.
type signer struct {
	origin  dns.Name
	minimum uint32
	types   map[dns.Name][]dns.Type // of folded names; none for an empty non-terminal
	ttls    map[dns.Name]uint32
	out     []dns.Record
}

// sign returns the records of a zone with signatures and a chain.
func sign(records []dns.Record, kind chainKind) []dns.Record {
	s := &signer{types: make(map[dns.Name][]dns.Type), ttls: make(map[dns.Name]uint32)}
	for _, r := range records {
		if r.Type == dns.TypeSOA {
			s.origin, s.minimum = r.Name.Fold(), min(r.TTL, dns.SOAMinimum(r.Data))
		}
	}
	s.out = append(s.out, records...)
	if kind == chainNSEC3 || kind == chainOptOut {
		param := dns.NSEC3PARAM{Hash: dnssec.NSEC3SHA1}
		s.out = append(s.out, dns.Record{Name: s.origin, Type: dns.TypeNSEC3PARAM, Class: dns.ClassIN, Data: param.RData()})
	}
	s.gather()
	s.signSets()
	switch kind {
	case chainNSEC:
		s.nsec()
	case chainNSEC3, chainOptOut:
		s.nsec3(kind == chainOptOut)
	}
	return s.out
}

// onRequest signs whatever it is asked to, in no way worth a look. An outcome
// other than Signed is what it says instead; the first fail times.
type onRequest struct {
	origin  dns.Name
	outcome zone.Signing
	asked   *int
	known   *bool
	patient bool // says Later to who is not
}

func (o onRequest) Sign(dst []byte, set *zone.Unsigned) ([]byte, zone.Signing) {
	if o.asked != nil {
		*o.asked++
		*o.known = set.Known
	}
	if o.patient && !set.Patient {
		return dst, zone.Later
	}
	if o.outcome != zone.Signed {
		return dst, o.outcome
	}
	owner, _ := dns.NameFromWire(set.Owner)
	labels := owner.NumLabels()
	if owner.IsWildcard() {
		labels--
	}
	sig := dns.RRSIG{TypeCovered: set.Type, Algorithm: 13, Labels: uint8(labels), OriginalTTL: set.TTL, Signer: o.origin, Signature: make([]byte, 64)}
	data := sig.RData()
	return append(append(dst, byte(len(data)>>8), byte(len(data))), data...), zone.Signed
}

// gather notes the names of the zone with their types and TTLs.
func (s *signer) gather() {
	for _, r := range s.out {
		name := r.Name.Fold()
		if s.occluded(name) {
			continue
		}
		if !slices.Contains(s.types[name], r.Type) {
			s.types[name] = append(s.types[name], r.Type)
		}
		for up := name; up != s.origin && !up.IsZero(); up = up.Parent() {
			if _, known := s.types[up]; !known {
				s.types[up] = nil
			}
		}
	}
}

// occluded reports whether the name lies below a cut or a DNAME.
func (s *signer) occluded(name dns.Name) bool {
	for up := name.Parent(); up.IsSubdomainOf(s.origin) && !up.IsZero(); up = up.Parent() {
		for _, r := range s.out {
			if r.Name.Equal(up) && (r.Type == dns.TypeDNAME || r.Type == dns.TypeNS && up != s.origin) {
				return true
			}
		}
	}
	return false
}

func (s *signer) isCut(name dns.Name) bool {
	return name != s.origin && slices.Contains(s.types[name], dns.TypeNS)
}

// signSets signs all RRsets that are the zone's own.
func (s *signer) signSets() {
	done := make(map[string]bool)
	for _, r := range slices.Clone(s.out) {
		name := r.Name.Fold()
		if key := name.Wire() + r.Type.String(); done[key] || s.occluded(name) || s.isCut(name) && r.Type != dns.TypeDS {
			continue
		} else {
			done[key] = true
		}
		s.signature(r.Name, r.Type, r.TTL)
	}
}

func (s *signer) signature(owner dns.Name, t dns.Type, ttl uint32) {
	labels := owner.NumLabels()
	if owner.IsWildcard() {
		labels-- // RFC 4034 §3.1.3
	}
	sig := dns.RRSIG{TypeCovered: t, Algorithm: 13, Labels: uint8(labels), OriginalTTL: ttl, Signer: s.origin, Signature: make([]byte, 64)}
	s.out = append(s.out, dns.Record{Name: owner, Type: dns.TypeRRSIG, Class: dns.ClassIN, TTL: ttl, Data: sig.RData()})
}

func (s *signer) add(owner dns.Name, t dns.Type, data dns.RData) {
	s.out = append(s.out, dns.Record{Name: owner, Type: t, Class: dns.ClassIN, TTL: s.minimum, Data: data})
	s.signature(owner, t, s.minimum)
}

// bitmap is the types of a name, as its NSEC or NSEC3 has them.
func (s *signer) bitmap(name dns.Name, more ...dns.Type) dns.TypeBitmap {
	types := append(slices.Clone(s.types[name]), more...)
	if s.isCut(name) {
		types = slices.DeleteFunc(types, func(t dns.Type) bool { return t == dns.TypeA || t == dns.TypeAAAA })
	}
	slices.Sort(types)
	return dns.AppendTypeBitmap(nil, types...)
}

// nsec adds the chain of RFC 4035 §2.3.
func (s *signer) nsec() {
	var names []dns.Name
	for name, types := range s.types {
		if len(types) > 0 {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, dns.Name.Compare)
	for i, name := range names {
		next := names[(i+1)%len(names)]
		s.add(name, dns.TypeNSEC, dns.NSEC{Next: next, Types: s.bitmap(name, dns.TypeNSEC, dns.TypeRRSIG)}.RData())
	}
}

// nsec3 adds the chain of RFC 5155 §7.1.
func (s *signer) nsec3(optOut bool) {
	type link struct {
		hash []byte
		name dns.Name
	}
	var links []link
	for name := range s.types {
		if !optOut || s.needed(name) {
			links = append(links, link{nsec3Hash(name), name})
		}
	}
	slices.SortFunc(links, func(a, b link) int { return bytes.Compare(a.hash, b.hash) })
	for i, l := range links {
		record := dns.NSEC3{NextHashed: links[(i+1)%len(links)].hash, Types: s.bitmap(l.name)}
		record.Hash = dnssec.NSEC3SHA1
		if len(s.types[l.name]) > 0 && (!s.isCut(l.name) || slices.Contains(s.types[l.name], dns.TypeDS)) {
			record.Types = s.bitmap(l.name, dns.TypeRRSIG)
		}
		if optOut {
			record.Flags = dns.NSEC3OptOut
		}
		s.add(hashedOwner(l.hash, s.origin), dns.TypeNSEC3, record.RData())
	}
}

// needed reports whether a name is in the chain in spite of opt-out: it is no
// insecure delegation, nor an empty non-terminal above nothing else.
func (s *signer) needed(name dns.Name) bool {
	for below, types := range s.types {
		insecure := s.isCut(below) && !slices.Contains(types, dns.TypeDS)
		if len(types) > 0 && !insecure && below.IsSubdomainOf(name) {
			return true
		}
	}
	return false
}

func nsec3Hash(name dns.Name) []byte {
	return dnssec.NSEC3Hash(nil, name.Fold().Append(nil), 0, nil)
}

func hashedOwner(hash []byte, origin dns.Name) dns.Name {
	name, err := origin.Child(string(dns.AppendBase32Hex(nil, hash)))
	if err != nil {
		panic(err)
	}
	return name
}
