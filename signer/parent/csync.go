package parent

import (
	"encoding/binary"

	"onoma/dns"
	"onoma/zone"
)

// Delegation is what a zone says of its own delegation: the NS set of its apex, and the addresses of those name servers that
// are in the zone. The keys are owner and rdata in wire form, names folded.
type Delegation struct{ NS, A, AAAA map[string]bool }

// DelegationIn reads it from a version.
func DelegationIn(v *zone.Version) Delegation {
	d := Delegation{NS: make(map[string]bool), A: make(map[string]bool), AAAA: make(map[string]bool)}
	ns, ok := v.Apex().RRset(dns.TypeNS)
	if !ok {
		return d
	}
	for data := range ns.RData() {
		host := dns.RData(data).Target(dns.TypeNS).Fold()
		d.NS[host.Wire()] = true
		if !host.IsSubdomainOf(v.Origin()) {
			continue
		}
		node := v.Find([]byte(host.Wire()))
		if node.IsZero() {
			continue
		}
		for t, into := range map[dns.Type]map[string]bool{dns.TypeA: d.A, dns.TypeAAAA: d.AAAA} {
			if set, ok := node.RRset(t); ok {
				for addr := range set.RData() {
					into[host.Wire()+string(addr)] = true
				}
			}
		}
	}
	return d
}

// CSYNC returns the rdata by which a zone asks its parent to take over those types (RFC 7477 §2.1.1): at once, and only while
// the zone's serial number is at least that one.
func CSYNC(serial uint32, types ...dns.Type) dns.RData {
	const immediate, soaMinimum = 1, 2
	b := binary.BigEndian.AppendUint32(nil, serial)
	b = binary.BigEndian.AppendUint16(b, immediate|soaMinimum)
	return dns.AppendTypeBitmap(b, types...)
}
