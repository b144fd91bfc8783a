package sign

import (
	"bytes"

	"onoma/dns"
	"onoma/zone"
)

// content is what a name has of its authors, and what of that is signed.
type content struct {
	types   []dns.Type // for the bitmap of its NSEC or NSEC3, in ascending order; made ones apart
	signed  []zone.RRset
	other   []dns.Type // types of which there are signatures that must not be
	isCut   bool
	hasDS   bool
	hasMade bool // there are NSEC records, or signatures
}

// read fills c for a node that is not hidden; with hidden, for one that is.
func (c *content) read(n zone.Node, hidden bool) {
	c.types, c.signed, c.other = c.types[:0], c.signed[:0], c.other[:0]
	c.isCut, c.hasDS, c.hasMade = n.IsCut(), n.HasDS(), false
	for s := range n.Slots() {
		t := s.Type()
		c.hasMade = c.hasMade || isMade(t) || s.HasSigs()
		// Glue and what is occluded is not the zone's own (RFC 4035 §2.2 and §2.3).
		isOwn := s.HasRecords() && !isMade(t) && !hidden && (!c.isCut || t == dns.TypeNS || t == dns.TypeDS)
		isSigned := isOwn && (!c.isCut || t == dns.TypeDS)
		if isOwn {
			c.types = insertType(c.types, t)
		}
		if isSigned {
			c.signed = append(c.signed, s.RRset())
		}
		if s.HasSigs() && !isSigned && t != dns.TypeNSEC {
			c.other = append(c.other, t)
		}
	}
}

// insertType: sets come in order but for the SOA, which is first.
func insertType(list []dns.Type, t dns.Type) []dns.Type {
	list = append(list, t)
	for i := len(list) - 1; i > 0 && list[i] < list[i-1]; i-- {
		list[i], list[i-1] = list[i-1], list[i]
	}
	return list
}

// isInsecureCut reports whether the name is a delegation without DS.
func (c *content) isInsecureCut() bool { return c.isCut && !c.hasDS }

// appendBitmap appends the bitmap of the name's NSEC3 record.
func (c *content) appendBitmap(dst []byte, sc *scratch) []byte {
	sc.types = append(sc.types[:0], c.types...)
	if len(c.signed) > 0 { // RFC 5155 §7.1: nothing is signed at an insecure delegation
		sc.types = insertType(sc.types, dns.TypeRRSIG)
	}
	return dns.AppendTypeBitmap(dst, sc.types...)
}

// appendNSECBitmap appends the bitmap of the name's NSEC record (RFC 4035 §2.3).
func (c *content) appendNSECBitmap(dst []byte, sc *scratch) []byte {
	sc.types = append(sc.types[:0], c.types...)
	sc.types = insertType(insertType(sc.types, dns.TypeRRSIG), dns.TypeNSEC)
	return dns.AppendTypeBitmap(dst, sc.types...)
}

// scratch is memory that is used again.
type scratch struct {
	types []dns.Type
	name  [dns.MaxNameLen]byte
	other [dns.MaxNameLen]byte
}

// isOnlyMade reports whether a node has records but none of its authors: without
// what signing made it would not be there.
func isOnlyMade(n zone.Node) bool {
	if n.IsENT() {
		return false
	}
	for s := range n.Slots() {
		if s.HasRecords() && !isMade(s.Type()) {
			return false
		}
	}
	return true
}

// hasAuthors reports whether a node has records of its authors.
func hasAuthors(n zone.Node) bool { return !n.IsZero() && !n.IsENT() && !isOnlyMade(n) }

// isHiding reports whether what lies below the node is hidden.
func isHiding(n zone.Node) bool { return n.IsCut() || n.HasDNAME() }

// nsecTTL: RFC 9077 §3: the lesser of the SOA record's minimum and its TTL.
func nsecTTL(v *zone.Version) uint32 {
	soa := v.SOA()
	if soa.IsZero() {
		return 0
	}
	return min(soa.TTL(), dns.SOAMinimum(soa.First()))
}

// packOne packs one rdata.
func packOne(dst, rdata []byte) []byte {
	dst = append(dst, byte(len(rdata)>>8), byte(len(rdata)))
	return append(dst, rdata...)
}

// each yields the rdata of packed ones.
func each(packed []byte, f func(rdata []byte) bool) {
	for len(packed) > 0 {
		n := int(packed[0])<<8 | int(packed[1])
		if !f(packed[2 : 2+n : 2+n]) {
			return
		}
		packed = packed[2+n:]
	}
}

// hasPacked reports whether rdata is among packed ones.
func hasPacked(packed, rdata []byte) (found bool) {
	each(packed, func(rd []byte) bool {
		found = bytes.Equal(rd, rdata)
		return !found
	})
	return found
}
